#include <string.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"
#include "src/base/json_vector.h"
#include "src/io/read.h"
#include "src/io/read_vec0.h"
#include "src/io/sqlite_table.h"

/* A column of ours: a value of the statement, or a vector that one or several of them make. */
struct field {
    int first, count; /* in the statement */
    uint32_t dim;     /* 0: a plain value */
    struct tq_floats floats;
};

struct sqlite_state {
    struct tq_database database;
    struct tq_sqlite_table table;
    struct field *fields; /* of reader->columns, as many as there is room for */
    size_t field_count;
    size_t spread, spread_last; /* columns that make one vector, options.vector "a..b"; of `table` */
    sqlite3_stmt *rows;         /* column 0 is the rowid, and 1 + i the table's column i */
    int64_t rowid, least, most;
    bool begun, ended;
};

enum { KEY_IS_ROWID = -1, NO_KEY = -2 };

/* ---- Columns ---- */

static enum tq_status no_column(const struct sqlite_state *state, const char *name, size_t size) {
    char names[200] = "";
    for (size_t i = 0; i < state->table.column_count; i++) {
        size_t used = strlen(names);
        const char *own = state->table.columns[i].name;
        if (used + strlen(own) + 3 > sizeof names) break;
        (void)sqlite3_snprintf((int)(sizeof names - used), names + used, "%s%s", i > 0 ? ", " : "", own);
    }
    return tq_fail(TQ_NOT_FOUND, "%s: table %s has no column %.*s; it has %s", state->database.path, state->table.name,
                   (int)tq_min_size(size, 60), name, names);
}

static enum tq_status find_column(const struct sqlite_state *state, const char *name, size_t size, size_t *place) {
    *place = tq_sqlite_table_place(&state->table, name, size);
    return *place < state->table.column_count ? TQ_OK : no_column(state, name, size);
}

static enum tq_status find_key(const struct sqlite_state *state, const char *option, int *key) {
    size_t place = state->table.key;
    *key = NO_KEY;
    if (option != NULL && option[0] == '\0') return TQ_OK;
    if (option != NULL && state->table.rowid != NULL && sqlite3_stricmp(option, state->table.rowid) == 0) {
        *key = KEY_IS_ROWID;
        return TQ_OK;
    }
    if (option != NULL) TQ_TRY(find_column(state, option, strlen(option), &place));
    if (place < state->table.column_count)
        *key = (int)place;
    else if (state->table.rowid != NULL)
        *key = KEY_IS_ROWID;
    return TQ_OK;
}

/* The first value of a column that was named, where the sample did not show a vector: rows that differ are bad. */
static enum tq_status first_dim(const struct sqlite_state *state, size_t place, uint32_t *dim) {
    const char *name = state->table.columns[place].name;
    sqlite3_stmt *first = NULL;
    struct tq_floats floats = {0};
    bool row = false;
    size_t found = 0;
    enum tq_status status = tq_database_prepare(&state->database, &first,
                                                "SELECT \"%w\" FROM \"%w\" WHERE \"%w\" IS NOT NULL LIMIT 1", name,
                                                state->table.name, name);
    if (status == TQ_OK) status = tq_database_step(&state->database, first, &row);
    if (status == TQ_OK && row) {
        struct tq_value value;
        tq_sqlite_value(first, 0, &value);
        if (value.type == TQ_TYPE_BLOB && value.size % sizeof(float) == 0) found = value.size / sizeof(float);
        enum tq_status read = value.type == TQ_TYPE_TEXT ? tq_text_vector(value.text, value.size, &floats, &found)
                                                         : TQ_OK;
        if (read == TQ_NOMEM) status = read;
        if (read != TQ_OK) found = 0;
    }
    (void)sqlite3_finalize(first);
    tq_free(floats.data);
    *dim = found <= TQ_DIM_MAX ? (uint32_t)found : 0;
    if (status != TQ_OK || *dim != 0) return status;
    return tq_fail(TQ_FORMAT, "%s: table %s, column %s: %s", state->database.path, state->table.name, name,
                   row ? "its first value is neither a blob of float32 nor a JSON array of numbers"
                       : "it has no value; say how many dimensions there are");
}

