/* Where it gets slow: searches that are not the usual one, each beside the usual one.
 *
 * usage  cases BASE.npy QUERY.npy [option ...]       or without files: cases --only scale [option ...]
 *   --only WORD,...         k, queries, range, filters, batch, threads, isa, first, scale; by default all
 *   --metric cosine|ip|l2   cosine
 *   --k K                   10, except in table k
 *   --queries N             500 of them at random; fewer where they take longer than
 *   --seconds S             4: a configuration may take, about
 *   --rounds N              9: configurations take turns
 *   --rows N --dim D        200000 x 768: of the data that scale makes
 *   --survivors P,...       0.2,1,3,10: per cent of those rows that pass the first plane
 *   --csv FILE              the same numbers: table, label, column, value
 *
 * Stores lie in $TMPDIR and go with the process, unless it is killed. scale needs 5 bytes of disk a dimension and row,
 * one store at a time, and as much memory if its pages are to stay there. Times of one query are processor time of the
 * thread, unless a table says wall clock: of each query the median over rounds, then over queries p50 and p99. So p99
 * tells of queries, not of interruptions. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/report.h"
#include "bench/common/truth.h"
#include "src/base/alloc.h"

enum { SEED = 20260 };

/* ---- Tables ---- */

void cases_table(struct cases *c, const char *word, const char *title, const char *meaning, const char *first,
                 const struct cases_column *columns, size_t count) {
    c->word = word;
    c->columns = columns;
    c->column_count = count;
    (void)printf("\n### %s\n\n%s\n\n| %s |", title, meaning, first);
    for (size_t i = 0; i < count; i++) (void)printf(" %s |", columns[i].name);
    (void)printf("\n|---|");
    for (const char *bar = first; (bar = strstr(bar, " | ")) != NULL; bar += 3) (void)printf("---|");
    for (size_t i = 0; i < count; i++) (void)printf("---|");
    (void)printf("\n");
    (void)fflush(stdout);
}

void cases_row(const struct cases *c, const char *label, const double *values) {
    (void)printf("| %s |", label);
    for (size_t i = 0; i < c->column_count; i++) {
        if (isnan(values[i]))
            (void)printf(" - |");
        else
            (void)printf(" %.*f |", c->columns[i].decimals, values[i]);
        if (c->csv != NULL && !isnan(values[i]))
            (void)fprintf(c->csv, "%s,%s,%s,%.8g\n", c->word, label, c->columns[i].name, values[i]);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    if (c->csv != NULL) (void)fflush(c->csv);
}

static const struct {
    const char *word;
    void (*run)(struct cases *c);
    bool makes_data; /* needs no files */
} tables[] = {
    {"k", cases_k, false},         {"queries", cases_queries, false},
    {"range", cases_range, false}, {"filters", cases_filters, false},
    {"batch", cases_batch, false}, {"threads", cases_threads, false},
    {"isa", cases_isa, false},     {"first", cases_first, false},
    {"scale", cases_scale, true},
};

static bool is_wanted(const struct cases_options *o, const char *word) {
    size_t length = strlen(word);
    if (o->only == NULL) return true;
    for (const char *at = o->only; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
    }
    return false;
}

/* ---- Options ---- */

static _Noreturn void refuse(const char *what, const char *value) {
    (void)fprintf(stderr, "cases: %s %s; see the head of cases.c\n", what, value);
    exit(2);
}

static double number(const char *name, const char *value, double least) {
    char *end;
    double parsed = strtod(value, &end);
    if (end == value || *end != '\0' || !(parsed >= least)) refuse(name, value);
    return parsed;
}

static void parse_survivors(const char *text, struct cases_options *o) {
    o->survivor_count = 0;
    for (const char *at = text; *at != '\0' && o->survivor_count < CASES_SHARES; at += *at == ',') {
        char *end;
        double share = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0') || !(share > 0 && share < 100)) refuse("--survivors", text);
        o->survivors[o->survivor_count++] = share / 100;
        at = end;
    }
}

static void parse_only(const char *text, struct cases_options *o) {
    char word[16];
    o->only = text;
    for (const char *at = text; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(at, ","), at);
        bool known = false;
        for (size_t i = 0; i < TQ_COUNT(tables); i++) known = known || strcmp(word, tables[i].word) == 0;
        if (!known) refuse("no such table:", word);
    }
}

static void parse_metric(const char *text, struct cases_options *o) {
    static const char *const names[] = {"cosine", "ip", "l2"};
    for (size_t i = 0; i < TQ_COUNT(names); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        o->metric = (enum tq_metric)i;
        return;
    }
    refuse("--metric", text);
}

