/* A folder whose LMDB pages are not LMDB's. The input is a list of edits to a small data.mdb: a byte, a page copied
 * over another, fields of a tree's page, a page that a tree names, the file cut off. Then the store is opened, read and
 * written to, as the C library does with any folder and an SQL table that names it. Errors are fine.
 *
 * What edits do to values is fuzz_storage's and fuzz_catalog's; here everything that LMDB itself would believe counts.
 * TMPDIR should be in memory. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/tq.h"
#include "storage/env.h"
#include "storage/page_format.h"
#include "tests/fuzz/fuzz.h"

enum { EDITS_MAX = 24, DIM = 6, ROWS = 40, VALUES = 400 };

static char folder[2048];
static uint8_t *pattern, *catalog;
static size_t pattern_size, catalog_size;
static uint32_t page_bytes;
static uint64_t trees[64]; /* pages worth editing */
static size_t tree_count;

static void remove_store(void) {
    static const char *const names[] = {"data.mdb",   "lock.mdb",       "owner",
                                        "catalog.db", "catalog.db-wal", "catalog.db-shm"};
    char name[2200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(name, sizeof name, "%s/store/%s", folder, names[i]);
        (void)unlink(name);
    }
    (void)snprintf(name, sizeof name, "%s/store", folder);
    (void)rmdir(name);
    (void)rmdir(folder);
}

/* ---- The pattern ---- */

static tq_store *open_store(unsigned flags) {
    char name[2200];
    tq_store *store = NULL;
    (void)snprintf(name, sizeof name, "%s/store", folder);
    return tq_open(name, flags, &store) == TQ_OK ? store : NULL;
}

static void put_rows(tq_store *store, int first, int count) {
    tq_index *index = NULL;
    float vector[DIM];
    if (tq_index_open(store, "docs", &index) != TQ_OK) return;
    for (int row = first; row < first + count; row++) {
        for (int i = 0; i < DIM; i++) vector[i] = (float)((row * (i + 1)) % 11 - 4);
        (void)tq_put(index, row, vector);
    }
    (void)tq_index_optimize(index);
    tq_index_close(index);
}

/* Small values of an index that no catalog names, so that trees have two levels and lists of free pages are long. */
static enum tq_status write_small(struct tq_env *env, uint64_t first, size_t count, uint64_t delete_first,
                                  size_t deletes) {
    static const uint8_t bytes[3000];
    struct tq_env_put puts[100];
    uint64_t keys[100];
    for (size_t i = 0; i < count; i++)
        puts[i] = (struct tq_env_put){tq_env_key(9, first + i), bytes, i % 20 == 0 ? 3000 : 40};
    for (size_t i = 0; i < deletes; i++) keys[i] = tq_env_key(9, delete_first + i);
    struct tq_env_batch batch = {.puts = puts,
                                 .put_count = count,
                                 .deletes = keys,
                                 .delete_count = deletes,
                                 .index = 9,
                                 .more = 150,
                                 .meta = {.serial = first + count}};
    return tq_env_write(env, &batch);
}

static void make_small(void) {
    char name[2200];
    struct tq_env *env = NULL;
    (void)snprintf(name, sizeof name, "%s/store", folder);
    fuzz_require(tq_env_open(name, 0, true, &env) == TQ_OK, "a folder");
    for (uint64_t i = 0; i < VALUES; i += 100)
        fuzz_require(write_small(env, 1 + i, 100, 1 + i / 2, i == 0 ? 0 : 50) == TQ_OK, "small values");
    tq_env_close(env);
}

static void find_trees(void) {
    for (uint64_t page = 0; (page + 1) * page_bytes <= pattern_size && tree_count < 64; page++) {
        struct tq_page_head head;
        memcpy(&head, pattern + page * page_bytes, sizeof head);
        if (head.number == page && (head.flags == 1 || head.flags == 2 || head.flags == 4 || head.flags == 8) &&
            head.lower >= (head.flags == 4 ? 0 : 16))
            trees[tree_count++] = page;
    }
    fuzz_require(tree_count > 10, "pages of trees");
}

