/* A check as a whole: the snapshot, the tables, their parts, and to whom findings are told. */
#include "storage/check_tables.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/check_parts.h"
#include "storage/table_parts.h"

/* ---- Findings ---- */

static void tell(struct tq_check *check, const char *before, const char *format, va_list args) {
    char text[1200] = "";
    size_t size = strlen(before);
    memcpy(text, before, size);
    (void)vsnprintf(text + size, sizeof text - size, format, args);
    if (check->findings == 1 && size == 0) memcpy(check->first, text, sizeof check->first - 1);
    if (check->request->report != NULL) check->request->report(check->request->context, text);
}

void tq_check_found(struct tq_check *check, const char *format, ...) {
    va_list args;
    va_start(args, format);
    check->findings++;
    tell(check, "", format, args);
    va_end(args);
}

void tq_check_note(struct tq_check *check, const char *format, ...) {
    va_list args;
    va_start(args, format);
    tell(check, TQ_CHECK_NOTE, format, args);
    va_end(args);
}

enum tq_status tq_check_absorb(struct tq_check *check, const char *where, enum tq_status status) {
    bool tells = status == TQ_CORRUPT || status == TQ_NOT_FOUND || status == TQ_FORMAT;
    if (tells) tq_check_found(check, "%s: %s", where, tq_message());
    return tells ? TQ_OK : status;
}

/* ---- Statements ---- */

enum tq_status tq_check_prepare(struct tq_check *check, sqlite3_stmt **statement, const char *format, ...) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    va_list args;
    va_start(args, format);
    char *text = sqlite3_vmprintf(format, args);
    va_end(args);
    *statement = NULL;
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement");
    enum tq_status status = tq_conn_prepare(check->conn, text, statement);
    sqlite3_free(text);
    return status;
}

enum tq_status tq_check_stepped(struct tq_check *check, int rc, const char *name) {
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? TQ_OK : tq_conn_fail(check->conn, rc, "checking", name);
}

enum tq_status tq_check_exists(struct tq_check *check, const char *name, const char *suffix, const char *column,
                               bool *exists) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    char *text = sqlite3_mprintf("%s_%s", name, suffix);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory for the name of a table");
    int rc = sqlite3_table_column_metadata(check->conn->db, check->conn->schema, text, column, NULL, NULL, NULL, NULL,
                                           NULL);
    sqlite3_free(text);
    *exists = rc == SQLITE_OK;
    return rc == SQLITE_OK || rc == SQLITE_ERROR ? TQ_OK : tq_conn_fail(check->conn, rc, "checking", name);
}

void tq_check_column(char name[TQ_CHECK_NAME], const char *kind, size_t number) {
    (void)snprintf(name, TQ_CHECK_NAME, "%s%zu", kind, number);
}

/* ---- The tables of the schema, and whose the numbers are ---- */

static enum tq_status name_add(struct tq_check *check, const char *name) {
    size_t size = strlen(name) + 1, old = check->name_count * sizeof *check->names;
    char *copy = tq_alloc(size);
    char **grown = tq_realloc(check->names, old, old + sizeof *check->names);
    if (grown != NULL) check->names = grown;
    if (copy == NULL || grown == NULL) {
        tq_free(copy);
        return TQ_NOMEM;
    }
    memcpy(copy, name, size);
    check->names[check->name_count++] = copy;
    return TQ_OK;
}

