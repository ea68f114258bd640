/* The folder beside a database: which it is, when it may be made, and what happens to one that was left over. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sql/registry.h"
#include "src/base/alloc.h"

const char *tq_sql_file(sqlite3 *db, const char *schema) {
    const char *file = sqlite3_db_filename(db, schema);
    return file == NULL ? "" : file;
}

enum tq_status tq_sql_folder(sqlite3 *db, const char *schema, char **folder) {
    const char *file = tq_sql_file(db, schema);
    size_t length = strlen(file);
    char *made = tq_alloc(length + sizeof "-tq");
    if (made == NULL) return TQ_NOMEM;
    made[0] = 0;
    if (length > 0) (void)snprintf(made, length + sizeof "-tq", "%s-tq", file);
    *folder = made;
    return TQ_OK;
}

/* ---- Databases without a file ---- */

static void remove_files(const char *folder) {
    char path[4096];
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        int length = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && length > 0 && (size_t)length < sizeof path) (void)unlink(path);
    }
    if (dir != NULL) (void)closedir(dir);
    (void)rmdir(folder);
}

/* What is open needs no name: it is taken away at once, so that nothing is left however the process ends. */
static enum tq_status open_private(struct tq_env **env) {
    char outer[3900], inner[4000];
    int length = snprintf(outer, sizeof outer, "%s/tq-XXXXXX", tq_temporary_folder());
    if (length < 0 || (size_t)length >= sizeof outer || mkdtemp(outer) == NULL) {
        return tq_fail(TQ_IO, "a temporary folder in \"%.200s\": %s", tq_temporary_folder(), strerror(errno));
    }
    (void)snprintf(inner, sizeof inner, "%s/store", outer);
    enum tq_status status = tq_env_open(inner, TQ_OPEN_CREATE, tq_netfs_allowed(), env);
    if (status == TQ_OK) tq_env_set_unlinked(*env);
    remove_files(inner);
    (void)rmdir(outer);
    return status;
}

/* ---- Databases with one ---- */

/* Whether the schema has, or has had, indexes of ours; *uuid is filled from one of them if there is any. */
static enum tq_status look_for_indexes(sqlite3 *db, const char *schema, bool *any, bool *ever, uint8_t uuid[16]) {
    char *text = sqlite3_mprintf(
        "SELECT s.name FROM \"%w\".sqlite_master AS s WHERE s.type = 'table' AND (s.name = 'tqlite_dropped' OR"
        " substr(s.name, -6) = '_state' AND 2 = (SELECT count(*) FROM \"%w\".sqlite_master AS o WHERE o.type = 'table'"
        " AND o.name IN (substr(s.name, 1, length(s.name) - 6) || '_seg',"
        " substr(s.name, 1, length(s.name) - 6) || '_gc'))) ORDER BY s.name = 'tqlite_dropped' LIMIT 1",
        schema, schema);
    sqlite3_stmt *statement = NULL;
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    sqlite3_free(text);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    *ever = rc == SQLITE_ROW;
    *any = *ever && strcmp((const char *)sqlite3_column_text(statement, 0), "tqlite_dropped") != 0;
    text = *any ? sqlite3_mprintf("SELECT uuid FROM \"%w\".\"%w\"", schema, sqlite3_column_text(statement, 0)) : NULL;
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return tq_sql_fail(db, rc, "looking for tq tables");
    if (!*any) return TQ_OK;
    statement = NULL;
    rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    sqlite3_free(text);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    *any = rc == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == 16;
    if (*any) memcpy(uuid, sqlite3_column_blob(statement, 0), 16);
    (void)sqlite3_finalize(statement);
    return TQ_OK; /* somebody's table that only looks like ours is no reason to fail */
}

/* A CREATE that was rolled back leaves a folder in which nothing was ever written. */
static enum tq_status holds_values(const char *folder, bool *holds) {
    struct tq_env *env = NULL;
    *holds = true;
    if (tq_env_open(folder, 0, tq_netfs_allowed(), &env) != TQ_OK) return TQ_OK; /* not ours to judge: aside with it */
    enum tq_status status = tq_folder_holds_values(env, holds);
    tq_env_close(env);
    return status;
}

