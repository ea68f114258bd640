/* Whether a database and its folder belong together. FORMAT.md, section 5, has the rules; here is what a user is told:
 * both files, what differs, and the way out. */
#include <string.h>

#include "storage/conn_sql.h"
#include "storage/table_parts.h"

#define WAY_OUT "restore both from one backup, or call tq_repair"

enum tq_status tq_table_check_uuid(struct tq_table *table) {
    const uint8_t *mine = table->identity.uuid, *theirs = tq_env_uuid(table->env);
    if (memcmp(mine, theirs, 16) == 0) return TQ_OK;
    return tq_fail(TQ_FORMAT,
                   "folder \"%s\" belongs to another database than \"%s\" (uuid %02x%02x%02x%02x.. != "
                   "%02x%02x%02x%02x..); put its own folder there, or call tq_repair with adopt-empty",
                   tq_env_path(table->env), tq_conn_file(table->conn), theirs[0], theirs[1], theirs[2], theirs[3],
                   mine[0], mine[1], mine[2], mine[3]);
}

enum tq_status tq_table_check_pair(struct tq_table *table, const struct tq_catalog_state *state,
                                   const struct tq_env_meta *meta) {
    const char *name = tq_catalog_name(table->catalog), *path = tq_env_path(table->env);
    const char *file = tq_conn_file(table->conn);
    unsigned long long ours = state->flushes, theirs = meta->flushes;
    if (meta->nonce == 0) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": folder \"%s\" has never heard of it: it is older than \"%s\"; " WAY_OUT, name,
                       path, file);
    }
    if (theirs < ours) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": folder \"%s\" is %llu flush%s behind \"%s\" (%llu < %llu), as from an older "
                       "backup; " WAY_OUT,
                       name, path, ours - theirs, ours - theirs == 1 ? "" : "es", file, theirs, ours);
    }
    if ((theirs == ours && meta->nonce != state->nonce) || (theirs == ours + 1 && meta->parent != state->nonce)) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": folder \"%s\" and \"%s\" were changed separately after flush %llu; " WAY_OUT,
                       name, path, file, ours - (theirs == ours && ours > 0 ? 1 : 0));
    }
    return TQ_OK;
}

enum tq_status tq_table_value_missing(struct tq_table *table, uint64_t key) {
    const char *name = tq_catalog_name(table->catalog), *path = tq_env_path(table->env);
    struct tq_catalog_look look;
    struct tq_env_meta meta;
    TQ_TRY(tq_catalog_look(table->catalog, table->part, &look));
    TQ_TRY(tq_env_meta(table->env, table->identity.number, &meta));
    TQ_TRY(tq_table_check_pair(table, &look.state, &meta));
    unsigned long long serial = key & 0xffffffffffull, ours = look.state.flushes, theirs = meta.flushes;
    if (theirs > ours + 1) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": value %llu is gone from folder \"%s\": \"%s\" is older than its folder (flush "
                       "%llu < %llu), as from an older backup; " WAY_OUT,
                       name, serial, path, tq_conn_file(table->conn), ours, theirs);
    }
    return tq_fail(TQ_CORRUPT, "index \"%s\": value %llu is missing in folder \"%s\" of \"%s\"; " WAY_OUT, name, serial,
                   path, tq_conn_file(table->conn));
}
