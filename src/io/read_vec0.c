#include "src/io/read_vec0.h"

#include <limits.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/io/read.h"
#include "src/io/vec0_columns.h"

/* Rows lie in chunks, those of one combination of partition keys together. For each chunk there is a row in <t>_chunks:
 * a bit for each place in use and the rowids, and a blob by its number in the table of each vector and metadata column:
 * one array of all its places. Texts over 12 bytes, auxiliary columns and text keys lie in tables by rowid. */

enum { BLOCK_BYTES = 1 << 18, TEXT_WITHIN = 12 };

/* A column of ours. */
struct part {
    struct tq_vec0_column column;
    char *table;        /* of its blobs, or NULL */
    size_t row_bytes;   /* 0: a bit */
    sqlite3_blob *blob; /* of the chunk at hand */
    uint8_t *block;     /* some rows of it: block_rows from `first` on */
    size_t block_bytes, first, block_rows;
    float *vector;
    char text[TEXT_WITHIN + 1];
    sqlite3_stmt *by_rowid; /* auxiliary column, long text, text key: found by rowid */
};

struct vec0_state {
    struct tq_database database;
    struct tq_sqlite_table table;
    struct tq_vec0_columns columns;
    struct part *parts; /* of reader->columns; the key's, where it is read, is parts[0] */
    size_t part_count;
    bool with_key;
    sqlite3_stmt *chunks; /* chunk_id, size, validity, rowids, partition keys */
    int64_t chunk, rowid;
    size_t places, place;          /* of the chunk; the next one to look at */
    const uint8_t *valid, *rowids; /* borrowed from `chunks` */
    uint64_t rows, done;
    bool ended;
};

static enum tq_status damaged(const struct vec0_state *state, const char *what) {
    return tq_fail(TQ_FORMAT, "%s: table %s is damaged: chunk %lld, %s", state->database.path, state->table.name,
                   (long long)state->chunk, what);
}

/* ---- Statements ---- */

static enum tq_status check_table(const struct vec0_state *state, const char *ending,
                                  const struct tq_vec0_column *one) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    enum tq_status status = tq_database_prepare(
        &state->database, &statement,
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = %Q||%Q COLLATE NOCASE"
        " AND sql LIKE 'CREATE TABLE%%'",
        state->table.name, ending);
    if (status == TQ_OK) status = tq_database_step(&state->database, statement, &row);
    (void)sqlite3_finalize(statement);
    if (status != TQ_OK || row) return status;
    if (one != NULL && one->apart) {
        return tq_fail(TQ_UNSUPPORTED,
                       "%s: table %s keeps column %s in an index of sqlite-vec; where that is loaded, INSERT INTO .. "
                       "SELECT .. copies it",
                       state->database.path, state->table.name, one->name);
    }
    return tq_fail(TQ_FORMAT, "%s: table %s is damaged: there is no table %s%s", state->database.path,
                   state->table.name, state->table.name, ending);
}

static enum tq_status prepare_by_rowid(const struct vec0_state *state, struct part *part, const char *ending,
                                       const char *column) {
    TQ_TRY(check_table(state, ending, NULL));
    return tq_database_prepare(&state->database, &part->by_rowid, "SELECT \"%w\" FROM \"%w%w\" WHERE rowid = ?1",
                               column, state->table.name, ending);
}

static enum tq_status prepare_chunks(struct vec0_state *state) {
    sqlite3_str *list = sqlite3_str_new(state->database.db);
    for (size_t i = 0; i < state->columns.count; i++) {
        const struct tq_vec0_column *column = &state->columns.list[i];
        if (column->kind == TQ_VEC0_PARTITION) sqlite3_str_appendf(list, ", partition%02d", column->number);
    }
    char *partitions = sqlite3_str_finish(list);
    enum tq_status status = check_table(state, "_chunks", NULL);
    if (status == TQ_OK) {
        status = tq_database_prepare(&state->database, &state->chunks,
                                     "SELECT chunk_id, size, validity, rowids%s FROM \"%w_chunks\" ORDER BY chunk_id",
                                     partitions == NULL ? "" : partitions, state->table.name);
    }
    sqlite3_free(partitions);
    return status;
}

