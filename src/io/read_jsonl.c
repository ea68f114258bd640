/* JSON lines: an object on each line, its keys the columns. SQLite takes it apart. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/utf8.h"
#include "src/io/formats.h"
#include "src/io/lines.h"
#include "src/io/read.h"
#include "src/io/text_cells.h"

struct json_key {
    char *name;
    size_t name_size;
    struct tq_column_sample sample;
    size_t value;      /* place among the reader's; SIZE_MAX: not wanted */
    uint64_t line;     /* that had it last; 0: none */
    size_t text_begin; /* of this row's text; SIZE_MAX: it has none */
};

struct json_lines {
    struct tq_lines lines;
    sqlite3 *db;
    sqlite3_stmt *each, *wrong; /* wrong: where malformed JSON is; NULL before SQLite 3.42 */
    struct json_key *keys;
    size_t key_count, key_capacity, next_key; /* next_key: the likely place of the key that comes next */
    size_t vector;                            /* place among the keys; SIZE_MAX: none */
    uint32_t dim;
    struct tq_floats floats;
    char *text; /* of the row's values */
    size_t text_size, text_capacity, sampled;
};

static enum tq_status fail_line(const struct json_lines *json, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, line %llu: %s", json->lines.path, (unsigned long long)json->lines.line, what);
}

static enum tq_status fail_key(const struct json_lines *json, const char *name, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, line %llu, column %s: %s", json->lines.path, (unsigned long long)json->lines.line,
                   name, what);
}

/* ---- A line ---- */

static enum tq_status fail_malformed(const struct json_lines *json, const char *line, size_t size) {
    char what[64] = "malformed JSON";
    if (json->wrong != NULL && sqlite3_bind_text(json->wrong, 1, line, (int)size, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(json->wrong) == SQLITE_ROW && sqlite3_column_int(json->wrong, 0) > 0)
        (void)snprintf(what, sizeof what, "malformed JSON at character %d", sqlite3_column_int(json->wrong, 0));
    if (json->wrong != NULL) (void)sqlite3_reset(json->wrong);
    return fail_line(json, what);
}

/* Some versions of SQLite end a text at its first zero. */
static bool has_zero(const char *line, size_t size) {
    static const char zero[] = "\\u0000";
    const char *end = line + size;
    for (const char *at = line; (at = memmem(at, (size_t)(end - at), zero, sizeof zero - 1)) != NULL; at++) {
        size_t slashes = 0;
        while (at - slashes > line && at[-(ptrdiff_t)slashes - 1] == '\\') slashes++;
        if (slashes % 2 == 0) return true;
    }
    return false;
}

/* The next line with something in it, ready to be stepped through; *line is NULL at the end. */
static enum tq_status begin_line(struct json_lines *json, const char **line, size_t *size) {
    size_t blank = 0;
    do {
        TQ_TRY(tq_lines_next(&json->lines, line, size));
        if (*line == NULL) return TQ_OK;
        for (blank = 0; blank < *size && strchr(" \t\r", (*line)[blank]) != NULL && (*line)[blank] != '\0';) blank++;
    } while (blank == *size);
    size_t wrong = tq_utf8_check(*line, *size);
    if (wrong < *size) {
        return tq_fail(TQ_MISUSE, "%s, line %llu, column %zu: byte 0x%02x is not UTF-8", json->lines.path,
                       (unsigned long long)json->lines.line, tq_utf8_count(*line, wrong) + 1,
                       (unsigned char)(*line)[wrong]);
    }
    if ((*line)[blank] != '{') return fail_line(json, "not a JSON object");
    if (has_zero(*line, *size)) return fail_line(json, "a text with a zero character in it");
    int rc = sqlite3_bind_text(json->each, 1, *line, (int)*size, SQLITE_STATIC);
    return rc == SQLITE_OK ? TQ_OK : tq_fail(TQ_NOMEM, "%s: %s", json->lines.path, sqlite3_errmsg(json->db));
}

/* The next key and value of the line; *more is false behind the last. */
static enum tq_status step(struct json_lines *json, const char *line, size_t size, bool *more) {
    int rc = sqlite3_step(json->each);
    *more = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) return TQ_OK;
    if (rc == SQLITE_NOMEM) return tq_fail(TQ_NOMEM, "out of memory");
    return fail_malformed(json, line, size);
}

