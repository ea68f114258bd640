/* tq_kernels(), tq_kernels('measure'): what this machine can do, and what of it is used. */
#include "sql/functions.h"
#include "sql/host_stop.h"

static void describe_sets(const struct tq_kernels *used, sqlite3_str *out) {
    unsigned cpu = tq_cpu_isa();
    const char *name;
    sqlite3_str_appendall(out, ",\"sets\":[");
    for (size_t i = 0; (name = tq_isa_name(i)) != NULL; i++) {
        unsigned mask = 0;
        (void)tq_isa_from_name(name, &mask);
        bool built = tq_isa_is_built(name);
        sqlite3_str_appendf(out, "%s{\"name\":\"%s\",\"built\":%d,\"cpu\":%d,\"allowed\":%d}", i == 0 ? "" : ",", name,
                            built ? 1 : 0, (mask & ~cpu) == 0 ? 1 : 0, built && (mask & ~used->isa) == 0 ? 1 : 0);
    }
    sqlite3_str_appendchar(out, 1, ']');
}

static void describe_operations(const struct tq_kernels *used, sqlite3_str *out) {
    const char *name, *row = NULL;
    sqlite3_str_appendall(out, ",\"operations\":{");
    for (size_t i = 0; (name = tq_kernels_operation(used->isa, i, &row)) != NULL; i++)
        sqlite3_str_appendf(out, "%s\"%s\":\"%s\"", i == 0 ? "" : ",", name, row);
    sqlite3_str_appendchar(out, 1, '}');
}

static enum tq_status describe_speed(struct tq_sql *sql, sqlite3_str *out) {
    struct tq_machine_speed speed;
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, sql->db);
    enum tq_status status = tq_machine_measure(&sql->plain->kernels, &speed);
    tq_sql_stop_end(&stop);
    TQ_TRY(status);
    sqlite3_str_appendf(out, ",\"speed\":{\"bytes\":%llu,\"scan\":%.0f,\"read\":%.0f}", (uint64_t)speed.bytes,
                        speed.scan, speed.read);
    return TQ_OK;
}

static void run_kernels(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *how = count > 0 ? (const char *)sqlite3_value_text(values[0]) : NULL;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    enum tq_status status = TQ_OK;
    sqlite3_str_appendf(out, "{\"isa\":\"%s\"", sql->plain->kernels.name);
    describe_sets(&sql->plain->kernels, out);
    describe_operations(&sql->plain->kernels, out);
    sqlite3_str_appendall(out, ",\"gpu\":null");
    if (how != NULL && sqlite3_stricmp(how, "measure") == 0)
        status = describe_speed(sql, out);
    else if (count > 0)
        status = tq_fail(TQ_MISUSE, "the argument is \"%.40s\"; it must be measure", how == NULL ? "NULL" : how);
    sqlite3_str_appendchar(out, 1, '}');
    char *text = sqlite3_str_finish(out);
    if (status != TQ_OK)
        tq_function_fail(context, "tq_kernels", status);
    else if (text == NULL)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    sqlite3_free(text);
}

int tq_machine_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_kernels", 0, SQLITE_DIRECTONLY, run_kernels},
        {"tq_kernels", 1, SQLITE_DIRECTONLY, run_kernels},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
