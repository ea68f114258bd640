/* tq_kernels(), tq_kernels('measure'), tq_gpu(): what this machine can do, and what of it is used. */
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

/* ,"key":"text", or null for "". */
static void append_known(sqlite3_str *out, const char *key, const char *text) {
    sqlite3_str_appendf(out, ",\"%s\":", key);
    if (text[0] == 0)
        sqlite3_str_appendall(out, "null");
    else
        tq_function_append_text(out, text);
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

/* The name alone, of a GPU that somebody has asked for. */
static void describe_gpu(sqlite3_str *out) {
    struct tq_device_state state;
    tq_device_get_state(false, &state);
    append_known(out, "gpu", state.usable ? state.device.name : "");
}

static void run_kernels(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *how = count > 0 ? (const char *)sqlite3_value_text(values[0]) : NULL;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    enum tq_status status = TQ_OK;
    sqlite3_str_appendf(out, "{\"isa\":\"%s\"", sql->plain->kernels.name);
    describe_sets(&sql->plain->kernels, out);
    describe_operations(&sql->plain->kernels, out);
    describe_gpu(out);
    if (how != NULL && sqlite3_stricmp(how, "measure") == 0)
        status = describe_speed(sql, out);
    else if (count > 0)
        status = tq_fail(TQ_MISUSE, "the argument is \"%.40s\"; it must be measure", how == NULL ? "NULL" : how);
    sqlite3_str_appendchar(out, 1, '}');
    if (status == TQ_OK) {
        tq_function_return_built(context, out);
        return;
    }
    sqlite3_free(sqlite3_str_finish(out));
    tq_function_fail(context, "tq_kernels", status);
}

/* ---- tq_gpu() ---- */

/* CUDA has 13000 for 13.0. */
static void append_version(sqlite3_str *out, const char *key, int version) {
    sqlite3_str_appendf(out, ",\"%s\":\"%d.%d\"", key, version / 1000, version % 1000 / 10);
}

/* None, until one was found. */
static void describe_device(const struct tq_cuda_description *device, sqlite3_str *out) {
    sqlite3_str_appendall(out, ",\"device\":");
    if (device->name[0] == 0) {
        sqlite3_str_appendall(out, "null");
        return;
    }
    sqlite3_str_appendall(out, "{\"name\":");
    tq_function_append_text(out, device->name);
    sqlite3_str_appendf(out, ",\"number\":%d,\"capability\":\"%d.%d\"", device->device, device->major, device->minor);
    append_version(out, "driver", device->driver);
    append_version(out, "runtime", device->runtime);
    sqlite3_str_appendf(out, ",\"multiprocessors\":%d,\"memory\":%llu,\"free\":%llu}", device->multiprocessors,
                        device->memory, device->free);
}

static void run_gpu(sqlite3_context *context, int count, sqlite3_value **values) {
    const struct tq_sql *sql = sqlite3_user_data(context);
    struct tq_device_state state;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    (void)count;
    (void)values;
    tq_device_get_state(true, &state);
    sqlite3_str_appendf(out, "{\"usable\":%d", state.usable ? 1 : 0);
    append_known(out, "why", state.why);
    append_known(out, "plugin", state.plugin);
    describe_device(&state.device, out);
    sqlite3_str_appendf(out, ",\"limit\":%llu,\"resident\":%llu,\"sets\":%llu,\"segments\":%llu,\"rows\":%llu",
                        state.limit, state.resident, state.sets, state.segments, state.rows);
    sqlite3_str_appendf(out, ",\"searches\":%llu,\"fallbacks\":%llu", state.searches, state.fallbacks);
    append_known(out, "fallback", state.fallback);
    sqlite3_str_appendchar(out, 1, '}');
    tq_function_return_built(context, out);
}

int tq_machine_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_kernels", 0, SQLITE_DIRECTONLY, run_kernels},
        {"tq_kernels", 1, SQLITE_DIRECTONLY, run_kernels},
        {"tq_gpu", 0, SQLITE_DIRECTONLY, run_gpu},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