static struct json_key *find_key(struct json_lines *json, const char *name, size_t size) {
    for (size_t i = 0; i < json->key_count; i++) {
        size_t at = (json->next_key + i) % json->key_count;
        struct json_key *key = &json->keys[at];
        if (key->name_size != size || memcmp(key->name, name, size) != 0) continue;
        json->next_key = at + 1;
        return key;
    }
    return NULL;
}

/* ---- The sample ---- */

static enum tq_status add_key(struct json_lines *json, const char *name, size_t size, struct json_key **key) {
    if (json->key_count > TQ_COLUMNS_MAX)
        return tq_fail(TQ_FORMAT, "%s: more than %d columns", json->lines.path, TQ_COLUMNS_MAX);
    if (json->key_count == json->key_capacity) {
        size_t capacity = 16 + 2 * json->key_capacity;
        struct json_key *grown = tq_realloc(json->keys, json->key_count * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) return TQ_NOMEM;
        json->keys = grown;
        json->key_capacity = capacity;
    }
    char *copy = tq_alloc(size + 1);
    if (copy == NULL) return TQ_NOMEM;
    memcpy(copy, name, size);
    copy[size] = '\0';
    json->keys[json->key_count] = (struct json_key){.name = copy, .name_size = size, .value = SIZE_MAX};
    *key = &json->keys[json->key_count++];
    return tq_sample_init(&(*key)->sample, copy);
}

/* Arrays of numbers are vectors; of others, and of objects, the text is kept. */
static enum tq_status value_type(struct json_lines *json, enum tq_type *type, size_t *dim) {
    const char *name = (const char *)sqlite3_column_text(json->each, 1);
    const char *text = (const char *)sqlite3_column_text(json->each, 2);
    if (name == NULL || (text == NULL && strcmp(name, "null") != 0)) return tq_fail(TQ_NOMEM, "out of memory");
    *type = strcmp(name, "null") == 0                                  ? TQ_TYPE_NULL
            : strcmp(name, "text") == 0 || strcmp(name, "object") == 0 ? TQ_TYPE_TEXT
            : strcmp(name, "real") == 0                                ? TQ_TYPE_REAL
                                                                       : TQ_TYPE_INTEGER;
    if (strcmp(name, "array") != 0) return TQ_OK;
    enum tq_status status = tq_text_vector(text, (size_t)sqlite3_column_bytes(json->each, 2), &json->floats, dim);
    *type = status == TQ_OK ? TQ_TYPE_VECTOR : TQ_TYPE_TEXT;
    return status == TQ_NOMEM ? status : TQ_OK;
}

