#include "src/io/sqlite_table.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/base/json_vector.h"
#include "src/base/vector_blob.h"
#include "src/io/reader.h"

enum { SAMPLE_ROWS = 1000, SAMPLE_BYTES = 1 << 22, SAMPLE_DIM_MIN = 2 };

static char *copy_text(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = tq_alloc(bytes);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

void tq_sqlite_table_free(struct tq_sqlite_table *table) {
    for (size_t i = 0; i < table->column_count; i++) tq_free(table->columns[i].name);
    tq_free(table->columns);
    tq_free(table->name);
    tq_free(table->sql);
    *table = (struct tq_sqlite_table){0};
}

size_t tq_sqlite_table_place(const struct tq_sqlite_table *table, const char *name, size_t size) {
    size_t place = 0;
    for (; place < table->column_count; place++) {
        const char *own = table->columns[place].name;
        if (strlen(own) == size && sqlite3_strnicmp(own, name, (int)size) == 0) break;
    }
    return place;
}

/* ---- Columns as declared ---- */

static bool has_part(const char *type, const char *part) {
    for (size_t size = strlen(part); *type != '\0'; type++)
        if (sqlite3_strnicmp(type, part, (int)size) == 0) return true;
    return false;
}

/* By the rules of datatype3.html, section 3.1. */
static enum tq_type declared_type(const char *type) {
    static const struct {
        const char *part;
        enum tq_type type;
    } rules[] = {{"INT", TQ_TYPE_INTEGER}, {"CHAR", TQ_TYPE_TEXT}, {"CLOB", TQ_TYPE_TEXT}, {"TEXT", TQ_TYPE_TEXT},
                 {"BLOB", TQ_TYPE_BLOB},   {"REAL", TQ_TYPE_REAL}, {"FLOA", TQ_TYPE_REAL}, {"DOUB", TQ_TYPE_REAL}};
    for (size_t i = 0; i < TQ_COUNT(rules); i++)
        if (has_part(type, rules[i].part)) return rules[i].type;
    return TQ_TYPE_NULL;
}

static enum tq_status add_column(struct tq_sqlite_table *table, const char *name, const char *type, bool primary_key) {
    size_t bytes = table->column_count * sizeof *table->columns;
    struct tq_sqlite_column *columns = tq_realloc(table->columns, bytes, bytes + sizeof *columns);
    if (columns == NULL) return TQ_NOMEM;
    table->columns = columns;
    columns[table->column_count] = (struct tq_sqlite_column){
        .name = copy_text(name), .type = declared_type(type), .primary_key = primary_key};
    return columns[table->column_count++].name == NULL ? TQ_NOMEM : TQ_OK;
}

static const char *text_of(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text == NULL ? "" : text;
}

static enum tq_status add_columns(const struct tq_database *database, struct tq_sqlite_table *table) {
    sqlite3_stmt *list = NULL;
    bool row = false;
    size_t keys = 0, key = 0;
    enum tq_status status = tq_database_prepare(
        database, &list, "SELECT name, type, pk FROM pragma_table_xinfo(%Q) WHERE hidden <> 1", table->name);
    while (status == TQ_OK && (status = tq_database_step(database, list, &row)) == TQ_OK && row) {
        bool primary_key = sqlite3_column_int(list, 2) > 0;
        if (primary_key) key = table->column_count;
        keys += primary_key;
        status = add_column(table, text_of(list, 0), text_of(list, 1), primary_key);
    }
    (void)sqlite3_finalize(list);
    table->key = keys == 1 ? key : table->column_count;
    if (status == TQ_OK && table->column_count == 0) {
        return tq_fail(TQ_FORMAT, "%s: table %s has no columns", database->path, table->name);
    }
    return status;
}

/* A name of the rowid that no column has taken; none where the table is WITHOUT ROWID. */
static void find_rowid(const struct tq_database *database, struct tq_sqlite_table *table) {
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    sqlite3_stmt *statement = NULL;
    for (size_t i = 0; i < TQ_COUNT(names) && table->rowid == NULL; i++)
        if (tq_sqlite_table_place(table, names[i], strlen(names[i])) == table->column_count) table->rowid = names[i];
    if (table->rowid == NULL) return;
    if (tq_database_prepare(database, &statement, "SELECT %s FROM \"%w\"", table->rowid, table->name) != TQ_OK) {
        table->rowid = NULL;
    }
    (void)sqlite3_finalize(statement);
}

/* ---- Columns as they are ---- */

struct sample {
    uint64_t values, vectors; /* of them that are not NULL */
    size_t dim;
    int type;   /* of all values so far */
    bool mixed; /* there is no such type */
};

static enum tq_status look_at_value(sqlite3_stmt *rows, int column, struct sample *sample, struct tq_floats *floats) {
    int type = sqlite3_column_type(rows, column);
    if (type == SQLITE_NULL) return TQ_OK;
    if (sample->values++ == 0) sample->type = type;
    sample->mixed = sample->mixed || type != sample->type;
    if (sample->vectors + 1 < sample->values || sqlite3_column_bytes(rows, column) == 0) return TQ_OK;
    size_t size = (size_t)sqlite3_column_bytes(rows, column), dim = 0;
    if (type == SQLITE_BLOB && tq_blob_is_vector(sqlite3_column_blob(rows, column), size)) {
        dim = size / sizeof(float);
    } else if (type == SQLITE_TEXT) {
        enum tq_status status = tq_text_vector(text_of(rows, column), size, floats, &dim);
        if (status == TQ_NOMEM) return status;
        if (status != TQ_OK) dim = 0;
    }
    if (sample->vectors == 0) sample->dim = dim;
    if (dim >= SAMPLE_DIM_MIN && dim <= TQ_DIM_MAX && dim == sample->dim) sample->vectors++;
    return TQ_OK;
}

static void conclude(struct tq_sqlite_table *table, const struct sample *samples) {
    static const enum tq_type types[] = {[SQLITE_INTEGER] = TQ_TYPE_INTEGER,
                                         [SQLITE_FLOAT] = TQ_TYPE_REAL,
                                         [SQLITE_TEXT] = TQ_TYPE_TEXT,
                                         [SQLITE_BLOB] = TQ_TYPE_BLOB};
    for (size_t i = 0; i < table->column_count; i++) {
        struct tq_sqlite_column *column = &table->columns[i];
        const struct sample *sample = &samples[i];
        if (sample->values == 0) continue;
        if (column->type == TQ_TYPE_NULL && !sample->mixed) column->type = types[sample->type];
        if (sample->vectors == sample->values && i != table->key) column->dim = (uint32_t)sample->dim;
    }
}

static enum tq_status take_sample(const struct tq_database *database, struct tq_sqlite_table *table) {
    struct tq_floats floats = {0};
    sqlite3_stmt *rows = NULL;
    bool row = false;
    struct sample *samples = tq_alloc_zero(table->column_count * sizeof *samples);
    if (samples == NULL) return TQ_NOMEM;
    enum tq_status status = tq_database_prepare(database, &rows, "SELECT * FROM \"%w\" LIMIT %d", table->name,
                                                (int)SAMPLE_ROWS);
    for (size_t bytes = 0; status == TQ_OK && bytes < SAMPLE_BYTES;) {
        status = tq_database_step(database, rows, &row);
        if (status != TQ_OK || !row) break;
        for (size_t i = 0; i < table->column_count && status == TQ_OK; i++) {
            status = look_at_value(rows, (int)i, &samples[i], &floats);
            bytes += (size_t)sqlite3_column_bytes(rows, (int)i);
        }
    }
    (void)sqlite3_finalize(rows);
    if (status == TQ_OK) conclude(table, samples);
    tq_free(floats.data);
    tq_free(samples);
    return status;
}

/* ---- One table ---- */

static enum tq_status no_module(const struct tq_database *database, const struct tq_sqlite_table *table,
                                const struct tq_virtual_table *virtual) {
    char *name = sqlite3_mprintf("%.*s", (int)tq_min_size(virtual->module_size, 40), virtual->module);
    enum tq_status status = tq_fail(
        TQ_UNSUPPORTED,
        "%s: table %s is a virtual table of module %s, which is not loaded here; in a program that has it: "
        "ATTACH '%s' AS other; INSERT INTO .. SELECT .. FROM other.%s",
        database->path, table->name, name == NULL ? "?" : name, database->path, table->name);
    sqlite3_free(name);
    return status;
}

static enum tq_status describe(const struct tq_database *database, const char *name, const char *sql, bool view,
                               struct tq_sqlite_table *table) {
    struct tq_virtual_table virtual = {0};
    *table = (struct tq_sqlite_table){.name = copy_text(name), .sql = copy_text(sql), .kind = TQ_SQLITE_OTHER};
    if (table->name == NULL || table->sql == NULL) return TQ_NOMEM;
    bool is_virtual = !view && tq_virtual_table_read(sql, &virtual);
    if (is_virtual && tq_virtual_table_is(&virtual, "vec0")) {
        table->kind = TQ_SQLITE_VEC0;
        return TQ_OK;
    }
    enum tq_status status = add_columns(database, table);
    if (status != TQ_OK && is_virtual && strstr(tq_message(), "no such module") != NULL) {
        return no_module(database, table, &virtual);
    }
    TQ_TRY(status);
    if (!view) find_rowid(database, table);
    if (table->rowid != NULL) table->kind = is_virtual ? TQ_SQLITE_VIRTUAL : TQ_SQLITE_ROWIDS;
    return take_sample(database, table);
}

/* ---- Which table ---- */

static enum tq_status prepare_list(const struct tq_database *database, sqlite3_stmt **list) {
    /* Tables that begin as a virtual one does hold its data. */
    return tq_database_prepare(
        database, list,
        "SELECT name, coalesce(sql, ''), type = 'view', sql LIKE 'CREATE VIRTUAL %%' FROM sqlite_master AS t"
        " WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' AND NOT EXISTS (SELECT 1 FROM"
        " sqlite_master AS v WHERE v.type = 'table' AND v.sql LIKE 'CREATE VIRTUAL %%'"
        " AND substr(t.name, 1, length(v.name) + 1) = v.name || '_') ORDER BY t.rowid");
}

/* ", name" behind what is in `list` already, as long as there is room. */
static void add_to_list(char *list, size_t size, const char *name) {
    size_t used = strlen(list);
    if (used + strlen(name) + 8 < size)
        (void)sqlite3_snprintf((int)(size - used), list + used, "%s%s", used > 0 ? ", " : "", name);
    else if (used > 3 && strcmp(list + used - 3, "...") != 0)
        (void)sqlite3_snprintf((int)(size - used), list + used, ", ...");
}

static enum tq_status find_named(const struct tq_database *database, const char *part, struct tq_sqlite_table *table) {
    sqlite3_stmt *one = NULL;
    bool row = false;
    char names[200] = "";
    enum tq_status status = tq_database_prepare(
        database, &one,
        "SELECT name, coalesce(sql, ''), type = 'view' FROM sqlite_master WHERE type IN ('table', 'view')"
        " AND name = %Q COLLATE NOCASE",
        part);
    if (status == TQ_OK) status = tq_database_step(database, one, &row);
    if (status == TQ_OK && row) {
        status = describe(database, text_of(one, 0), text_of(one, 1), sqlite3_column_int(one, 2) != 0, table);
    }
    (void)sqlite3_finalize(one);
    if (status != TQ_OK || row) return status;
    TQ_TRY(prepare_list(database, &one));
    while (tq_database_step(database, one, &row) == TQ_OK && row) add_to_list(names, sizeof names, text_of(one, 0));
    (void)sqlite3_finalize(one);
    return tq_fail(TQ_NOT_FOUND, "%s: there is no table %.60s; tables: %s", database->path, part,
                   names[0] == '\0' ? "none" : names);
}

static bool has_vectors(const struct tq_sqlite_table *table, const char *wanted) {
    if (table->kind == TQ_SQLITE_VEC0) return true;
    if (wanted != NULL) {
        const char *dots = strstr(wanted, "..");
        size_t size = dots == NULL ? strlen(wanted) : (size_t)(dots - wanted);
        return size == 0 || tq_sqlite_table_place(table, wanted, size) < table->column_count ||
               tq_sqlite_table_place(table, wanted, strlen(wanted)) < table->column_count;
    }
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].dim > 0) return true;
    return false;
}