/* ---- Columns ---- */

static enum tq_status open_key(struct tq_reader *reader) {
    struct vec0_state *state = reader->state;
    const struct tq_vec0_columns *columns = &state->columns;
    const char *option = reader->options.key;
    bool key = option == NULL || sqlite3_stricmp(option, columns->key) == 0;
    if (!tq_reader_wants(reader, columns->key)) return TQ_OK;
    state->with_key = true;
    struct part *part = &state->parts[state->part_count++];
    enum tq_type type = columns->key_is_text ? TQ_TYPE_TEXT : TQ_TYPE_INTEGER;
    TQ_TRY(tq_reader_column(reader, columns->key, type, 0, key));
    return columns->key_is_text ? prepare_by_rowid(state, part, "_rowids", "id") : TQ_OK;
}

static enum tq_status open_part(struct tq_reader *reader, const struct tq_vec0_column *column) {
    struct vec0_state *state = reader->state;
    struct part *part = &state->parts[state->part_count];
    char ending[32], name[16];
    part->column = *column;
    const char *store = tq_vec0_store(column, &part->row_bytes);
    const char *key = reader->options.key;
    if (!tq_reader_wants(reader, column->name)) return TQ_OK;
    state->part_count++;
    TQ_TRY(tq_reader_column(reader, column->name, column->type, column->dim,
                            key != NULL && sqlite3_stricmp(key, column->name) == 0));
    (void)sqlite3_snprintf(sizeof name, name, "value%02d", column->number);
    if (column->kind == TQ_VEC0_AUXILIARY) return prepare_by_rowid(state, part, "_auxiliary", name);
    if (store == NULL) return TQ_OK;
    (void)sqlite3_snprintf(sizeof ending, ending, "_%s%02d", store, column->number);
    TQ_TRY(check_table(state, ending, column));
    part->table = sqlite3_mprintf("%s%s", state->table.name, ending);
    if (part->table == NULL) return tq_fail(TQ_NOMEM, "%s: out of memory", reader->path);
    if (column->type == TQ_TYPE_VECTOR) {
        part->vector = tq_alloc_array(column->dim, sizeof *part->vector);
        if (part->vector == NULL) return TQ_NOMEM;
    }
    (void)sqlite3_snprintf(sizeof ending, ending, "_metadatatext%02d", column->number);
    return column->kind == TQ_VEC0_TEXT ? prepare_by_rowid(state, part, ending, "data") : TQ_OK;
}

static enum tq_status open_columns(struct tq_reader *reader) {
    struct vec0_state *state = reader->state;
    const struct tq_vec0_columns *columns = &state->columns;
    const char *vector = reader->options.vector, *key = reader->options.key;
    bool vector_found = vector == NULL || vector[0] == '\0';
    bool key_found = key == NULL || key[0] == '\0' || sqlite3_stricmp(key, columns->key) == 0;
    state->parts = tq_alloc_zero((columns->count + 1) * sizeof *state->parts);
    if (state->parts == NULL) return TQ_NOMEM;
    TQ_TRY(open_key(reader));
    for (size_t i = 0; i < columns->count; i++) {
        const struct tq_vec0_column *column = &columns->list[i];
        key_found = key_found || sqlite3_stricmp(key, column->name) == 0;
        bool named = vector == NULL || sqlite3_stricmp(vector, column->name) == 0;
        vector_found = vector_found || (named && column->type == TQ_TYPE_VECTOR);
        if (column->type != TQ_TYPE_VECTOR || named) TQ_TRY(open_part(reader, column));
    }
    if (vector_found && key_found) return TQ_OK;
    return tq_fail(TQ_NOT_FOUND, "%s: table %s has no %s column %.60s", reader->path, state->table.name,
                   vector_found ? "key" : "vector", vector_found ? key : vector);
}

