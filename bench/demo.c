/* What tqlite does, on 20,000 words of GloVe: index through C, ask through C, then fill a SQLite database for the
 * shell to ask. Usage: demo DATA_FOLDER STORE_FOLDER DATABASE EXTENSION */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/common/program.h"
#include "src/io/npy.h"

enum { K = 10, WORD_BYTES = 64 };

struct words {
    struct tq_npy npy;
    char (*text)[WORD_BYTES];
    float *vectors;
};

static double now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static struct words load(const char *folder, const char *name) {
    struct words words;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.f16.npy", folder, name);
    bench_check(tq_npy_open(path, &words.npy));
    words.vectors = malloc(words.npy.rows * words.npy.dim * sizeof(float));
    words.text = calloc(words.npy.rows, WORD_BYTES);
    if (words.vectors == NULL || words.text == NULL) exit(1);
    for (uint64_t i = 0; i < words.npy.rows; i++) tq_npy_row(&words.npy, i, words.vectors + i * words.npy.dim);
    (void)snprintf(path, sizeof path, "%s/%s.words.txt", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    for (uint64_t i = 0; i < words.npy.rows && fgets(words.text[i], WORD_BYTES, file) != NULL; i++) {
        words.text[i][strcspn(words.text[i], "\n")] = '\0';
    }
    (void)fclose(file);
    return words;
}

static void unload(struct words *words) {
    tq_npy_close(&words->npy);
    free(words->text);
    free(words->vectors);
}

/* ---- Through C ---- */

static tq_index *build(tq_store *store, const struct words *base) {
    struct tq_index_options options = tq_index_defaults(base->npy.dim);
    tq_index *index = NULL;
    int64_t *ids = malloc(base->npy.rows * sizeof *ids);
    if (ids == NULL) exit(1);
    for (uint64_t i = 0; i < base->npy.rows; i++) ids[i] = (int64_t)i;
    double start = now_ms();
    bench_check(tq_index_create(store, "words", &options, &index));
    bench_check(tq_put_many(index, ids, base->vectors, base->npy.rows));
    double ms = now_ms() - start;
    struct tq_index_info info;
    bench_check(tq_index_get_info(index, &info));
    printf("indexed %llu words of %u dimensions in %.0f ms, durably, without training (%s)\n",
           (unsigned long long)info.rows, base->npy.dim, ms, info.isa);
    printf("codes %.0f bytes a vector, exact rows %.0f bytes a vector\n\n", info.code_bytes_row, info.exact_bytes_row);
    free(ids);
    return index;
}

static void show_neighbours(tq_index *index, const struct words *base, const char *word) {
    struct tq_hit hits[K + 1];
    size_t count = 0;
    for (uint64_t i = 0; i < base->npy.rows; i++) {
        if (strcmp(base->text[i], word) != 0) continue;
        bench_check(tq_search(index, base->vectors + i * base->npy.dim, 1, K + 1, NULL, hits, &count, NULL));
        printf("  %-10s", word);
        for (size_t h = 1; h < count; h++) printf(" %s", base->text[hits[h].id]);
        printf("\n");
    }
}

/* Recall and time of the queries at a confidence, against confidence=exact. */
static void measure(tq_index *index, const struct words *queries, double confidence) {
    struct tq_search_options options = tq_search_defaults(), exact = options;
    options.confidence = confidence;
    exact.confidence = TQ_EXACT;
    struct tq_search_stats stats, total = {0};
    size_t found = 0, count = 0;
    double ms = 0;
    for (uint64_t q = 0; q < queries->npy.rows; q++) {
        const float *query = queries->vectors + q * queries->npy.dim;
        struct tq_hit hits[K], truth[K];
        double start = now_ms();
        bench_check(tq_search(index, query, 1, K, &options, hits, &count, &stats));
        ms += now_ms() - start;
        bench_check(tq_search(index, query, 1, K, &exact, truth, &count, NULL));
        for (size_t i = 0; i < count; i++) found += hits[i].score >= truth[K - 1].score;
        total.survivors += stats.survivors;
        total.ranked += stats.ranked;
    }
    double n = (double)queries->npy.rows;
    printf("  confidence %-6s recall@10 %.4f   %.3f ms a query   %4.0f rows refined, %3.0f ranked exactly\n",
           confidence >= TQ_EXACT ? "exact"
           : confidence == 3.0    ? "3.0"
                                  : "2.0",
           (double)found / n / K, ms / n, (double)total.survivors / n, (double)total.ranked / n);
}

static void ask_c(const struct words *base, const struct words *queries, const char *folder) {
    static const char *const asked[] = {"coffee", "piano", "france", "quickly", "seven"};
    tq_store *store = NULL;
    bench_check(tq_open(folder, TQ_OPEN_CREATE, &store));
    tq_index *index = build(store, base);
    printf("nearest words, through C:\n");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) show_neighbours(index, base, asked[i]);
    printf("\n%llu queries in random order, one core:\n", (unsigned long long)queries->npy.rows);
    measure(index, queries, 2.0);
    measure(index, queries, 3.0);
    measure(index, queries, TQ_EXACT);
    tq_index_close(index);
    tq_close(store);
}

/* ---- Through SQL ---- */

static void fill_sql(const struct words *base, const char *database, const char *extension) {
    sqlite3 *db = NULL;
    sqlite3_stmt *vector = NULL, *word = NULL;
    bench_check_sql(db, sqlite3_open(database, &db));
    bench_check_sql(db, sqlite3_enable_load_extension(db, 1));
    bench_check_sql(db, sqlite3_load_extension(db, extension, NULL, NULL));
    double start = now_ms();
    bench_check_sql(db, sqlite3_exec(db,
                                     "CREATE TABLE vocabulary(id INTEGER PRIMARY KEY, word TEXT);"
                                     "CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[100]);"
                                     "BEGIN;",
                                     NULL, NULL, NULL));
    bench_check_sql(db, sqlite3_prepare_v2(db, "INSERT INTO words(rowid, embedding) VALUES(?, ?)", -1, &vector, NULL));
    bench_check_sql(db, sqlite3_prepare_v2(db, "INSERT INTO vocabulary VALUES(?, ?)", -1, &word, NULL));
    int bytes = (int)(base->npy.dim * sizeof(float));
    for (uint64_t i = 0; i < base->npy.rows; i++) {
        bench_check_sql(db, sqlite3_bind_int64(vector, 1, (sqlite3_int64)i));
        bench_check_sql(db, sqlite3_bind_blob(vector, 2, base->vectors + i * base->npy.dim, bytes, SQLITE_STATIC));
        bench_check_sql(db, sqlite3_step(vector));
        bench_check_sql(db, sqlite3_reset(vector));
        bench_check_sql(db, sqlite3_bind_int64(word, 1, (sqlite3_int64)i));
        bench_check_sql(db, sqlite3_bind_text(word, 2, base->text[i], -1, SQLITE_STATIC));
        bench_check_sql(db, sqlite3_step(word));
        bench_check_sql(db, sqlite3_reset(word));
    }
    bench_check_sql(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    printf("\nthe same words inserted through SQL in %.0f ms\n", now_ms() - start);
    (void)sqlite3_finalize(vector);
    (void)sqlite3_finalize(word);
    (void)sqlite3_close(db);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: demo DATA_FOLDER STORE_FOLDER DATABASE EXTENSION\n");
        return 2;
    }
    struct words base = load(argv[1], "base"), queries = load(argv[1], "query");
    ask_c(&base, &queries, argv[2]);
    fill_sql(&base, argv[3], argv[4]);
    unload(&base);
    unload(&queries);
    return 0;
}
