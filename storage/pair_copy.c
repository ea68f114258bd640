/* A second pair: SQLite's half page by page, so that rowids and all tables stay what they are, then LMDB's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/pair_parts.h"
#include "storage/platform.h"

#define PATH_BYTES 4096

/* ---- SQLite ---- */

/* A read transaction as long as the statement is not finalized: no value that the snapshot refers to is deleted. */
static enum tq_status hold_snapshot(struct tq_conn *conn, sqlite3_stmt **held) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\".sqlite_master", conn->schema);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(conn->db, sql, -1, held, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) rc = sqlite3_step(*held);
    return rc == SQLITE_ROW ? TQ_OK : tq_conn_fail(conn, rc, "reading", conn->schema);
}

/* That of the source, which may know a file that others do not; a database in memory has one of its own. */
static const char *vfs_name(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    const char *file = sqlite3_db_filename(conn->db, conn->schema);
    sqlite3_vfs *vfs = NULL;
    if (file == NULL || file[0] == 0) return NULL;
    (void)sqlite3_file_control(conn->db, conn->schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
    return vfs == NULL ? NULL : vfs->zName;
}

/* It is nobody else's: no locks, and the one sync comes at the end. */
static enum tq_status open_copy(struct tq_conn *source, const char *file, struct tq_conn **copy) {
    const sqlite3_api_routines *sqlite3_api = source->api;
    struct tq_conn *made = NULL;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs_name(source));
    enum tq_status status = tq_conn_wrap(db, source->api, "main", &made);
    if (status == TQ_OK) {
        made->own = true;
        (void)sqlite3_extended_result_codes(db, 1);
        if (rc == SQLITE_OK) {
            rc = sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF", NULL, NULL, NULL);
        }
        if (rc != SQLITE_OK) status = tq_conn_fail(made, rc, "opening", file);
    } else {
        (void)sqlite3_close_v2(db);
    }
    if (status == TQ_OK)
        *copy = made;
    else
        tq_conn_close(made);
    return status;
}

static enum tq_status copy_pages(struct tq_conn *source, struct tq_conn *copy, const char *file) {
    const sqlite3_api_routines *sqlite3_api = source->api;
    int rc = sqlite3_exec(copy->db, "PRAGMA journal_mode=OFF", NULL, NULL, NULL);
    if (rc != SQLITE_OK) return tq_conn_fail(copy, rc, "opening", file);
    sqlite3_backup *backup = sqlite3_backup_init(copy->db, "main", source->db, source->schema);
    if (backup == NULL) return tq_conn_fail(copy, sqlite3_errcode(copy->db), "copying to", file);
    rc = sqlite3_backup_step(backup, -1);
    int finished = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && finished == SQLITE_OK) return TQ_OK;
    if ((rc & 0xff) == SQLITE_FULL) return tq_fail(TQ_FULL, "%s: copying: disk full", file);
    return tq_fail((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED ? TQ_BUSY : TQ_IO, "copying to %s: %s",
                   file, sqlite3_errstr(rc));
}

/* The copy is for whoever may use the original. */
static enum tq_status make_file(struct tq_conn *source, const char *file) {
    const sqlite3_api_routines *sqlite3_api = source->api;
    const char *original = sqlite3_db_filename(source->db, source->schema);
    struct stat st;
    bool known = original != NULL && original[0] != 0 && stat(original, &st) == 0;
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, known ? 0600 : 0644);
    if (fd < 0)
        return tq_fail(errno == ENOSPC || errno == EDQUOT ? TQ_FULL : TQ_IO, "open %s: %s", file, strerror(errno));
    if (known) (void)fchmod(fd, st.st_mode & 0777);
    (void)close(fd);
    return TQ_OK;
}

static enum tq_status copy_database(struct tq_conn *source, const char *file, uint64_t *bytes) {
    struct tq_conn *copy = NULL;
    struct stat st;
    TQ_TRY(make_file(source, file));
    TQ_TRY(open_copy(source, file, &copy));
    enum tq_status status = copy_pages(source, copy, file);
    tq_conn_close(copy);
    TQ_TRY(status);
    TQ_TRY(tq_folder_sync(file));
    if (stat(file, &st) == 0) *bytes += (uint64_t)st.st_size;
    return TQ_OK;
}

/* ---- Checking ---- */

/* That every value is there, and every directory as the catalog has it; not their pages, which were not touched. */
static enum tq_status check_part(void *context, struct tq_table *part) {
    (void)context;
    return tq_pair_values(part, false, NULL, NULL);
}

static enum tq_status check_pair(struct tq_conn *source, const char *database, const char *folder) {
    struct tq_conn *copy = NULL;
    struct tq_env *env = NULL;
    sqlite3_stmt *held = NULL;
    char lock[PATH_BYTES];
    const sqlite3_api_routines *sqlite3_api = source->api;
    enum tq_status status = open_copy(source, database, &copy);
    if (status == TQ_OK) status = tq_env_open(folder, 0, true, &env);
    if (status == TQ_OK) status = hold_snapshot(copy, &held);
    if (status == TQ_OK) status = tq_pair_each(copy, env, check_part, NULL);
    (void)sqlite3_finalize(held);
    struct tq_pair_failure failure = tq_pair_failed(status);
    tq_env_close(env);
    tq_conn_close(copy);
    if (tq_folder_join(folder, TQ_LOCK_FILE, lock, sizeof lock) == TQ_OK) (void)unlink(lock); /* of this look */
    return status == TQ_OK ? TQ_OK : tq_pair_fail_again(&failure);
}