/* ---- Chunks ---- */

static bool is_valid(const struct vec0_state *state, size_t place) {
    return (state->valid[place / CHAR_BIT] >> place % CHAR_BIT & 1) != 0;
}

/* The next row of `chunks`. Every size is checked against the others before a place is looked at. */
static enum tq_status next_chunk(struct vec0_state *state) {
    bool row = false;
    int64_t before = state->chunk;
    TQ_TRY(tq_database_step(&state->database, state->chunks, &row));
    state->places = state->place = 0;
    state->ended = !row;
    if (!row) return TQ_OK;
    int64_t size = sqlite3_column_int64(state->chunks, 1);
    state->chunk = sqlite3_column_int64(state->chunks, 0);
    state->valid = sqlite3_column_blob(state->chunks, 2);
    state->rowids = sqlite3_column_blob(state->chunks, 3);
    int64_t valid_bytes = sqlite3_column_bytes(state->chunks, 2), rowid_bytes = sqlite3_column_bytes(state->chunks, 3);
    if (state->chunk <= before) return damaged(state, "whose number does not ascend");
    if (size < 1 || size % CHAR_BIT != 0 || valid_bytes != size / CHAR_BIT ||
        rowid_bytes != size * (int64_t)sizeof(int64_t)) {
        return damaged(state, "whose size and lists disagree");
    }
    for (size_t i = 0; i < state->part_count; i++) state->parts[i].block_rows = 0;
    state->places = (size_t)size;
    return TQ_OK;
}

static enum tq_status count_rows(struct vec0_state *state) {
    for (;;) {
        TQ_TRY(next_chunk(state));
        if (state->ended) break;
        for (size_t i = 0; i < state->places; i++) state->rows += is_valid(state, i);
    }
    (void)sqlite3_reset(state->chunks);
    state->chunk = INT64_MIN;
    state->ended = false;
    state->places = state->place = 0;
    return TQ_OK;
}

/* ---- Life ---- */

enum tq_status tq_vec0_open(struct tq_reader *reader, struct tq_database *database, struct tq_sqlite_table *table) {
    struct vec0_state *state = tq_alloc_zero(sizeof *state);
    struct tq_virtual_table definition;
    char wrong[48];
    reader->state = state;
    if (state == NULL) {
        tq_sqlite_table_free(table);
        tq_database_close(database);
        return TQ_NOMEM;
    }
    reader->ops = &tq_read_vec0;
    state->database = *database;
    state->table = *table;
    state->chunk = INT64_MIN;
    if (!tq_virtual_table_read(state->table.sql, &definition) ||
        !tq_vec0_columns_read(definition.arguments, &state->columns, wrong)) {
        return tq_fail(TQ_FORMAT, "%s: table %s: \"%s\" is not understood", reader->path, state->table.name, wrong);
    }
    TQ_TRY(open_columns(reader));
    TQ_TRY(prepare_chunks(state));
    TQ_TRY(count_rows(state));
    reader->info.rows = state->rows;
    reader->info.has_metric = state->columns.has_metric;
    reader->info.metric = state->columns.metric;
    return TQ_OK;
}

static void vec0_close(struct tq_reader *reader) {
    struct vec0_state *state = reader->state;
    if (state == NULL) return;
    for (size_t i = 0; i < state->part_count; i++) {
        struct part *part = &state->parts[i];
        (void)sqlite3_blob_close(part->blob);
        (void)sqlite3_finalize(part->by_rowid);
        sqlite3_free(part->table);
        tq_free(part->block);
        tq_free(part->vector);
    }
    tq_free(state->parts);
    (void)sqlite3_finalize(state->chunks);
    tq_sqlite_table_free(&state->table);
    tq_database_close(&state->database);
    tq_free(state);
}

/* ---- Values ---- */

