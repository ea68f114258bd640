/* Repair of an index: codes anew, an empty folder for one that is gone, and the C library's call. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/db/handle.h"
#include "storage/catalog.h"
#include "storage/page_tree.h"
#include "storage/platform.h"

/* ---- Codes from exact rows ---- */

void tq_repairer_clear(struct tq_repairer *repairer) {
    tq_engine_close(repairer->engine);
    tq_free(repairer->vector);
    repairer->engine = NULL;
    repairer->vector = NULL;
}

/* Most repairs encode nothing, and parts of a column are alike: an engine is made when it is needed. */
static enum tq_status engine_for(struct tq_repairer *repairer, const struct tq_format *format) {
    if (repairer->engine != NULL && tq_format_same(&repairer->engine->codec->format, format)) return TQ_OK;
    tq_repairer_clear(repairer);
    repairer->vector = tq_alloc_array(format->dim, sizeof *repairer->vector);
    if (repairer->vector == NULL) return TQ_NOMEM;
    return tq_engine_open(format, NULL, &repairer->engine);
}

static enum tq_status encode(void *context, const struct tq_format *format, const void *exact, struct tq_row *row) {
    struct tq_repairer *repairer = context;
    TQ_TRY(engine_for(repairer, format));
    if (format->rows == TQ_ROWS_F32) {
        memcpy(repairer->vector, exact, format->exact_bytes);
    } else {
        for (uint32_t i = 0; i < format->dim; i++) {
            uint16_t half;
            memcpy(&half, (const uint8_t *)exact + 2 * (size_t)i, sizeof half);
            repairer->vector[i] = tq_f32_from_f16(half);
        }
    }
    return tq_encode(repairer->engine->encoder, repairer->vector, row);
}

static enum tq_status lost(void *context, int64_t id, uint32_t vector, const char *why) {
    struct tq_repairer *repairer = context;
    return repairer->lost(repairer->context, id, vector, why);
}

static void note(void *context, const char *text) {
    struct tq_repairer *repairer = context;
    repairer->note(repairer->context, text);
}

enum tq_status tq_repairer_run(struct tq_repairer *repairer, struct tq_conn *conn, struct tq_env *env, const char *name,
                               enum tq_repair_how how, uint32_t vectors) {
    struct tq_repair_task task = {.conn = conn,
                                  .env = env,
                                  .name = name,
                                  .how = how,
                                  .vectors = vectors,
                                  .encode = encode,
                                  .lost = lost,
                                  .note = note,
                                  .context = repairer};
    return tq_table_repair(&task);
}

/* ---- An empty folder ---- */

enum { PATH_BYTES = 4096 };

enum tq_status tq_set_aside(const char *path, char *target, size_t size) {
    struct stat info;
    for (int i = 1; i < 10000; i++) {
        int length = snprintf(target, size, "%s.old-%d", path, i);
        if (length < 0 || (size_t)length >= size) break;
        if (lstat(target, &info) == 0) continue;
        if (rename(path, target) == 0) return TQ_OK;
        return tq_fail(TQ_IO, "\"%s\" could not be renamed: %s", path, strerror(errno));
    }
    return tq_fail(TQ_IO, "\"%s\" could not be set aside: every name for it is taken", path);
}

static bool exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

/* What a new folder is filled with: nothing, or what can be read of a data file. */
struct filling {
    struct tq_conn *conn; /* NULL: nothing */
    uint8_t uuid[16];
    const char *data;
    struct tq_rescued told;
};

static enum tq_status fill(const char *folder, struct filling *filling) {
    if (filling->conn == NULL) {
        struct tq_env *env = NULL;
        TQ_TRY(tq_env_open(folder, TQ_OPEN_CREATE, tq_netfs_allowed(), &env));
        tq_env_close(env);
        return TQ_OK;
    }
    TQ_TRY(tq_folder_rescue(filling->conn, filling->uuid, filling->data, folder, &filling->told));
    if (filling->told.found != 0 || filling->told.wanted == 0) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "\"%s\" is damaged, and none of the %zu values that are needed can be found in it",
                   filling->data, filling->told.wanted);
}

/* The data file alone, in a folder that has the catalog, too. */
static enum tq_status move_data(const char *fresh, const char *folder, const char *data) {
    char path[PATH_BYTES];
    TQ_TRY(tq_folder_join(folder, "lock.mdb", path, sizeof path));
    (void)unlink(path); /* of the data file that was there */
    TQ_TRY(tq_folder_join(fresh, TQ_DATA_FILE, path, sizeof path));
    if (rename(path, data) != 0) return tq_fail(TQ_IO, "rename %s to %s: %s", path, data, strerror(errno));
    tq_folder_remove(fresh);
    return tq_folder_sync(folder);
}