/* Somebody's tables may have such names, too: ours has a column of uuids. */
static enum tq_status list_names(struct tq_check *check) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *s = check->conn->schema;
    sqlite3_stmt *statement = NULL;
    enum tq_status status = tq_check_prepare(
        check, &statement,
        "SELECT substr(s.name, 1, length(s.name) - 6) AS n FROM \"%w\".sqlite_master AS s WHERE s.type = 'table'"
        " AND substr(s.name, -6) = '_state' AND 2 = (SELECT count(*) FROM \"%w\".sqlite_master AS o"
        " WHERE o.type = 'table' AND o.name IN (substr(s.name, 1, length(s.name) - 6) || '_seg',"
        " substr(s.name, 1, length(s.name) - 6) || '_gc')) ORDER BY n",
        s, s);
    int rc = SQLITE_DONE;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        bool ours = false;
        if (name == NULL) continue;
        status = tq_check_exists(check, name, "state", "uuid", &ours);
        if (status == TQ_OK && ours) status = name_add(check, name);
    }
    if (status == TQ_OK) status = tq_check_stepped(check, rc, "sqlite_master");
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status owner_add(struct tq_check *check, const struct tq_check_owner *owner) {
    if (check->owner_count == check->owner_capacity) {
        size_t capacity = 2 * check->owner_capacity + 16, size = sizeof *check->owners;
        struct tq_check_owner *grown = tq_realloc(check->owners, check->owner_count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        check->owners = grown;
        check->owner_capacity = capacity;
    }
    check->owners[check->owner_count++] = *owner;
    return TQ_OK;
}

static bool is_requested(const struct tq_check *check, const char *name) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    for (size_t i = 0; i < check->request->count; i++)
        if (sqlite3_stricmp(check->request->tables[i].name, name) == 0) return true;
    return false;
}

