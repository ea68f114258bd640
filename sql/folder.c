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

/* Whether anything was ever written to a folder: a CREATE that was rolled back leaves an empty one. */
static enum tq_status holds_values(const char *folder, bool *holds) {
    struct tq_env *env = NULL;
    struct tq_env_meta meta = {.nonce = 1};
    *holds = true;
    if (tq_env_open(folder, 0, tq_netfs_allowed(), &env) != TQ_OK) return TQ_OK; /* not ours to judge: aside with it */
    enum tq_status status = TQ_OK;
    for (uint32_t index = 1; status == TQ_OK && meta.nonce != 0 && meta.serial == 0; index++) {
        status = tq_env_meta(env, index, &meta);
    }
    *holds = meta.serial != 0;
    tq_env_close(env);
    return status;
}

/* Nothing is deleted: the folder may be the only copy of somebody's vectors. */
static enum tq_status move_aside(struct tq_sql *sql, const char *folder) {
    char target[4096], text[8300];
    struct stat info;
    for (int i = 1; i < 10000; i++) {
        int length = snprintf(target, sizeof target, "%s.old-%d", folder, i);
        if (length < 0 || (size_t)length >= sizeof target) break;
        if (stat(target, &info) == 0) continue;
        if (rename(folder, target) != 0) break;
        (void)snprintf(text, sizeof text, "tq: folder \"%s\" was left over from another database and is now \"%s\"",
                       folder, target);
        sqlite3_log(SQLITE_NOTICE, "%s", text);
        tq_free(sql->notice);
        sql->notice = tq_sql_text(text);
        return TQ_OK;
    }
    return tq_fail(TQ_IO, "folder \"%s\", left over from another database, could not be renamed: %s", folder,
                   strerror(errno));
}

static enum tq_status check_owner(const struct tq_env *env, const char *file, const uint8_t uuid[16]) {
    if (memcmp(tq_env_uuid(env), uuid, 16) == 0) return TQ_OK;
    return tq_fail(TQ_FORMAT, "folder \"%s\" belongs to another database than \"%s\"", tq_env_path(env), file);
}

static enum tq_status open_beside(struct tq_sql *sql, const char *schema, const char *folder, bool create,
                                  struct tq_env **env) {
    uint8_t uuid[16] = {0};
    const char *file = tq_sql_file(sql->db, schema);
    bool any = true, ever = true, holds = false, readonly = sqlite3_db_readonly(sql->db, schema) == 1;
    struct stat info;
    bool there = stat(folder, &info) == 0;
    if (create) TQ_TRY(look_for_indexes(sql->db, schema, &any, &ever, uuid));
    if (!there && any) {
        return tq_fail(TQ_NOT_FOUND, "vector folder \"%s\" not found; it must be copied together with \"%s\"", folder,
                       file);
    }
    if (there && !ever) {
        TQ_TRY(holds_values(folder, &holds));
        if (holds) TQ_TRY(move_aside(sql, folder));
    }
    enum tq_status status = tq_env_open(folder, create ? TQ_OPEN_CREATE : 0, tq_netfs_allowed(), env);
    /* Read-only last: a process has one environment, and a connection that may write may come later. */
    if (status == TQ_IO && readonly) status = tq_env_open(folder, TQ_OPEN_READONLY, tq_netfs_allowed(), env);
    TQ_TRY(status);
    if (create && any) status = check_owner(*env, file, uuid);
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