/* options.vector: one column, or the first and last of several. */
static enum tq_status choose_vectors(struct tq_reader *reader, struct sqlite_state *state) {
    const char *option = reader->options.vector;
    struct tq_sqlite_table *table = &state->table;
    size_t place = 0;
    state->spread = state->spread_last = table->column_count;
    if (option == NULL) return TQ_OK;
    uint32_t *dims = NULL;
    const char *dots = strstr(option, "..");
    bool whole = tq_sqlite_table_place(table, option, strlen(option)) < table->column_count;
    if (option[0] != '\0' && (dots == NULL || whole)) {
        TQ_TRY(find_column(state, option, strlen(option), &place));
        dims = &table->columns[place].dim;
        if (*dims == 0) *dims = reader->options.dim;
        if (*dims == 0) TQ_TRY(first_dim(state, place, dims));
    } else if (option[0] != '\0') {
        TQ_TRY(find_column(state, option, (size_t)(dots - option), &state->spread));
        TQ_TRY(find_column(state, dots + 2, strlen(dots + 2), &state->spread_last));
        if (state->spread > state->spread_last) {
            return tq_fail(TQ_MISUSE, "%s: table %s has column %s behind %s", reader->path, table->name, option,
                           dots + 2);
        }
    }
    for (size_t i = 0; i < table->column_count; i++)
        if (dims != &table->columns[i].dim) table->columns[i].dim = 0;
    return TQ_OK;
}

static enum tq_status add_field(struct tq_reader *reader, const char *name, enum tq_type type, int first, int count,
                                uint32_t dim, bool key) {
    struct sqlite_state *state = reader->state;
    if (!tq_reader_wants(reader, name)) return TQ_OK;
    state->fields[state->field_count++] = (struct field){.first = first, .count = count, .dim = dim};
    return tq_reader_column(reader, name, dim > 0 ? TQ_TYPE_VECTOR : type, dim, key);
}

static enum tq_status add_fields(struct tq_reader *reader) {
    struct sqlite_state *state = reader->state;
    const struct tq_sqlite_table *table = &state->table;
    int key = NO_KEY;
    TQ_TRY(find_key(state, reader->options.key, &key));
    TQ_TRY(choose_vectors(reader, state));
    state->fields = tq_alloc_zero((table->column_count + 1) * sizeof *state->fields);
    if (state->fields == NULL) return TQ_NOMEM;
    if (key == KEY_IS_ROWID) TQ_TRY(add_field(reader, table->rowid, TQ_TYPE_INTEGER, 0, 1, 0, true));
    for (size_t i = 0; i < table->column_count; i++) {
        const struct tq_sqlite_column *column = &table->columns[i];
        size_t count = i == state->spread ? state->spread_last - i + 1 : 1;
        if (i == state->spread)
            TQ_TRY(add_field(reader, "embedding", TQ_TYPE_VECTOR, (int)i + 1, (int)count, (uint32_t)count, false));
        else
            TQ_TRY(add_field(reader, column->name, column->type, (int)i + 1, 1, column->dim, key == (int)i));
        i += count - 1;
    }
    return TQ_OK;
}

/* Columns that nobody wants are not read. */
static enum tq_status prepare_rows(struct sqlite_state *state) {
    const struct tq_sqlite_table *table = &state->table;
    sqlite3_str *list = sqlite3_str_new(state->database.db);
    for (size_t i = 0; i < table->column_count; i++) {
        bool wanted = false;
        for (size_t k = 0; k < state->field_count; k++) {
            const struct field *field = &state->fields[k];
            wanted = wanted || ((int)i + 1 >= field->first && (int)i + 1 < field->first + field->count);
        }
        sqlite3_str_appendf(list, wanted ? ", \"%w\"" : ", NULL", table->columns[i].name);
    }
    char *columns = sqlite3_str_finish(list);
    if (columns == NULL) return tq_fail(TQ_NOMEM, "%s: out of memory", state->database.path);
    enum tq_status status = tq_database_prepare(&state->database, &state->rows, "SELECT %s%s FROM \"%w\"%s%s",
                                                table->rowid == NULL ? "NULL" : table->rowid, columns, table->name,
                                                table->kind == TQ_SQLITE_ROWIDS ? " ORDER BY " : "",
                                                table->kind == TQ_SQLITE_ROWIDS ? table->rowid : "");
    sqlite3_free(columns);
    return status;
}