/* A state that cannot be read is told of where its table is checked. */
static enum tq_status list_owners(struct tq_check *check, const char *name) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    sqlite3_stmt *statement = NULL;
    struct tq_check_owner owner = {.name = name, .checked = check->request->all || is_requested(check, name)};
    if (tq_check_prepare(check, &statement, "SELECT number, part FROM \"%w\".\"%w_state\"", check->conn->schema,
                         name) != TQ_OK)
        return TQ_OK;
    enum tq_status status = TQ_OK;
    while (status == TQ_OK && sqlite3_step(statement) == SQLITE_ROW) {
        owner.number = (uint32_t)sqlite3_column_int64(statement, 0);
        owner.part = (uint32_t)sqlite3_column_int64(statement, 1);
        status = owner_add(check, &owner);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static int compare_owners(const void *a, const void *b) {
    const struct tq_check_owner *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

struct tq_check_owner *tq_check_owner_find(const struct tq_check *check, uint32_t number) {
    struct tq_check_owner wanted = {.number = number};
    if (check->owner_count == 0) return NULL;
    return bsearch(&wanted, check->owners, check->owner_count, sizeof wanted, compare_owners);
}

/* Two parts of one number write each other's values. */
static void check_owners(struct tq_check *check) {
    if (check->owner_count == 0) return;
    qsort(check->owners, check->owner_count, sizeof *check->owners, compare_owners);
    for (size_t i = 1; i < check->owner_count; i++) {
        const struct tq_check_owner *one = &check->owners[i - 1], *other = &check->owners[i];
        if (one->number != other->number || (!one->checked && !other->checked)) continue;
        tq_check_found(check, "%s: part %u has number %u in the folder, which part %u of %s has, too", one->name,
                       one->part, one->number, other->part, other->name);
    }
}

/* What was dropped is deleted sooner or later. */
static enum tq_status check_dropped(struct tq_check *check) {
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_table_column_metadata(check->conn->db, check->conn->schema, "tqlite_dropped", "number", NULL, NULL,
                                           NULL, NULL, NULL);
    if (rc != SQLITE_OK) return TQ_OK;
    TQ_TRY(tq_check_prepare(check, &statement, "SELECT number FROM \"%w\".tqlite_dropped", check->conn->schema));
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct tq_check_owner *owner = tq_check_owner_find(check, (uint32_t)sqlite3_column_int64(statement, 0));
        if (owner == NULL || !owner->checked) continue;
        tq_check_found(check, "%s: part %u has number %u, which tqlite_dropped says was dropped", owner->name,
                       owner->part, owner->number);
    }
    enum tq_status status = tq_check_stepped(check, rc, "tqlite_dropped");
    (void)sqlite3_finalize(statement);
    return tq_check_absorb(check, "tqlite_dropped", status);
}

static enum tq_status list_all(struct tq_check *check) {
    TQ_TRY(tq_check_absorb(check, check->conn->schema, list_names(check)));
    for (size_t i = 0; i < check->name_count; i++) TQ_TRY(list_owners(check, check->names[i]));
    check_owners(check);
    return check_dropped(check);
}

/* ---- A table ---- */

static enum tq_status check_shape(struct tq_checked *checked, bool *whole) {
    static const char *const columns[][2] = {
        {"state", "options_sum"}, {"rows", "slot"},  {"log", "rec"}, {"seg", "bits"},
        {"gc", "keys"},           {"parts", "part"}, {"aux", "id"}};
    const struct tq_check_table *table = checked->table;
    char slot[TQ_CHECK_NAME];
    *whole = true;
    for (size_t i = 0; i < TQ_COUNT(columns); i++) {
        const char *suffix = columns[i][0], *column = columns[i][1];
        bool exists = false, unused = (strcmp(suffix, "parts") == 0 && !table->partitions) ||
                                      (strcmp(suffix, "aux") == 0 && !table->apart);
        if (unused) continue;
        TQ_TRY(tq_check_exists(checked->check, table->name, suffix, column, &exists));
        if (exists) continue;
        tq_check_found(checked->check, "%s: there is no table \"%s_%s\" with a column \"%s\"", table->name, table->name,
                       suffix, column);
        *whole = false;
    }
    for (size_t v = 1; v < table->vectors && *whole; v++) {
        tq_check_column(slot, "slot", v);
        TQ_TRY(tq_check_exists(checked->check, table->name, "rows", slot, whole));
        if (!*whole)
            tq_check_found(checked->check, "%s: table \"%s_rows\" has no column \"%s\"", table->name, table->name,
                           slot);
    }
    return TQ_OK;
}

struct tq_check_part *tq_check_part_find(const struct tq_checked *checked, uint32_t part) {
    size_t low = 0, high = checked->part_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (checked->parts[mid].part == part) return &checked->parts[mid];
        if (checked->parts[mid].part < part)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static enum tq_status list_parts(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    sqlite3_stmt *statement = NULL;
    size_t capacity = 0, size = sizeof *checked->parts;
    const char *name = checked->table->name;
    enum tq_status status = tq_check_prepare(check, &statement, "SELECT part FROM \"%w\".\"%w_state\" ORDER BY part",
                                             check->conn->schema, name);
    int rc = SQLITE_DONE;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite3_int64 part = sqlite3_column_int64(statement, 0);
        if (part < 0 || part >= TQ_PARTS_MAX) {
            tq_check_found(check, "%s: %s_state names part %lld; parts are 0 to %u", name, name, part,
                           TQ_PARTS_MAX - 1);
            continue;
        }
        if (checked->part_count == capacity) {
            size_t more = 2 * capacity + 4;
            struct tq_check_part *grown = tq_realloc(checked->parts, checked->part_count * size, more * size);
            if (grown == NULL) status = TQ_NOMEM;
            if (grown == NULL) break;
            checked->parts = grown;
            capacity = more;
        }
        checked->parts[checked->part_count++] = (struct tq_check_part){.part = (uint32_t)part};
    }
    if (status == TQ_OK) status = tq_check_stepped(check, rc, name);
    (void)sqlite3_finalize(statement);
    return status;
}

/* ---- A part's state ---- */

static void check_format(struct tq_checked *checked, const struct tq_check_part *part) {
    const struct tq_check_table *table = checked->table;
    uint32_t vector = part->part % (uint32_t)table->vectors;
    const struct tq_check_part *first = tq_check_part_find(checked, vector);
    const struct tq_format *wanted = table->formats != NULL ? &table->formats[vector] : NULL;
    if (wanted == NULL && first != NULL && first->known) wanted = &first->format;
    if (wanted != NULL && !tq_format_same(wanted, &part->format))
        tq_check_found(checked->check, "%s, part %u: its options are not those of vector column %u", table->name,
                       part->part, vector);
    if (!table->partitions && part->part >= table->vectors)
        tq_check_found(checked->check, "%s, part %u: the table has %zu vector columns and no partitions", table->name,
                       part->part, table->vectors);
}

static void check_state(struct tq_checked *checked, const struct tq_check_part *part) {
    const struct tq_catalog_state *state = &part->state;
    const char *name = checked->table->name;
    if (state->version < 1 || state->version >= INT64_MAX)
        tq_check_found(checked->check, "%s, part %u: its state has version %lld", name, part->part,
                       (long long)state->version);
    if (state->serial >> 40 != 0)
        tq_check_found(checked->check, "%s, part %u: its state names serial %lld; serials have 40 bits", name,
                       part->part, (long long)state->serial);
}

/* Whether the folder is this part's, and whether both are of the same age. */
static enum tq_status check_pair(struct tq_checked *checked, struct tq_check_part *part) {
    struct tq_check *check = checked->check;
    char where[400];
    if (check->env == NULL) return TQ_OK;
    (void)snprintf(where, sizeof where, "%s, part %u", checked->table->name, part->part);
    struct tq_table probe = {.conn = check->conn,
                             .env = check->env,
                             .catalog = checked->catalog,
                             .part = part->part,
                             .format = part->format,
                             .identity = part->identity};
    if (tq_table_check_uuid(&probe) != TQ_OK) {
        const struct tq_check_part *before = part > checked->parts ? part - 1 : NULL;
        bool told = before != NULL && before->known && memcmp(before->identity.uuid, part->identity.uuid, 16) == 0;
        if (!told) tq_check_found(check, "%s: %s", where, tq_message());
        return TQ_OK;
    }
    part->folder = true;
    enum tq_status status = tq_env_meta(check->env, part->identity.number, &part->meta);
    if (status == TQ_OK) status = tq_table_check_pair(&probe, &part->state, &part->meta);
    if (status == TQ_OK && part->meta.flushes > part->state.flushes + 1)
        tq_check_note(check,
                      "%s: the folder is %llu flushes ahead: others are writing, or the database is older than it",
                      where, (unsigned long long)(part->meta.flushes - part->state.flushes));
    return tq_check_absorb(check, where, status);
}

static enum tq_status check_part(struct tq_checked *checked, struct tq_check_part *part) {
    char where[400];
    struct tq_catalog_look look;
    (void)snprintf(where, sizeof where, "%s, part %u", checked->table->name, part->part);
    enum tq_status status = tq_catalog_identify(checked->catalog, part->part, &part->format, &part->identity);
    if (status == TQ_OK) {
        check_format(checked, part);
        status = tq_catalog_look(checked->catalog, part->part, &look);
    }
    part->known = status == TQ_OK;
    if (status != TQ_OK) return tq_check_absorb(checked->check, where, status);
    part->state = look.state;
    check_state(checked, part);
    return check_pair(checked, part);
}

static enum tq_status check_parts(struct tq_checked *checked) {
    TQ_TRY(list_parts(checked));
    for (uint32_t v = 0; v < checked->table->vectors; v++)
        if (tq_check_part_find(checked, v) == NULL)
            tq_check_found(checked->check, "%s: %s_state has no part %u, that of vector column %u",
                           checked->table->name, checked->table->name, v, v);
    for (size_t i = 0; i < checked->part_count; i++) TQ_TRY(check_part(checked, &checked->parts[i]));
    return TQ_OK;
}

/* Rows of a part that does not exist. */
static enum tq_status check_strays(struct tq_checked *checked, const char *suffix, const char *column,
                                   const char *what) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *s = check->conn->schema, *n = checked->table->name;
    sqlite3_stmt *statement = NULL;
    int rc = SQLITE_DONE;
    TQ_TRY(tq_check_prepare(check, &statement,
                            "SELECT %s, %s >> 40 FROM \"%w\".\"%w_%s\" WHERE %s >> 40 NOT IN"
                            " (SELECT part FROM \"%w\".\"%w_state\")",
                            column, column, s, n, suffix, column, s, n));
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        tq_check_found(check, "%s: %s %lld belongs to part %lld, which %s_state does not have", n, what,
                       (long long)sqlite3_column_int64(statement, 0), (long long)sqlite3_column_int64(statement, 1), n);
    enum tq_status status = tq_check_stepped(check, rc, n);
    (void)sqlite3_finalize(statement);
    return status;
}