static void parse_valued(const char *name, const char *value, struct cases_options *o) {
    if (strcmp(name, "--only") == 0)
        parse_only(value, o);
    else if (strcmp(name, "--metric") == 0)
        parse_metric(value, o);
    else if (strcmp(name, "--csv") == 0)
        o->csv = value;
    else if (strcmp(name, "--survivors") == 0)
        parse_survivors(value, o);
    else if (strcmp(name, "--seconds") == 0)
        o->seconds = number(name, value, 0);
    else if (strcmp(name, "--rounds") == 0)
        o->rounds = (size_t)number(name, value, 1);
    else if (strcmp(name, "--queries") == 0)
        o->queries = (size_t)number(name, value, 1);
    else if (strcmp(name, "--k") == 0)
        o->k = (size_t)number(name, value, 1);
    else if (strcmp(name, "--rows") == 0)
        o->rows = (size_t)number(name, value, 1000);
    else if (strcmp(name, "--dim") == 0)
        o->dim = (uint32_t)number(name, value, 2);
    else
        refuse("no such option:", name);
}

static void parse(int argc, char **argv, struct cases_options *o) {
    *o = (struct cases_options){.rounds = 9, .queries = 500, .k = 10, .seconds = 4, .rows = 200000, .dim = 768};
    parse_survivors("0.2,1,3,10", o);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc) refuse("no value for", argv[i]);
            parse_valued(argv[i], argv[i + 1], o);
            i++;
        } else if (o->query == NULL) {
            *(o->base == NULL ? &o->base : &o->query) = argv[i];
        } else {
            refuse("there are two files already:", argv[i]);
        }
    }
    for (size_t i = 0; i < TQ_COUNT(tables); i++) {
        if (o->query == NULL && !tables[i].makes_data && is_wanted(o, tables[i].word))
            refuse("BASE.npy and QUERY.npy are needed by table", tables[i].word);
    }
}

/* ---- All of it ---- */

static char folder[4096];

static void remove_folder(void) {
    if (folder[0] != '\0') bench_temporary_remove(folder);
}

static void load(struct cases *c) {
    const struct cases_options *o = &c->options;
    struct bench_matrix all;
    uint32_t *order = NULL;
    bench_check(bench_matrix_load(o->base, &c->base));
    bench_check(bench_matrix_load(o->query, &all));
    if (all.dim != c->base.dim || all.rows == 0 || c->base.rows < o->k)
        refuse("too small or another dimension:", o->query);
    bench_check(bench_permutation(all.rows, SEED, &order));
    bench_check(bench_matrix_take(&all, order, tq_min_size(all.rows, tq_max_size(o->queries, 1000)), &c->queries));
    tq_free(order);
    bench_matrix_free(&all);
    bench_check(bench_squares(&c->base, &c->base_squares));
    bench_check(bench_squares(&c->queries, &c->query_squares));
    (void)snprintf(c->path, sizeof c->path, "%s/base", c->folder);
    double start = bench_seconds();
    cases_store_make(c->path, &c->base, NULL, o->metric);
    double seconds = bench_seconds() - start;
    cases_store_open(c->path, &c->store, &c->index);
    struct tq_index_info info;
    bench_check(tq_index_get_info(c->index, &info));
    (void)printf("\n%zu x %u base vectors, built in %.2f s; %zu queries; k = %zu; %zu rounds; %s.\n", c->base.rows,
                 c->base.dim, seconds, c->queries.rows, o->k, o->rounds, info.isa);
}

static void unload(struct cases *c) {
    cases_store_close(c->store, c->index);
    bench_matrix_free(&c->base);
    bench_matrix_free(&c->queries);
    tq_free(c->base_squares);
    tq_free(c->query_squares);
    if (c->csv != NULL) (void)fclose(c->csv);
}

int main(int argc, char **argv) {
    double start = bench_seconds();
    if (argc == 6 && strcmp(argv[1], "first-child") == 0) return cases_first_child(argv + 2, start);
    struct cases c = {.folder = folder};
    parse(argc, argv, &c.options);
    bench_check(bench_temporary_make(folder, sizeof folder));
    (void)atexit(remove_folder);
    bench_report_head(stdout, "    ", argc, argv);
    if (c.options.csv != NULL) {
        c.csv = fopen(c.options.csv, "w");
        if (c.csv == NULL) refuse("cannot be written:", c.options.csv);
        bench_report_head(c.csv, "# ", argc, argv);
        (void)fprintf(c.csv, "table,label,column,value\n");
    }
    if (c.options.query != NULL) load(&c);
    for (size_t i = 0; i < TQ_COUNT(tables); i++) {
        if (is_wanted(&c.options, tables[i].word)) tables[i].run(&c);
    }
    unload(&c);
    return c.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