/* ---- The pair ---- */

struct copying {
    struct tq_conn *conn;
    struct tq_env *env; /* NULL: no folder */
    const struct tq_pair_place *target;
    bool inside;                                   /* the database lies in the folder */
    char database[PATH_BYTES], folder[PATH_BYTES]; /* while they are made; "": not begun */
    uint64_t bytes;
};

static bool lies_inside(const struct tq_pair_place *place) {
    size_t length = place->folder == NULL ? 0 : strlen(place->folder);
    return length > 0 && strncmp(place->database, place->folder, length) == 0 && place->database[length] == '/';
}

/* A journal that is left of another database would be played back into the copy. */
static enum tq_status check_target(const struct tq_pair_place *target) {
    static const char *const ends[] = {"", "-journal", "-wal", "-shm"};
    char path[PATH_BYTES];
    if (target->folder != NULL) TQ_TRY(tq_folder_refuse_existing(target->folder));
    for (size_t i = 0; i < TQ_COUNT(ends); i++) {
        int length = snprintf(path, sizeof path, "%s%s", target->database, ends[i]);
        if (length < 0 || (size_t)length >= sizeof path) {
            return tq_fail(TQ_MISUSE, "path is too long: %.200s...", target->database);
        }
        TQ_TRY(tq_folder_refuse_existing(path));
    }
    return TQ_OK;
}

static enum tq_status name_database(struct copying *c) {
    uint64_t random = 0;
    if (c->inside)
        return tq_folder_join(c->folder, c->target->database + strlen(c->target->folder) + 1, c->database,
                              sizeof c->database);
    if (tq_platform_random(&random, sizeof random) != 0) return tq_fail(TQ_IO, "random bytes: %s", strerror(errno));
    int length = snprintf(c->database, sizeof c->database, "%s.new-%016llx", c->target->database,
                          (unsigned long long)random);
    if (length > 0 && (size_t)length < sizeof c->database) return TQ_OK;
    return tq_fail(TQ_MISUSE, "path is too long: %.200s...", c->target->database);
}

static enum tq_status make_both(struct copying *c) {
    sqlite3_stmt *held = NULL;
    const sqlite3_api_routines *sqlite3_api = c->conn->api;
    uint64_t bytes = 0;
    if (c->env != NULL) TQ_TRY(tq_folder_make_beside(c->target->folder, c->folder, sizeof c->folder));
    TQ_TRY(name_database(c));
    enum tq_status status = hold_snapshot(c->conn, &held);
    if (status == TQ_OK) status = copy_database(c->conn, c->database, &c->bytes);
    if (status == TQ_OK && c->env != NULL) status = tq_env_copy(c->env, c->folder, &bytes);
    (void)sqlite3_finalize(held);
    TQ_TRY(status);
    c->bytes += bytes;
    return c->env == NULL ? TQ_OK : check_pair(c->conn, c->database, c->folder);
}

/* A folder alone is nobody's, a database alone is not whole: so the database comes last. */
static enum tq_status put_in_place(struct copying *c) {
    if (c->env != NULL) {
        if (c->inside) TQ_TRY(tq_folder_sync(c->folder));
        TQ_TRY(tq_folder_move(c->folder, c->target->folder));
        (void)snprintf(c->folder, sizeof c->folder, "%s", c->target->folder); /* to be removed if the next step fails */
    }
    return c->inside ? TQ_OK : tq_folder_move(c->database, c->target->database);
}

static void remove_begun(const struct copying *c) {
    if (c->database[0] != 0) (void)unlink(c->database);
    if (c->folder[0] != 0) tq_folder_remove(c->folder);
}

enum tq_status tq_pair_copy(struct tq_conn *conn, struct tq_env *env, const struct tq_pair_place *target,
                            uint64_t *bytes) {
    struct copying c = {.conn = conn, .env = env, .target = target, .inside = lies_inside(target)};
    TQ_TRY(check_target(target));
    if (tq_conn_is_writing(conn))
        return tq_fail(TQ_MISUSE, "the transaction that is open has written: commit it first");
    enum tq_status status = make_both(&c);
    if (status == TQ_OK) status = put_in_place(&c);
    if (status == TQ_OK) {
        *bytes = c.bytes;
        return TQ_OK;
    }
    struct tq_pair_failure failure = tq_pair_failed(status);
    if (c.folder[0] != 0) tq_pair_failed_at(&failure, c.folder, target->folder);
    if (!c.inside && c.database[0] != 0) tq_pair_failed_at(&failure, c.database, target->database);
    remove_begun(&c);
    return tq_pair_fail_again(&failure);
}