/* One stage's failure does not keep the others from looking. */
static enum tq_status check_stages(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const char *name = checked->table->name;
    bool whole = true;
    TQ_TRY(tq_check_absorb(check, name, check_shape(checked, &whole)));
    if (!whole) return TQ_OK;
    TQ_TRY(tq_check_absorb(check, name, check_parts(checked)));
    TQ_TRY(tq_check_absorb(check, name, check_strays(checked, "seg", "slot0", "the segment at slot")));
    TQ_TRY(tq_check_absorb(check, name, check_strays(checked, "log", "seq", "log record")));
    TQ_TRY(tq_check_absorb(check, name, tq_check_listed(checked)));
    for (size_t v = 0; v < checked->table->vectors; v++)
        TQ_TRY(tq_check_absorb(check, name, tq_check_rows(checked, v)));
    return tq_check_absorb(check, name, tq_check_columns(checked));
}

static enum tq_status check_table(struct tq_check *check, const struct tq_check_table *table) {
    struct tq_checked checked = {.check = check, .table = table};
    TQ_TRY(tq_stop_check(tq_stop_current()));
    enum tq_status status = tq_catalog_open(check->conn, table->name, &checked.catalog);
    if (status != TQ_OK) return tq_check_absorb(check, table->name, status);
    status = check_stages(&checked);
    tq_catalog_close(checked.catalog);
    tq_free(checked.parts);
    return status;
}