/* Nothing is deleted: the folder may be the only copy of somebody's vectors. */
static enum tq_status move_aside(struct tq_sql *sql, const char *folder) {
    char target[4096], text[8300];
    TQ_TRY(tq_set_aside(folder, target, sizeof target));
    (void)snprintf(text, sizeof text, "tq: folder \"%s\" was left over from another database and is now \"%s\"", folder,
                   target);
    sqlite3_log(SQLITE_NOTICE, "%s", text);
    tq_free(sql->notice);
    sql->notice = tq_sql_text(text);
    return TQ_OK;
}

/* ---- What to tell of a folder that is missing or cannot be used ---- */

enum { SIBLINGS_MAX = 64 };

/* Nobody else's: a folder that has its database beside it is that one's. */
static bool is_lost_folder(const char *folder, const uint8_t uuid[16]) {
    struct tq_env *env = NULL;
    struct stat info;
    char file[4096];
    size_t length = strlen(folder);
    (void)snprintf(file, sizeof file, "%s", folder);
    if (length > 3 && length < sizeof file && strcmp(file + length - 3, "-tq") == 0) {
        file[length - 3] = 0;
        if (stat(file, &info) == 0) return false;
    }
    if (tq_env_open(folder, TQ_OPEN_READONLY, tq_netfs_allowed(), &env) != TQ_OK) return false;
    bool same = memcmp(tq_env_uuid(env), uuid, 16) == 0;
    tq_env_close(env);
    return same;
}

/* It was renamed, or the database was: one of the folders beside it may be the one. */
static bool find_sibling(const char *folder, const uint8_t uuid[16], char *found, size_t size) {
    const char *slash = strrchr(folder, '/');
    int parent = slash == NULL ? 0 : (int)(slash - folder), looked = 0;
    bool is_it = false;
    (void)snprintf(found, size, "%.*s/", parent, folder);
    DIR *dir = opendir(slash == NULL ? "." : found);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL && !is_it; e = readdir(dir)) {
        struct stat info;
        if (strstr(e->d_name, "-tq") == NULL || looked == SIBLINGS_MAX) continue;
        int length = snprintf(found, size, "%.*s%s%s", parent, folder, slash == NULL ? "" : "/", e->d_name);
        if (length < 0 || (size_t)length >= size || strcmp(found, folder) == 0) continue;
        if (stat(found, &info) != 0 || !S_ISDIR(info.st_mode)) continue;
        looked++;
        is_it = is_lost_folder(found, uuid);
    }
    if (dir != NULL) (void)closedir(dir);
    return is_it;
}

static bool is_packed(sqlite3 *db, const char *schema) {
    struct tq_conn *conn = NULL;
    bool packed = false;
    if (tq_conn_wrap(db, sqlite3_api, schema, &conn) != TQ_OK) return false;
    if (tq_pair_is_packed(conn, &packed) != TQ_OK) packed = false;
    tq_conn_close(conn);
    return packed;
}

static enum tq_status fail_missing(sqlite3 *db, const char *schema, const char *folder) {
    uint8_t uuid[16] = {0};
    char found[4096], way_out[4200];
    bool any = false, ever = false;
    const char *quote = sqlite3_stricmp(schema, "main") == 0 ? "" : "'";
    if (is_packed(db, schema)) {
        return tq_fail(TQ_NOT_FOUND,
                       "vector folder \"%s\" not found; it is packed in the database: SELECT tq_unpack(%s%s%s)", folder,
                       quote, quote[0] == 0 ? "" : schema, quote);
    }
    TQ_TRY(look_for_indexes(db, schema, &any, &ever, uuid));
    if (any && find_sibling(folder, uuid, found, sizeof found))
        (void)snprintf(way_out, sizeof way_out, "\"%s\" is that folder: rename it", found);
    else
        (void)snprintf(way_out, sizeof way_out, "if it is lost for good, tq_repair with adopt-empty keeps the rest");
    return tq_fail(TQ_NOT_FOUND, "vector folder \"%s\" not found; it must be copied together with \"%s\"; %s", folder,
                   tq_sql_file(db, schema), way_out);
}