static enum tq_status find_bounds(struct sqlite_state *state) {
    sqlite3_stmt *bounds = NULL;
    bool row = false;
    const char *rowid = state->table.rowid, *name = state->table.name;
    if (state->table.kind != TQ_SQLITE_ROWIDS) return TQ_OK;
    enum tq_status status = tq_database_prepare(&state->database, &bounds,
                                                "SELECT (SELECT min(%s) FROM \"%w\"), (SELECT max(%s) FROM \"%w\")",
                                                rowid, name, rowid, name);
    if (status == TQ_OK) status = tq_database_step(&state->database, bounds, &row);
    if (status == TQ_OK && row) {
        state->least = sqlite3_column_int64(bounds, 0);
        state->most = sqlite3_column_int64(bounds, 1);
    }
    (void)sqlite3_finalize(bounds);
    return status;
}

/* ---- Life ---- */

static enum tq_status sqlite_open(struct tq_reader *reader) {
    struct sqlite_state *state = reader->state = tq_alloc_zero(sizeof *state);
    if (state == NULL) return TQ_NOMEM;
    TQ_TRY(tq_database_open(reader->path, &state->database));
    TQ_TRY(tq_database_table(&state->database, &reader->options, &state->table));
    if (state->table.kind == TQ_SQLITE_VEC0) {
        struct tq_database database = state->database;
        struct tq_sqlite_table table = state->table;
        tq_free(state);
        return tq_vec0_open(reader, &database, &table);
    }
    TQ_TRY(add_fields(reader));
    TQ_TRY(prepare_rows(state));
    return find_bounds(state);
}

static void sqlite_close(struct tq_reader *reader) {
    struct sqlite_state *state = reader->state;
    if (state == NULL) return;
    for (size_t i = 0; i < state->field_count; i++) tq_free(state->fields[i].floats.data);
    tq_free(state->fields);
    (void)sqlite3_finalize(state->rows);
    tq_sqlite_table_free(&state->table);
    tq_database_close(&state->database);
    tq_free(state);
}

/* ---- Rows ---- */

static void sqlite_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct sqlite_state *state = reader->state;
    if (state->table.rowid != NULL && state->begun)
        (void)sqlite3_snprintf((int)size, text, "%s, table %s, rowid %lld", reader->path, state->table.name,
                               (long long)state->rowid);
    else
        (void)sqlite3_snprintf((int)size, text, "%s, table %s, row %llu", reader->path, state->table.name,
                               (unsigned long long)(reader->row == 0 ? 0 : reader->row - 1));
}

static enum tq_status bad_value(const struct tq_reader *reader, size_t field, const char *why) {
    char place[400];
    sqlite_place(reader, place, sizeof place);
    return tq_fail(TQ_MISUSE, "%s, column %s: %s", place, reader->columns[field].name, why);
}

void tq_sqlite_value(sqlite3_stmt *row, int column, struct tq_value *value) {
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        value->type = TQ_TYPE_INTEGER;
        value->integer = sqlite3_column_int64(row, column);
        break;
    case SQLITE_FLOAT:
        value->type = TQ_TYPE_REAL;
        value->real = sqlite3_column_double(row, column);
        break;
    case SQLITE_TEXT:
        value->text = (const char *)sqlite3_column_text(row, column);
        value->size = (size_t)sqlite3_column_bytes(row, column);
        if (value->text != NULL) value->type = TQ_TYPE_TEXT;
        break;
    case SQLITE_BLOB:
        value->type = TQ_TYPE_BLOB;
        value->blob = sqlite3_column_blob(row, column);
        value->size = (size_t)sqlite3_column_bytes(row, column);
        break;
    default: break;
    }
}

/* Texts too: what came from a CSV file is often kept so. */
static bool take_number(sqlite3_stmt *row, int column, float *number) {
    int type = sqlite3_column_type(row, column);
    if (type != SQLITE_TEXT) {
        *number = (float)sqlite3_column_double(row, column);
        return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    }
    const char *text = (const char *)sqlite3_column_text(row, column);
    const char *end = text == NULL ? NULL : text + sqlite3_column_bytes(row, column);
    return text != NULL && tq_decimal_f32(&text, end, TQ_DECIMAL_LOOSE, number) && text == end;
}

static enum tq_status take_spread(const struct tq_reader *reader, size_t place, struct tq_value *value) {
    const struct sqlite_state *state = reader->state;
    const struct field *field = &state->fields[place];
    for (int i = 0; i < field->count; i++) {
        char why[200];
        if (take_number(state->rows, field->first + i, &field->floats.data[i])) continue;
        (void)sqlite3_snprintf(sizeof why, why, "%s is no number", state->table.columns[field->first + i - 1].name);
        return bad_value(reader, place, why);
    }
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = field->dim, .vector = field->floats.data};
    return TQ_OK;
}