/* A view may be slow, and shows what a table has already: it must be named. Tables of a module that is not loaded are
 * told of if there are no others. */
static enum tq_status find_only(const struct tq_database *database, const char *vector, struct tq_sqlite_table *table) {
    sqlite3_stmt *list = NULL;
    bool row = false;
    size_t found = 0;
    char all[200] = "", fitting[200] = "", foreign[200] = "";
    enum tq_status status = prepare_list(database, &list);
    while (status == TQ_OK && (status = tq_database_step(database, list, &row)) == TQ_OK && row) {
        struct tq_sqlite_table one = {0};
        const char *name = text_of(list, 0);
        add_to_list(all, sizeof all, name);
        if (sqlite3_column_int(list, 2) != 0) continue;
        status = describe(database, name, text_of(list, 1), false, &one);
        bool fits = status == TQ_OK && has_vectors(&one, vector);
        if (status == TQ_UNSUPPORTED) (void)sqlite3_snprintf(sizeof foreign, foreign, "%s", name);
        if (status == TQ_UNSUPPORTED) status = TQ_OK;
        if (fits) add_to_list(fitting, sizeof fitting, name);
        if (fits && found++ == 0)
            *table = one;
        else
            tq_sqlite_table_free(&one);
    }
    (void)sqlite3_finalize(list);
    if (status != TQ_OK || found == 1) return status;
    if (found > 1) {
        return tq_fail(TQ_MISUSE, "%s: several tables have vectors; name one of them: %s", database->path, fitting);
    }
    if (foreign[0] != '\0') return find_named(database, foreign, table);
    if (all[0] == '\0') return tq_fail(TQ_NOT_FOUND, "%s: there is no table", database->path);
    return tq_fail(TQ_NOT_FOUND, "%s: no table has a column that looks like vectors; name one of them: %s",
                   database->path, all);
}

enum tq_status tq_database_table(const struct tq_database *database, const struct tq_reader_options *options,
                                 struct tq_sqlite_table *table) {
    *table = (struct tq_sqlite_table){0};
    if (options->part != NULL) return find_named(database, options->part, table);
    return find_only(database, options->vector, table);
}