/* Made beside, before what is there gets out of the way, which comes back if all that fails. */
static enum tq_status put_in_place(struct tq_repairer *repairer, const char *folder, const char *fresh) {
    char data[PATH_BYTES], catalog[PATH_BYTES], target[PATH_BYTES + 16], text[2 * PATH_BYTES + 64];
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, data, sizeof data));
    TQ_TRY(tq_folder_join(folder, "catalog.db", catalog, sizeof catalog));
    bool inside = exists(catalog);
    const char *old = inside ? data : folder;
    bool aside = exists(old);
    if (aside) TQ_TRY(tq_set_aside(old, target, sizeof target));
    enum tq_status status = inside ? move_data(fresh, folder, data) : tq_folder_move(fresh, folder);
    if (status != TQ_OK && aside) (void)rename(target, old);
    if (status != TQ_OK || !aside) return status;
    (void)snprintf(text, sizeof text, "\"%s\" was set aside as \"%s\"", old, target);
    repairer->note(repairer->context, text);
    return TQ_OK;
}

/* Who has the old folder open would go on writing to it: nobody may. *gate is to be closed. */
static enum tq_status keep_others_out(const char *folder, int *gate) {
    char path[PATH_BYTES];
    TQ_TRY(tq_folder_join(folder, "owner", path, sizeof path));
    *gate = open(path, O_RDWR | O_CLOEXEC);
    if (*gate < 0) return TQ_OK; /* it is gone, or no folder of ours */
    enum tq_status status = tq_folder_close_gate(folder, *gate);
    return status == TQ_UNSUPPORTED ? TQ_OK : status;
}

static enum tq_status make_folder(struct tq_repairer *repairer, const char *folder, struct filling *filling) {
    char fresh[PATH_BYTES], text[1000];
    TQ_TRY(tq_folder_make_beside(folder, fresh, sizeof fresh));
    enum tq_status status = fill(fresh, filling);
    if (status == TQ_OK) status = put_in_place(repairer, folder, fresh);
    if (status == TQ_OK) return TQ_OK;
    (void)snprintf(text, sizeof text, "%s", tq_message());
    tq_folder_remove(fresh);
    return tq_fail(status, "%s", text);
}

static enum tq_status replace_folder(struct tq_repairer *repairer, const char *folder, struct filling *filling) {
    int gate = -1;
    enum tq_status status = keep_others_out(folder, &gate);
    if (status == TQ_OK) status = make_folder(repairer, folder, filling);
    if (gate >= 0) (void)close(gate);
    return status;
}

enum tq_status tq_folder_holds_values(struct tq_env *env, bool *holds) {
    struct tq_env_meta meta = {.nonce = 1};
    for (uint32_t index = 1; meta.nonce != 0 && meta.serial == 0; index++) TQ_TRY(tq_env_meta(env, index, &meta));
    *holds = meta.serial != 0;
    return TQ_OK;
}

/* One in which nothing is will do, too: a repair that was rolled back has left it. */
static enum tq_status check_owner(struct tq_conn *conn, struct tq_env *env, const char *name, bool *replace) {
    enum tq_folder_owner owner = TQ_FOLDER_OWN;
    TQ_TRY(tq_table_folder_owner(conn, env, name, &owner));
    *replace = false;
    if (owner == TQ_FOLDER_OTHER) return tq_folder_holds_values(env, replace);
    if (owner != TQ_FOLDER_OWN) return TQ_OK;
    return tq_fail(
        TQ_MISUSE,
        "folder \"%s\" is there, and is that of \"%s\": adopt-folder or salvage keep what it holds; rename it if "
        "it is to be given up",
        tq_env_path(env), name);
}

enum tq_status tq_repairer_empty(struct tq_repairer *repairer, struct tq_conn *conn, const char *folder,
                                 const char *name, struct tq_env **out) {
    struct tq_env *env = NULL;
    bool replace = true;
    enum tq_status status = tq_env_open(folder, 0, tq_netfs_allowed(), &env);
    if (status == TQ_OK) {
        status = check_owner(conn, env, name, &replace);
        if (status == TQ_OK && !replace) {
            *out = env;
            return TQ_OK;
        }
        tq_env_close(env);
        TQ_TRY(status);
    } else if (status != TQ_NOT_FOUND && status != TQ_FORMAT && status != TQ_CORRUPT) {
        return status; /* it may be whole: a folder that cannot be opened just now is not one that is gone */
    }
    TQ_TRY(replace_folder(repairer, folder, &(struct filling){.conn = NULL}));
    return tq_env_open(folder, 0, tq_netfs_allowed(), out);
}

/* ---- A folder whose data file LMDB cannot follow ---- */