static uint8_t *read_file(const char *name, size_t *size) {
    struct stat info;
    char place[2200];
    (void)snprintf(place, sizeof place, "%s/store/%s", folder, name);
    int file = open(place, O_RDONLY);
    fuzz_require(file >= 0 && fstat(file, &info) == 0, "the pattern");
    *size = (size_t)info.st_size;
    uint8_t *bytes = malloc(*size);
    fuzz_require(bytes != NULL && read(file, bytes, *size) == (ssize_t)*size, "the pattern");
    (void)close(file);
    return bytes;
}

/* With holes where there is nothing but zeros: that is most of a chunk. The file stays open. */
static int write_file(const char *name, const uint8_t *bytes, size_t size) {
    static const uint8_t zeros[4096];
    char place[2200];
    (void)snprintf(place, sizeof place, "%s/store/%s", folder, name);
    int file = open(place, O_RDWR | O_CREAT | O_TRUNC, 0600);
    fuzz_require(file >= 0 && ftruncate(file, (off_t)size) == 0, "a copy");
    for (size_t at = 0; at < size; at += sizeof zeros) {
        size_t part = size - at < sizeof zeros ? size - at : sizeof zeros;
        if (memcmp(bytes + at, zeros, part) != 0)
            fuzz_require(pwrite(file, bytes + at, part, (off_t)at) == (ssize_t)part, "a copy");
    }
    return file;
}

static void make_pattern(void) {
    const char *outer = getenv("TMPDIR");
    if (pattern != NULL) return;
    (void)snprintf(folder, sizeof folder, "%s/tq-fuzz-XXXXXX", outer == NULL ? "/tmp" : outer);
    fuzz_require(mkdtemp(folder) != NULL && atexit(remove_store) == 0, "a temporary folder");
    page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    tq_store *store = open_store(TQ_OPEN_CREATE);
    struct tq_index_options options = tq_index_defaults(DIM);
    tq_index *index = NULL;
    fuzz_require(store != NULL && tq_index_create(store, "docs", &options, &index) == TQ_OK, "a store");
    tq_index_close(index);
    put_rows(store, 1, ROWS);
    tq_close(store);
    make_small();
    pattern = read_file("data.mdb", &pattern_size);
    catalog = read_file("catalog.db", &catalog_size);
    find_trees();
}

/* ---- Edits ---- */

static void write_at(int file, const void *bytes, size_t size, uint64_t place) {
    if (place + size <= pattern_size) (void)!pwrite(file, bytes, size, (off_t)place);
}

static uint64_t a_number(struct fuzz_input *input) {
    static const uint64_t numbers[] = {0, 1, 2, UINT64_MAX, 1ull << 63, 1ull << 28, 1ull << 47, UINT32_MAX};
    uint8_t way = fuzz_byte(input);
    if (way < 64) return numbers[way % 8];
    if (way < 160) return trees[fuzz_byte(input) % tree_count];
    return fuzz_number(input, way < 220 ? 2 : 8);
}

/* An entry's head, key or data, by what the pattern's page says of its place. */
static void edit_entry(int file, struct fuzz_input *input, uint64_t page) {
    const uint8_t *bytes = pattern + page * page_bytes;
    struct tq_page_head head;
    uint16_t offset = 0;
    memcpy(&head, bytes, sizeof head);
    uint32_t entries = head.lower > 16 ? (head.lower - 16u) / 2 : 1, entry = fuzz_byte(input) % entries;
    memcpy(&offset, bytes + 16 + 2 * entry, sizeof offset);
    uint64_t number = a_number(input), at = page * page_bytes + offset + fuzz_byte(input) % 64;
    write_at(file, &number, 1 + fuzz_byte(input) % 8, at);
}