/* As its columns say it is. */
static enum tq_status check_undeclared(struct tq_check *check, const char *name) {
    struct tq_check_table table = {.name = name, .vectors = 1};
    char column[TQ_CHECK_NAME];
    bool more = true;
    while (more) {
        tq_check_column(column, "slot", table.vectors);
        TQ_TRY(tq_check_exists(check, name, "rows", column, &more));
        table.vectors += more;
    }
    TQ_TRY(tq_check_exists(check, name, "parts", "part", &table.partitions));
    TQ_TRY(tq_check_exists(check, name, "aux", "id", &table.apart));
    return check_table(check, &table);
}

/* ---- All ---- */

static enum tq_status check_all(struct tq_check *check) {
    const struct tq_check_request *request = check->request;
    TQ_TRY(list_all(check));
    for (size_t i = 0; i < request->count; i++) {
        const struct tq_check_table *table = &request->tables[i];
        TQ_TRY(table->vectors == 0 ? check_undeclared(check, table->name) : check_table(check, table));
    }
    for (size_t i = 0; i < check->name_count && request->all; i++)
        if (!is_requested(check, check->names[i])) TQ_TRY(check_undeclared(check, check->names[i]));
    return check->env == NULL ? TQ_OK : tq_check_absorb(check, "folder", tq_check_values(check));
}

/* A folder that cannot be read leaves SQLite's tables to look at. */
static enum tq_status open_reader(struct tq_check *check) {
    struct tq_env *env = check->env;
    enum tq_status status = check->request->full ? tq_env_check_pages(env) : TQ_OK;
    TQ_TRY(tq_check_absorb(check, "folder", status));
    check->env = NULL;
    status = tq_env_reader_open(env, &check->reader);
    if (status == TQ_OK) check->env = env;
    return tq_check_absorb(check, "folder", status);
}

static void names_free(struct tq_check *check) {
    for (size_t i = 0; i < check->name_count; i++) tq_free(check->names[i]);
    tq_free(check->names);
}

enum tq_status tq_tables_any(struct tq_conn *conn, bool *any) {
    struct tq_check check = {.conn = conn};
    enum tq_status status = list_names(&check);
    *any = check.name_count > 0;
    names_free(&check);
    return status;
}

enum tq_status tq_tables_check(struct tq_conn *conn, struct tq_env *env, const struct tq_check_request *request) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    struct tq_check check = {.conn = conn, .env = env, .request = request};
    sqlite3_stmt *snapshot = NULL; /* as long as it stands on a row, every statement sees the same */
    enum tq_status status = tq_check_prepare(&check, &snapshot, "SELECT 1 FROM \"%w\".sqlite_master", conn->schema);
    if (status == TQ_OK) status = tq_check_stepped(&check, sqlite3_step(snapshot), conn->schema);
    if (status == TQ_OK && env != NULL) status = open_reader(&check);
    if (status == TQ_OK) status = check_all(&check);
    status = tq_check_absorb(&check, conn->schema, status);
    (void)sqlite3_finalize(snapshot);
    tq_env_reader_close(check.reader);
    names_free(&check);
    tq_free(check.owners);
    tq_free(check.used.list);
    tq_free(check.listed.list);
    if (status != TQ_OK || check.findings == 0) return status;
    return tq_fail(TQ_CORRUPT, "%llu findings, the first: %s", (unsigned long long)check.findings, check.first);
}