/* The blob of the chunk at hand, if it is as long as it must be. */
static enum tq_status open_blob(struct vec0_state *state, struct part *part) {
    size_t bytes = part->row_bytes == 0 ? state->places / CHAR_BIT : state->places * part->row_bytes;
    sqlite3 *db = state->database.db;
    int rc = SQLITE_OK;
    char what[200];
    if (part->blob == NULL)
        rc = sqlite3_blob_open(db, "main", part->table,
                               part->column.type == TQ_TYPE_VECTOR || part->column.kind == TQ_VEC0_BITS ? "vectors"
                                                                                                        : "data",
                               state->chunk, 0, &part->blob);
    else
        rc = sqlite3_blob_reopen(part->blob, state->chunk);
    if (rc != SQLITE_OK) {
        enum tq_status status = tq_database_fail(&state->database);
        (void)sqlite3_blob_close(part->blob);
        part->blob = NULL;
        return status;
    }
    if ((size_t)sqlite3_blob_bytes(part->blob) == bytes) return TQ_OK;
    (void)sqlite3_snprintf(sizeof what, what, "column %s: %d bytes for %d places", part->column.name,
                           sqlite3_blob_bytes(part->blob), (int)state->places);
    return damaged(state, what);
}

/* Have the bytes of a place, and of some behind it. *bytes: where they are; of a bit: the byte it is in. */
static enum tq_status take_bytes(struct vec0_state *state, struct part *part, size_t place, const uint8_t **bytes) {
    size_t size = part->row_bytes == 0 ? 1 : part->row_bytes, unit = part->row_bytes == 0 ? place / CHAR_BIT : place;
    size_t all = part->row_bytes == 0 ? state->places / CHAR_BIT : state->places;
    if (part->block_rows == 0) TQ_TRY(open_blob(state, part));
    if (part->block_rows == 0 || unit < part->first || unit >= part->first + part->block_rows) {
        part->first = unit;
        part->block_rows = tq_min_size(tq_max_size(BLOCK_BYTES / size, 1), all - unit);
        if (part->block_bytes < part->block_rows * size) {
            tq_free(part->block);
            part->block_bytes = part->block_rows * size;
            part->block = tq_alloc(part->block_bytes);
            if (part->block == NULL) {
                part->block_bytes = part->block_rows = 0;
                return TQ_NOMEM;
            }
        }
        int rc = sqlite3_blob_read(part->blob, part->block, (int)(part->block_rows * size), (int)(unit * size));
        if (rc != SQLITE_OK) return tq_database_fail(&state->database);
    }
    *bytes = part->block + (unit - part->first) * size;
    return TQ_OK;
}

static enum tq_status take_by_rowid(const struct vec0_state *state, const struct part *part, struct tq_value *value) {
    bool row = false;
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    (void)sqlite3_reset(part->by_rowid);
    if (sqlite3_bind_int64(part->by_rowid, 1, state->rowid) != SQLITE_OK) return tq_database_fail(&state->database);
    TQ_TRY(tq_database_step(&state->database, part->by_rowid, &row));
    if (row) tq_sqlite_value(part->by_rowid, 0, value);
    return TQ_OK;
}

/* The length, and the first 12 bytes: the text itself if it is no longer. */
static enum tq_status take_text(const struct vec0_state *state, struct part *part, const uint8_t *bytes,
                                struct tq_value *value) {
    int32_t size = 0;
    memcpy(&size, bytes, sizeof size);
    if (size > TEXT_WITHIN) {
        TQ_TRY(take_by_rowid(state, part, value));
        if (value->type == TQ_TYPE_TEXT && value->size == (size_t)size) return TQ_OK;
    }
    if (size < 0 || size > TEXT_WITHIN) return damaged(state, "a text that is not as long as it should be");
    memcpy(part->text, bytes + sizeof size, TEXT_WITHIN);
    part->text[size] = '\0';
    *value = (struct tq_value){.type = TQ_TYPE_TEXT, .size = (size_t)size, .text = part->text};
    return TQ_OK;
}