/* One of a newer version is whole, and not to be touched. */
static bool can_be_rescued(const char *data, enum tq_status failure) {
    struct stat info;
    if (stat(data, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    return failure == TQ_CORRUPT || (failure == TQ_FORMAT && tq_page_tree_check_head(data) != TQ_OK);
}

enum tq_status tq_repairer_rescue(struct tq_repairer *repairer, struct tq_conn *conn, const char *folder,
                                  const char *name, enum tq_status failure, struct tq_env **out) {
    char data[PATH_BYTES], why[1000], text[PATH_BYTES + 100];
    struct filling filling = {.conn = conn, .data = data};
    (void)snprintf(why, sizeof why, "%s", tq_message());
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, data, sizeof data));
    if (!can_be_rescued(data, failure)) return tq_fail(failure, "%s", why);
    TQ_TRY(tq_table_uuid(conn, name, filling.uuid));
    TQ_TRY(replace_folder(repairer, folder, &filling));
    (void)snprintf(text, sizeof text, "%zu of %zu values were found in the old \"%s\"", filling.told.found,
                   filling.told.wanted, data);
    repairer->note(repairer->context, text);
    return tq_env_open(folder, 0, tq_netfs_allowed(), out);
}

/* ---- The C library's call ---- */

struct told {
    void (*report)(void *context, const char *finding);
    void *context;
    const char *name;
};

static enum tq_status tell_lost(void *context, int64_t id, uint32_t vector, const char *why) {
    const struct told *told = context;
    char text[700];
    (void)vector;
    (void)snprintf(text, sizeof text, "index \"%s\": the vector of id %lld is lost: %s", told->name, (long long)id,
                   why);
    if (told->report != NULL) told->report(told->context, text);
    return TQ_OK;
}

static void tell_note(void *context, const char *line) {
    const struct told *told = context;
    char text[9000];
    (void)snprintf(text, sizeof text, "index \"%s\": %s", told->name, line);
    if (told->report != NULL) told->report(told->context, text);
}

static enum tq_status check_parts(struct tq_conn *conn, const char *name) {
    struct tq_catalog *catalog = NULL;
    bool more = false;
    TQ_TRY(tq_catalog_open(conn, name, &catalog));
    enum tq_status status = tq_catalog_has_parts(catalog, &more);
    tq_catalog_close(catalog);
    TQ_TRY(status);
    if (!more) return TQ_OK;
    return tq_fail(TQ_UNSUPPORTED, "index \"%s\" has partitions or several vector columns; use tq_repair() in SQL",
                   name);
}

static enum tq_status repair_in(struct tq_repairer *repairer, struct tq_conn *conn, const char *folder,
                                const char *name, enum tq_repair_how how) {
    struct tq_env *env = NULL;
    TQ_TRY(check_parts(conn, name));
    enum tq_status status = how == TQ_REPAIR_ADOPT_EMPTY ? tq_repairer_empty(repairer, conn, folder, name, &env)
                                                         : tq_env_open(folder, 0, tq_netfs_allowed(), &env);
    if (status != TQ_OK && how == TQ_REPAIR_SALVAGE) {
        status = tq_repairer_rescue(repairer, conn, folder, name, status, &env);
    }
    TQ_TRY(status);
    status = tq_repairer_run(repairer, conn, env, name, how, 1);
    tq_repairer_clear(repairer);
    tq_env_close(env);
    return status;
}

static enum tq_status repair_at(struct tq_repairer *repairer, const char *folder, const char *catalog, const char *name,
                                enum tq_repair_how how) {
    struct tq_conn *conn = NULL;
    TQ_TRY(tq_conn_open(catalog, 0, &conn));
    enum tq_status status = tq_conn_exec(conn, "BEGIN IMMEDIATE");
    if (status == TQ_OK) status = repair_in(repairer, conn, folder, name, how);
    if (status == TQ_OK) status = tq_conn_exec(conn, "COMMIT");
    char text[1000];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    if (tq_conn_in_transaction(conn)) (void)tq_conn_exec(conn, "ROLLBACK");
    tq_conn_close(conn);
    return status == TQ_OK ? TQ_OK : tq_fail(status, "%s", text);
}

enum tq_status tq_repair(const char *path, const char *name, enum tq_repair_how how,
                         void (*report)(void *context, const char *finding), void *context) {
    struct told told = {report, context, name};
    struct tq_repairer repairer = {.lost = tell_lost, .note = tell_note, .context = &told};
    char *folder = NULL, *catalog = NULL;
    if (path == NULL || path[0] == '\0') return tq_fail(TQ_MISUSE, "tq_repair: the path is empty");
    if (name == NULL || name[0] == '\0') return tq_fail(TQ_MISUSE, "tq_repair: the name is empty");
    if ((int)how < TQ_REPAIR_ADOPT_FOLDER || (int)how > TQ_REPAIR_SALVAGE) {
        return tq_fail(TQ_MISUSE, "tq_repair: how is %d; it must be one of enum tq_repair_how", (int)how);
    }
    enum tq_status status = tq_store_place(path, &folder, &catalog);
    if (status == TQ_OK) status = repair_at(&repairer, folder, catalog, name, how);
    tq_free(folder);
    tq_free(catalog);
    return status;
}