static void edit(int file, struct fuzz_input *input) {
    unsigned way = fuzz_byte(input) % 8;
    uint64_t page = trees[fuzz_byte(input) % tree_count], other = trees[fuzz_byte(input) % tree_count];
    uint64_t number;
    switch (way) {
    case 0:
    case 1: edit_entry(file, input, page); break;
    case 2: number = a_number(input), write_at(file, &number, 2, page * page_bytes + 8 + fuzz_byte(input) % 8); break;
    case 3: /* a meta page's fields: trees' records, last page, transaction */
        number = a_number(input);
        write_at(file, &number, fuzz_byte(input) % 2 ? 8 : 2, page % 2 * page_bytes + 16 + fuzz_byte(input) % 136);
        break;
    case 4: write_at(file, pattern + other * page_bytes, page_bytes, page * page_bytes); break;
    case 5: /* which is then believed to be there */
        write_at(file, pattern + other * page_bytes, page_bytes, page * page_bytes);
        write_at(file, &page, sizeof page, page * page_bytes);
        break;
    case 6:
        number = fuzz_number(input, 2) % page_bytes;
        way = fuzz_byte(input);
        write_at(file, &way, 1, page * page_bytes + number);
        break;
    default:
        number = fuzz_number(input, 3) * 512;
        if (fuzz_byte(input) == 7 && number < pattern_size) (void)!ftruncate(file, (off_t)number);
        number = a_number(input),
        write_at(file, &number, 8, page * page_bytes + 16 + fuzz_number(input, 2) % page_bytes);
    }
}

/* ---- What a user does ---- */

static void use_store(void) {
    tq_store *store = open_store(0);
    tq_index *index = NULL;
    if (store == NULL) return;
    if (tq_index_open(store, "docs", &index) == TQ_OK) {
        const float query[DIM] = {1, 2, 3, 0, 1, 2};
        struct tq_hit hits[60];
        size_t count = 0;
        float vector[DIM];
        (void)tq_search(index, query, 1, 60, NULL, hits, &count, NULL);
        (void)tq_get(index, 7, vector);
        (void)tq_delete(index, 9);
        tq_index_close(index);
    }
    put_rows(store, 1000, 5);
    tq_close(store);
}

static void use_folder(void) {
    char name[2200];
    struct tq_env *env = NULL;
    uint64_t keys[500], file_bytes = 0, free_bytes = 0;
    size_t count = 0;
    (void)snprintf(name, sizeof name, "%s/store", folder);
    if (tq_env_open(name, 0, true, &env) != TQ_OK) return;
    fuzz_require(tq_env_size(env, &file_bytes, &free_bytes) == TQ_OK, "what passed can be read");
    fuzz_require(tq_env_keys_above(env, 9, 0, keys, 500, &count) == TQ_OK, "what passed can be read");
    bool whole = tq_env_check_pages(env) == TQ_OK;
    struct tq_env_reader *reader = NULL;
    fuzz_require(tq_env_reader_open(env, &reader) == TQ_OK, "a reader");
    for (size_t i = 0; i < count && i < 500; i++) {
        const void *data = NULL;
        size_t size = 0;
        volatile uint8_t sum = 0;
        if (tq_env_get(reader, keys[i], &data, &size) != TQ_OK) {
            fuzz_require(!whole, "what passed can be read");
            continue;
        }
        for (size_t at = 0; at < size; at++) sum = (uint8_t)(sum + ((const uint8_t *)data)[at]);
    }
    tq_env_reader_close(reader);
    (void)write_small(env, 5000, 40, count > 0 ? keys[0] & 0xffffffff : 1, 60);
    (void)write_small(env, 6000, 100, 5000, 40);
    if (whole) fuzz_require(tq_env_check_pages(env) == TQ_OK, "what is written to a folder that passed is whole");
    tq_env_close(env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    make_pattern();
    int file = write_file("data.mdb", pattern, pattern_size);
    bool library = fuzz_byte(&input) % 2;
    for (int i = 0; i < EDITS_MAX && input.left > 0; i++) edit(file, &input);
    (void)close(file);
    if (!library) use_folder();
    if (!library) return 0;
    (void)close(write_file("catalog.db", catalog, catalog_size));
    use_store();
    return 0;
}
