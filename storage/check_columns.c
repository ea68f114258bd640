/* What a SQL table keeps beside its vectors: partitions, columns apart, keys. */
#include "storage/check_parts.h"

/* One finding for each row of a statement, which is freed. */
static enum tq_status tell_rows(struct tq_checked *checked, const char *what, const char *which,
                                sqlite3_stmt *statement) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = checked->table->name;
    int rc = SQLITE_DONE;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        tq_check_found(check, "%s: %s %lld %s", name, which, (long long)sqlite3_column_int64(statement, 0), what);
    enum tq_status status = tq_check_stepped(check, rc, name);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status check_apart(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const char *s = check->conn->schema, *n = checked->table->name;
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_check_prepare(check, &statement,
                            "SELECT id FROM \"%w\".\"%w_rows\" AS r WHERE NOT EXISTS"
                            " (SELECT 1 FROM \"%w\".\"%w_aux\" AS a WHERE a.id = r.id)",
                            s, n, s, n));
    TQ_TRY(tell_rows(checked, "has no row in the table of columns apart", "id", statement));
    TQ_TRY(tq_check_prepare(check, &statement,
                            "SELECT id FROM \"%w\".\"%w_aux\" AS a WHERE NOT EXISTS"
                            " (SELECT 1 FROM \"%w\".\"%w_rows\" AS r WHERE r.id = a.id)",
                            s, n, s, n));
    return tell_rows(checked, "has a row in the table of columns apart, and no other", "id", statement);
}

/* That they are unique is SQLite's to see to. */
static enum tq_status check_keys(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    sqlite3_stmt *statement = NULL;
    bool keys = false;
    TQ_TRY(tq_check_exists(check, checked->table->name, "rows", "key", &keys));
    if (!keys) return TQ_OK;
    TQ_TRY(tq_check_prepare(check, &statement, "SELECT id FROM \"%w\".\"%w_rows\" WHERE key IS NULL",
                            check->conn->schema, checked->table->name));
    return tell_rows(checked, "has no key", "id", statement);
}

/* "a.p0 IS b.p0 AND a.p1 IS b.p1"; sqlite3_free. */
static enum tq_status same_values(struct tq_checked *checked, char **text) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    sqlite3_str *out = sqlite3_str_new(check->conn->db);
    char column[TQ_CHECK_NAME];
    bool more = true;
    enum tq_status status = TQ_OK;
    for (size_t i = 0; more && status == TQ_OK; i++) {
        tq_check_column(column, "p", i);
        status = tq_check_exists(check, checked->table->name, "parts", column, &more);
        if (more) sqlite3_str_appendf(out, "%sa.%s IS b.%s", i == 0 ? "" : " AND ", column, column);
    }
    *text = sqlite3_str_finish(out);
    return status == TQ_OK && *text == NULL ? tq_fail(TQ_CORRUPT, "its table of partitions has no columns") : status;
}

/* A partition's vectors are in the parts from its number times the vector columns on. The first one's are there before
 * it is. */
static enum tq_status check_partition_parts(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const char *s = check->conn->schema, *n = checked->table->name;
    int vectors = (int)checked->table->vectors;
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_check_prepare(check, &statement,
                            "SELECT part FROM \"%w\".\"%w_parts\" AS p WHERE %d <> (SELECT count(*) FROM"
                            " \"%w\".\"%w_state\" AS s WHERE s.part BETWEEN p.part * %d AND p.part * %d + %d)",
                            s, n, vectors, s, n, vectors, vectors, vectors - 1));
    TQ_TRY(tell_rows(checked, "has no state of its own", "partition", statement));
    TQ_TRY(tq_check_prepare(check, &statement,
                            "SELECT part FROM \"%w\".\"%w_state\" AS s WHERE part >= %d AND NOT EXISTS"
                            " (SELECT 1 FROM \"%w\".\"%w_parts\" AS p WHERE p.part = s.part / %d)",
                            s, n, vectors, s, n, vectors));
    return tell_rows(checked, "belongs to a partition that does not exist", "part", statement);
}

static enum tq_status check_partition_rows(struct tq_checked *checked, const char *same) {
    struct tq_check *check = checked->check;
    const char *s = check->conn->schema, *n = checked->table->name;
    sqlite3_stmt *statement = NULL;
    char slot[TQ_CHECK_NAME] = "slot";
    for (size_t v = 0; v < checked->table->vectors; v++) {
        if (v > 0) tq_check_column(slot, "slot", v);
        TQ_TRY(tq_check_prepare(check, &statement,
                                "SELECT id FROM \"%w\".\"%w_rows\" AS a WHERE typeof(a.%s) = 'integer' AND NOT EXISTS"
                                " (SELECT 1 FROM \"%w\".\"%w_parts\" AS b WHERE b.part = (a.%s >> 40) / %d AND %s)",
                                s, n, slot, s, n, slot, (int)checked->table->vectors, same));
        TQ_TRY(tell_rows(checked, "lies in a partition of other values than its own", "id", statement));
    }
    return TQ_OK;
}

static enum tq_status check_partitions(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *s = check->conn->schema, *n = checked->table->name;
    sqlite3_stmt *statement = NULL;
    char *same = NULL;
    enum tq_status status = same_values(checked, &same);
    if (status == TQ_OK) status = check_partition_parts(checked);
    if (status == TQ_OK) {
        status = tq_check_prepare(check, &statement,
                                  "SELECT part FROM \"%w\".\"%w_parts\" AS a WHERE EXISTS (SELECT 1 FROM"
                                  " \"%w\".\"%w_parts\" AS b WHERE b.part < a.part AND %s)",
                                  s, n, s, n, same);
    }
    if (status == TQ_OK) status = tell_rows(checked, "has the values of another one", "partition", statement);
    if (status == TQ_OK) status = check_partition_rows(checked, same);
    sqlite3_free(same);
    return status;
}

enum tq_status tq_check_columns(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const char *name = checked->table->name;
    if (checked->table->partitions) TQ_TRY(tq_check_absorb(check, name, check_partitions(checked)));
    if (checked->table->apart) TQ_TRY(tq_check_absorb(check, name, check_apart(checked)));
    return check_keys(checked);
}