static void widen(const struct part *part, const uint8_t *bytes, struct tq_value *value) {
    if (part->column.kind == TQ_VEC0_F32)
        memcpy(part->vector, bytes, part->row_bytes);
    else
        for (size_t i = 0; i < part->column.dim; i++) part->vector[i] = (float)(int8_t)bytes[i];
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = part->column.dim, .vector = part->vector};
}

static enum tq_status take_chunk_value(struct vec0_state *state, struct part *part, size_t place,
                                       struct tq_value *value) {
    const uint8_t *bytes = NULL;
    TQ_TRY(take_bytes(state, part, place, &bytes));
    *value = (struct tq_value){.type = part->column.type};
    switch (part->column.kind) {
    case TQ_VEC0_BOOLEAN: value->integer = bytes[0] >> place % CHAR_BIT & 1; break;
    case TQ_VEC0_INTEGER: memcpy(&value->integer, bytes, sizeof value->integer); break;
    case TQ_VEC0_REAL: memcpy(&value->real, bytes, sizeof value->real); break;
    case TQ_VEC0_TEXT: return take_text(state, part, bytes, value);
    case TQ_VEC0_BITS:
        value->blob = bytes;
        value->size = part->row_bytes;
        break;
    default: widen(part, bytes, value); break;
    }
    return TQ_OK;
}

static enum tq_status take_key(struct vec0_state *state, struct tq_value *value) {
    *value = (struct tq_value){.type = TQ_TYPE_INTEGER, .integer = state->rowid};
    if (!state->columns.key_is_text) return TQ_OK;
    TQ_TRY(take_by_rowid(state, &state->parts[0], value));
    return value->type == TQ_TYPE_TEXT ? TQ_OK : damaged(state, "a row whose key is missing");
}

static enum tq_status take_value(struct vec0_state *state, size_t number, size_t place, struct tq_value *value) {
    struct part *part = &state->parts[number];
    if (number == 0 && state->with_key) return take_key(state, value);
    if (part->table != NULL) return take_chunk_value(state, part, place, value);
    if (part->column.kind == TQ_VEC0_AUXILIARY) return take_by_rowid(state, part, value);
    tq_sqlite_value(state->chunks, 4 + part->column.number, value);
    return TQ_OK;
}

/* ---- Rows ---- */

static enum tq_status next_place(struct vec0_state *state, size_t *place, bool *end) {
    for (;;) {
        while (state->place < state->places && !is_valid(state, state->place)) state->place++;
        if (state->place < state->places || state->ended) break;
        TQ_TRY(next_chunk(state));
    }
    *end = state->ended;
    if (*end) return TQ_OK;
    *place = state->place++;
    memcpy(&state->rowid, state->rowids + *place * sizeof state->rowid, sizeof state->rowid);
    state->done++;
    return TQ_OK;
}

static enum tq_status vec0_next(struct tq_reader *reader, bool *end) {
    struct vec0_state *state = reader->state;
    size_t place = 0;
    *end = state->ended;
    if (*end) return TQ_OK;
    TQ_TRY(next_place(state, &place, end));
    for (size_t i = 0; !*end && i < state->part_count; i++) TQ_TRY(take_value(state, i, place, &reader->values[i]));
    return TQ_OK;
}

static enum tq_status vec0_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    size_t place = 0;
    for (bool end = false; *skipped < count; ++*skipped) {
        TQ_TRY(next_place(reader->state, &place, &end));
        if (end) break;
    }
    return TQ_OK;
}

static double vec0_progress(const struct tq_reader *reader) {
    const struct vec0_state *state = reader->state;
    return state->rows == 0 ? 1 : (double)state->done / (double)state->rows;
}

static void vec0_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct vec0_state *state = reader->state;
    (void)sqlite3_snprintf((int)size, text, "%s, table %s, rowid %lld", reader->path, state->table.name,
                           (long long)state->rowid);
}

const struct tq_reader_ops tq_read_vec0 = {
    .close = vec0_close, .next = vec0_next, .skip = vec0_skip, .progress = vec0_progress, .place = vec0_place};