/* file:x.db?immutable=1 */
static bool is_immutable(sqlite3 *db, const char *schema) {
    const char *file = sqlite3_db_filename(db, schema);
    return file != NULL && sqlite3_uri_boolean(file, "immutable", 0) != 0;
}

/* What the folder itself says, with both names and the way out. */
static enum tq_status fail_unusable(sqlite3 *db, const char *schema, const char *folder, enum tq_status status) {
    char text[700];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    if (status != TQ_FORMAT && status != TQ_CORRUPT && status != TQ_IO) return status;
    bool newer = status == TQ_FORMAT && strstr(text, "this library reads") != NULL;
    const char *way_out = "restore both from one backup, or call tq_repair with adopt-empty";
    if (status == TQ_CORRUPT) way_out = "restore both from one backup, or call tq_repair with salvage";
    if (status == TQ_IO) way_out = "see that it can be read and written";
    if (status == TQ_IO && sqlite3_db_readonly(db, schema) == 1) {
        way_out =
            "a reader locks it, and so must be able to write there; where nobody writes, immutable=1 needs no locks";
    }
    if (newer) way_out = "use the newer version that wrote it";
    return tq_fail(status, "vector folder \"%s\" of \"%s\" cannot be used: %s; %s", folder, tq_sql_file(db, schema),
                   text, way_out);
}

static enum tq_status check_owner(const struct tq_env *env, const char *file, const uint8_t uuid[16]) {
    if (memcmp(tq_env_uuid(env), uuid, 16) == 0) return TQ_OK;
    return tq_fail(TQ_FORMAT, "folder \"%s\" belongs to another database than \"%s\"", tq_env_path(env), file);
}

/* Read-only last: a process has one environment, and a connection that may write may come later. */
static enum tq_status open_as_allowed(sqlite3 *db, const char *schema, const char *folder, bool create,
                                      struct tq_env **env) {
    enum tq_status status = tq_env_open(folder, create ? TQ_OPEN_CREATE : 0, tq_netfs_allowed(), env);
    if (status != TQ_IO || sqlite3_db_readonly(db, schema) != 1) return status;
    status = tq_env_open(folder, TQ_OPEN_READONLY, tq_netfs_allowed(), env);
    if (status != TQ_IO || !is_immutable(db, schema)) return status;
    return tq_env_open(folder, TQ_OPEN_READONLY | TQ_ENV_IMMUTABLE, tq_netfs_allowed(), env);
}

static enum tq_status open_beside(struct tq_sql *sql, const char *schema, const char *folder, bool create,
                                  struct tq_env **env) {
    uint8_t uuid[16] = {0};
    bool any = true, ever = true, holds = false;
    struct stat info;
    bool there = stat(folder, &info) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR) return tq_fail(TQ_IO, "stat %s: %s", folder, strerror(errno));
    if (create) TQ_TRY(look_for_indexes(sql->db, schema, &any, &ever, uuid));
    if (!there && any) return fail_missing(sql->db, schema, folder);
    if (there && !ever) {
        TQ_TRY(holds_values(folder, &holds));
        if (holds) TQ_TRY(move_aside(sql, folder));
    }
    enum tq_status status = open_as_allowed(sql->db, schema, folder, create, env);
    if (status != TQ_OK) return fail_unusable(sql->db, schema, folder, status);
    if (create && any) status = check_owner(*env, tq_sql_file(sql->db, schema), uuid);
    if (status == TQ_OK) return TQ_OK;
    tq_env_close(*env);
    *env = NULL;
    return status;
}

enum tq_status tq_sql_env_open(struct tq_sql *sql, const char *schema, bool create, struct tq_env **env) {
    char *folder = NULL;
    TQ_TRY(tq_sql_folder(sql->db, schema, &folder));
    enum tq_status status = folder[0] == 0 ? open_private(env) : open_beside(sql, schema, folder, create, env);
    tq_free(folder);
    return status;
}