static enum tq_status sample_line(struct json_lines *json, const char *line, size_t size) {
    for (bool more = true;;) {
        struct json_key *key = NULL;
        enum tq_type type = TQ_TYPE_NULL;
        size_t dim = 0;
        TQ_TRY(step(json, line, size, &more));
        if (!more) return TQ_OK;
        const char *name = (const char *)sqlite3_column_text(json->each, 0);
        if (name == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        size_t name_size = (size_t)sqlite3_column_bytes(json->each, 0);
        key = find_key(json, name, name_size);
        if (key == NULL) TQ_TRY(add_key(json, name, name_size, &key));
        TQ_TRY(value_type(json, &type, &dim));
        tq_sample_count(&key->sample, type, (const char *)sqlite3_column_text(json->each, 2),
                        (size_t)sqlite3_column_bytes(json->each, 2), dim);
    }
}

static enum tq_status sample_lines(struct json_lines *json) {
    const uint64_t begin = tq_lines_offset(&json->lines);
    char first[512] = ""; /* of the bad lines */
    enum tq_status status = TQ_OK;
    while (json->sampled < TQ_SAMPLE_ROWS && tq_lines_offset(&json->lines) - begin < TQ_SAMPLE_BYTES) {
        const char *line = NULL;
        size_t size = 0;
        status = begin_line(json, &line, &size);
        if (status == TQ_OK && line == NULL) break;
        if (status == TQ_OK) status = sample_line(json, line, size);
        (void)sqlite3_reset(json->each);
        if (status != TQ_OK && status != TQ_MISUSE) return status;
        if (status != TQ_OK && *first == '\0') (void)snprintf(first, sizeof first, "%s", tq_message());
        json->sampled += status == TQ_OK;
    }
    if (*first != '\0' && json->sampled == 0) return tq_fail(TQ_FORMAT, "%s; each line must be a JSON object", first);
    if (json->key_count == 0) {
        return tq_fail(TQ_FORMAT, "%s: no row has a key: nothing tells the columns", json->lines.path);
    }
    tq_lines_seek(&json->lines, begin, 0);
    return TQ_OK;
}

/* ---- Columns ---- */

static enum tq_status fail_name(const struct json_lines *json, const char *name) {
    struct tq_name_list list = {.used = 0};
    for (size_t i = 0; i < json->key_count && !list.cut; i++) tq_name_list_add(&list, json->keys[i].name);
    return tq_fail_no_column(json->lines.path, name, strlen(name), &list);
}

/* What was not in the sample may come later: whether it does is known at the end. */
static enum tq_status add_wanted_keys(struct json_lines *json, const char *list) {
    const char *name = NULL;
    size_t size = 0;
    if (list == NULL) return TQ_OK;
    for (list = tq_next_name(list, &name, &size); name != NULL; list = tq_next_name(list, &name, &size)) {
        struct json_key *key = NULL;
        if (find_key(json, name, size) == NULL) TQ_TRY(add_key(json, name, size, &key));
    }
    return TQ_OK;
}

static enum tq_status find_vector(struct json_lines *json, const struct tq_reader *reader) {
    const char *name = reader->options.vector;
    json->vector = SIZE_MAX;
    if (name != NULL && *name != '\0') {
        const struct json_key *key = find_key(json, name, strlen(name));
        if (key == NULL) return fail_name(json, name);
        json->vector = (size_t)(key - json->keys);
        json->dim = key->sample.dim > 0 ? (uint32_t)key->sample.dim : reader->options.dim;
        if (json->dim > 0) return TQ_OK;
        return tq_fail(TQ_FORMAT, "%s: column %s has no array of numbers in the first %zu rows", reader->path, name,
                       json->sampled);
    }
    for (size_t i = 0; i < json->key_count && name == NULL; i++) {
        const struct tq_column_sample *sample = &json->keys[i].sample;
        if (!tq_sample_is_vector(sample) || sample->dim <= json->dim) continue;
        json->vector = i;
        json->dim = (uint32_t)sample->dim;
    }
    return TQ_OK;
}

static const struct json_key *find_row_key(struct json_lines *json) {
    for (size_t i = 0; i < json->key_count; i++) {
        struct tq_column_sample *sample = &json->keys[i].sample;
        if (i != json->vector && sample->cells == json->sampled && tq_sample_is_key(sample)) return &json->keys[i];
    }
    return NULL;
}

static enum tq_type key_type(const struct tq_column_sample *sample) {
    bool mixed = sample->integers + sample->reals > 0 && sample->integers + sample->reals < sample->cells;
    return mixed ? TQ_TYPE_NULL : tq_sample_type(sample);
}

static enum tq_status declare(struct json_lines *json, struct tq_reader *reader) {
    TQ_TRY(find_vector(json, reader));
    TQ_TRY(add_wanted_keys(json, reader->options.columns));
    const struct json_key *row_key = find_row_key(json);
    for (size_t i = 0; i < json->key_count; i++) {
        struct json_key *key = &json->keys[i];
        if (!tq_reader_wants(reader, key->name)) continue;
        enum tq_type type = i == json->vector ? TQ_TYPE_VECTOR : key_type(&key->sample);
        key->value = reader->info.column_count;
        TQ_TRY(tq_reader_column(reader, key->name, type, json->dim, key == row_key));
    }
    return TQ_OK;
}

static enum tq_status jsonl_open(struct tq_reader *reader) {
    struct json_lines *json = reader->state = tq_alloc_zero(sizeof *json);
    const char *begin = NULL;
    size_t size = 0;
    if (json == NULL) return TQ_NOMEM;
    TQ_TRY(tq_lines_open(&json->lines, reader->path));
    TQ_TRY(tq_lines_peek(&json->lines, TQ_HEAD_BYTES, &begin, &size));
    if (size == 0) return tq_fail(TQ_FORMAT, "%s: the file is empty", reader->path);
    if (tq_is_binary(begin, size)) return tq_fail(TQ_FORMAT, "%s: binary, not JSON lines", reader->path);
    if (*begin == '[') {
        return tq_fail(TQ_FORMAT, "%s: one JSON array; JSON lines has an object on each line: jq -c '.[]' makes them",
                       reader->path);
    }
    bool made = sqlite3_open_v2(":memory:", &json->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
                    SQLITE_OK &&
                sqlite3_prepare_v2(json->db, "SELECT key, type, value FROM json_each(?1)", -1, &json->each, NULL) ==
                    SQLITE_OK;
    if (!made) return tq_fail(TQ_IO, "%s: SQLite's JSON: %s", reader->path, sqlite3_errmsg(json->db));
    (void)sqlite3_prepare_v2(json->db, "SELECT json_error_position(?1)", -1, &json->wrong, NULL);
    TQ_TRY(sample_lines(json));
    return declare(json, reader);
}

static void jsonl_close(struct tq_reader *reader) {
    struct json_lines *json = reader->state;
    if (json == NULL) return;
    tq_lines_close(&json->lines);
    (void)sqlite3_finalize(json->each);
    (void)sqlite3_finalize(json->wrong);
    (void)sqlite3_close(json->db);
    for (size_t i = 0; i < json->key_count; i++) {
        tq_free(json->keys[i].name);
        tq_sample_free(&json->keys[i].sample);
    }
    tq_free(json->keys);
    tq_free(json->floats.data);
    tq_free(json->text);
    tq_free(json);
}

/* ---- Rows ---- */

static enum tq_status keep_text(struct json_lines *json, struct json_key *key, struct tq_value *value) {
    const void *text = sqlite3_column_text(json->each, 2);
    size_t size = (size_t)sqlite3_column_bytes(json->each, 2), all = json->text_size + size + 1;
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    if (all > json->text_capacity) {
        char *grown = tq_realloc(json->text, json->text_size, 2 * all);
        if (grown == NULL) return TQ_NOMEM;
        json->text = grown;
        json->text_capacity = 2 * all;
    }
    memcpy(json->text + json->text_size, text, size);
    json->text[all - 1] = '\0';
    key->text_begin = json->text_size;
    json->text_size = all;
    *value = (struct tq_value){.type = TQ_TYPE_TEXT, .size = size};
    return TQ_OK;
}

static enum tq_status keep_vector(struct json_lines *json, const struct json_key *key, struct tq_value *value) {
    char what[256];
    size_t dim = 0;
    const char *text = (const char *)sqlite3_column_text(json->each, 2);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = tq_text_vector(text, (size_t)sqlite3_column_bytes(json->each, 2), &json->floats, &dim);
    if (status == TQ_OK && dim != json->dim) {
        (void)snprintf(what, sizeof what, "%zu dimensions; there must be %u", dim, json->dim);
        return fail_key(json, key->name, what);
    }
    (void)snprintf(what, sizeof what, "%s", tq_message());
    if (status != TQ_OK) return status == TQ_MISUSE ? fail_key(json, key->name, what) : status;
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = dim, .vector = json->floats.data};
    return TQ_OK;
}

static enum tq_status keep_value(struct json_lines *json, struct json_key *key, struct tq_value *value) {
    int type = sqlite3_column_type(json->each, 2);
    if (type == SQLITE_NULL) return TQ_OK;
    if ((size_t)(key - json->keys) == json->vector) return keep_vector(json, key, value);
    if (type == SQLITE_INTEGER)
        *value = (struct tq_value){.type = TQ_TYPE_INTEGER, .integer = sqlite3_column_int64(json->each, 2)};
    else if (type == SQLITE_FLOAT)
        *value = (struct tq_value){.type = TQ_TYPE_REAL, .real = sqlite3_column_double(json->each, 2)};
    else
        return keep_text(json, key, value);
    return TQ_OK;
}

static enum tq_status read_key(struct json_lines *json, struct tq_reader *reader) {
    const char *name = (const char *)sqlite3_column_text(json->each, 0);
    if (name == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    struct json_key *key = find_key(json, name, (size_t)sqlite3_column_bytes(json->each, 0));
    if (key == NULL && tq_reader_wants(reader, name)) {
        char what[160];
        (void)snprintf(what, sizeof what, "key %s is in none of the first %zu rows: name the columns that are wanted",
                       tq_quote(name, strlen(name)).text, json->sampled);
        return fail_line(json, what);
    }
    if (key == NULL || key->value == SIZE_MAX) return TQ_OK;
    if (key->line == json->lines.line) return fail_key(json, key->name, "the line has this key twice");
    key->line = json->lines.line;
    return keep_value(json, key, &reader->values[key->value]);
}

static enum tq_status read_line(struct json_lines *json, struct tq_reader *reader, const char *line, size_t size) {
    for (bool more = true;;) {
        TQ_TRY(step(json, line, size, &more));
        if (!more) break;
        TQ_TRY(read_key(json, reader));
    }
    for (size_t i = 0; i < json->key_count; i++) {
        const struct json_key *key = &json->keys[i];
        struct tq_value *value = key->value == SIZE_MAX ? NULL : &reader->values[key->value];
        if (value != NULL && value->type == TQ_TYPE_TEXT) value->text = json->text + key->text_begin;
    }
    return TQ_OK;
}

/* Of what options.columns names. */
static enum tq_status check_seen(const struct json_lines *json) {
    for (size_t i = 0; i < json->key_count; i++) {
        const struct json_key *key = &json->keys[i];
        if (key->value == SIZE_MAX || key->line > 0 || key->sample.cells + key->sample.empty > 0) continue;
        return tq_fail(TQ_FORMAT, "%s: no row has the column %s", json->lines.path, key->name);
    }
    return TQ_OK;
}

static enum tq_status jsonl_next(struct tq_reader *reader, bool *end) {
    struct json_lines *json = reader->state;
    const char *line = NULL;
    size_t size = 0;
    TQ_TRY(begin_line(json, &line, &size));
    *end = line == NULL;
    if (*end) return check_seen(json);
    json->text_size = 0;
    for (size_t i = 0; i < reader->info.column_count; i++) reader->values[i] = (struct tq_value){.type = TQ_TYPE_NULL};
    enum tq_status status = read_line(json, reader, line, size);
    (void)sqlite3_reset(json->each);
    return status;
}

static double jsonl_progress(const struct tq_reader *reader) {
    const struct json_lines *json = reader->state;
    return tq_lines_progress(&json->lines);
}

static void jsonl_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct json_lines *json = reader->state;
    (void)snprintf(text, size, "%s, line %llu", reader->path, (unsigned long long)json->lines.line);
}

bool tq_is_jsonl(const uint8_t *head, size_t size) {
    static const char blanks[] = " \t\r\n";
    size_t at = 0;
    while (at < size && memchr(blanks, head[at], sizeof blanks - 1) != NULL) at++;
    if (at == size || head[at] != '{' || tq_is_binary(head, size)) return false;
    for (at++; at < size && memchr(blanks, head[at], sizeof blanks - 1) != NULL;) at++;
    return at == size || head[at] == '"' || head[at] == '}';
}

const struct tq_reader_ops tq_read_jsonl = {
    .open = jsonl_open, .close = jsonl_close, .next = jsonl_next, .progress = jsonl_progress, .place = jsonl_place};