static enum tq_status take_vector(const struct tq_reader *reader, size_t place, struct tq_value *value) {
    struct sqlite_state *state = reader->state;
    struct field *field = &state->fields[place];
    struct tq_value found;
    size_t dim = 0;
    char why[300];
    TQ_TRY(tq_floats_reserve(&field->floats, field->dim));
    if (field->count > 1 || state->spread == (size_t)field->first - 1) return take_spread(reader, place, value);
    tq_sqlite_value(state->rows, field->first, &found);
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    if (found.type == TQ_TYPE_NULL) return TQ_OK;
    if (found.type != TQ_TYPE_BLOB && found.type != TQ_TYPE_TEXT)
        return bad_value(reader, place, "a number, no vector");
    if (found.type == TQ_TYPE_TEXT) {
        enum tq_status status = tq_text_vector(found.text, found.size, &field->floats, &dim);
        if (status == TQ_NOMEM) return status;
        (void)sqlite3_snprintf(sizeof why, why, "%s", tq_message());
        if (status != TQ_OK) return bad_value(reader, place, why);
    } else if (found.size == field->dim * sizeof(float)) {
        memcpy(field->floats.data, found.blob, found.size);
        dim = field->dim;
    } else {
        (void)sqlite3_snprintf(sizeof why, why, "a blob of %llu bytes; %u dimensions have %llu",
                               (unsigned long long)found.size, field->dim, (unsigned long long)field->dim * 4);
        return bad_value(reader, place, why);
    }
    (void)sqlite3_snprintf(sizeof why, why, "%llu dimensions, not %u", (unsigned long long)dim, field->dim);
    if (dim != field->dim) return bad_value(reader, place, why);
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = dim, .vector = field->floats.data};
    return TQ_OK;
}

/* One row further. Rowids that do not ascend come of a damaged file only, which might never end. */
static enum tq_status step(struct tq_reader *reader, bool *end) {
    struct sqlite_state *state = reader->state;
    bool row = false;
    *end = state->ended;
    if (state->ended) return TQ_OK;
    TQ_TRY(tq_database_step(&state->database, state->rows, &row));
    *end = state->ended = !row;
    if (!row || state->table.rowid == NULL) return TQ_OK;
    int64_t rowid = sqlite3_column_int64(state->rows, 0);
    if (state->begun && rowid <= state->rowid && state->table.kind == TQ_SQLITE_ROWIDS) {
        return tq_fail(TQ_FORMAT, "%s: table %s is damaged: rowid %lld follows %lld", reader->path, state->table.name,
                       (long long)rowid, (long long)state->rowid);
    }
    state->begun = true;
    state->rowid = rowid;
    return TQ_OK;
}

static enum tq_status sqlite_next(struct tq_reader *reader, bool *end) {
    const struct sqlite_state *state = reader->state;
    TQ_TRY(step(reader, end));
    for (size_t i = 0; !*end && i < state->field_count; i++) {
        if (state->fields[i].dim > 0)
            TQ_TRY(take_vector(reader, i, &reader->values[i]));
        else
            tq_sqlite_value(state->rows, state->fields[i].first, &reader->values[i]);
    }
    return TQ_OK;
}

static enum tq_status sqlite_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    for (bool end = false; *skipped < count; ++*skipped) {
        TQ_TRY(step(reader, &end));
        if (end) break;
    }
    return TQ_OK;
}

static double sqlite_progress(const struct tq_reader *reader) {
    const struct sqlite_state *state = reader->state;
    if (state->ended) return 1;
    if (!state->begun || state->rowid <= state->least || state->table.kind != TQ_SQLITE_ROWIDS) return 0;
    if (state->rowid >= state->most) return 1; /* also where a damaged index gives any bounds */
    return ((double)state->rowid - (double)state->least) / ((double)state->most - (double)state->least);
}

const struct tq_reader_ops tq_read_sqlite = {.open = sqlite_open,
                                             .close = sqlite_close,
                                             .next = sqlite_next,
                                             .skip = sqlite_skip,
                                             .progress = sqlite_progress,
                                             .place = sqlite_place};
