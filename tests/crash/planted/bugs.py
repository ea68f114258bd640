"""Bugs to plant: the test that is asked first, what the bug does, and its replacements (files, old text, new text).

Every old text must occur exactly once in the files: where code has changed, its bug is to be planted anew."""

OPEN = "rc = mdb_env_open(mdb, path, flags | MDB_NOTLS, 0644);"

BUGS = {
    "sqlite_first": ("power", "the catalog is durable before the folder", [
        ("storage/env*.c", OPEN, OPEN.replace("flags", "flags | MDB_NOSYNC")),
        ("storage/env*.c", "enum tq_status tq_env_write(struct tq_env *env,",
         "void tq_planted_sync(struct tq_env *env);\n"
         "void tq_planted_sync(struct tq_env *env) { (void)mdb_env_sync(env->mdb, 1); }\n\n"
         "enum tq_status tq_env_write(struct tq_env *env,"),
        ("storage/transaction.c", "void tq_table_committed(struct tq_table *table) {\n",
         "void tq_planted_sync(struct tq_env *env);\nvoid tq_table_committed(struct tq_table *table) {\n"
         "    tq_planted_sync(table->env);\n"),
    ]),
    "folder_nosync": ("power", "the folder is never synced", [
        ("storage/env*.c", OPEN, OPEN.replace("flags", "flags | MDB_NOSYNC")),
    ]),
    "folder_nometasync": ("power", "the folder's last commit may be lost", [
        ("storage/env*.c", OPEN, OPEN.replace("flags", "flags | MDB_NOMETASYNC")),
    ]),
    "delete_at_once": ("power", "replaced values are deleted by the transaction that replaces them", [
        ("storage/gc.c", "TQ_TRY(newest_proved(table, &newest));", "newest = table->state.version + 1;"),
    ]),
    "no_checkpoint": ("power", "the proof does not ask for the checkpoint", [
        ("storage/conn.c",
         "return look->frames == look->copied ? TQ_PROOF_WAL : TQ_PROOF_WAL_PART;", "return TQ_PROOF_WAL;"),
    ]),
    "checkpoint_not_synced": ("power", "the checkpoint of the proof is not synced", [
        ("storage/conn.c", 'rc = sqlite3_exec(second, "PRAGMA synchronous=FULL", NULL, NULL, NULL);',
         'rc = sqlite3_exec(second, "PRAGMA synchronous=OFF", NULL, NULL, NULL);'),
    ]),
    "many_versions": ("a transaction that writes its state twice is two versions", [
        ("storage/transaction.c", "state.version = tq_txn_version(table);", "state.version++;"),
        ("storage/gc.c", "tq_txn_version(table), &(struct keys){keys, count, count}",
         "table->state.version + 1, &(struct keys){keys, count, count}"),
    ]),
    "journal_one_early": ("power", "with a rollback journal values go one commit early", [
        ("storage/gc.c", "if (proof == TQ_PROOF_JOURNAL) *newest = begin - 1;",
         "if (proof == TQ_PROOF_JOURNAL) *newest = begin;"),
    ]),
    "off_deletes": ("sql", "with synchronous=OFF values are deleted", [
        ("storage/conn.c", 'if (pragma_is(conn, "synchronous", "0")) return TQ_PROOF_NONE;', ""),
    ]),
    "foreign_orphans": ("unit", "values of a folder that is far ahead are deleted at once", [
        ("storage/gc.c", "uint64_t version = txn->foreign ? TQ_GC_KEPT : TQ_GC_NOW;", "uint64_t version = TQ_GC_NOW;"),
    ]),
    "own_orphans": ("unit", "what a savepoint may bring back is deleted at once", [
        ("storage/gc.c", "if (status == TQ_OK) status = gc_add(table, tq_txn_version(table), &own);",
         "if (status == TQ_OK) status = gc_add(table, TQ_GC_NOW, &own);"),
    ]),
    "orphans_stay": ("power", "values that a lost transaction wrote are never deleted", [
        ("storage/transaction.c", "txn->leftovers = meta.nonce != txn->begin.nonce;", "txn->leftovers = false;"),
    ]),
    "serial_again": ("power", "serials of a lost transaction are given out again", [
        ("storage/transaction.c",
         "uint64_t serial = meta.serial > txn->begin.serial ? meta.serial : txn->begin.serial;",
         "uint64_t serial = txn->begin.serial;"),
    ]),
    "adopted_deleted": ("power", "exact rows that a merge adopted are listed for deletion", [
        ("storage/merge.c",
         "bool with_exact = merge->with_exact || live_of(&cached[i]) == 0;", "bool with_exact = true;"),
    ]),
    "page_sum": ("unit", "sums of pages are not compared", [
        ("storage/chunk.c", "if (XXH3_64bits(bytes, TQ_CHUNK_PAGE) != sum)",
         "if (XXH3_64bits(bytes, TQ_CHUNK_PAGE) != sum && chunk->pages == 0)"),
    ]),
    "directory_sum": ("unit", "the sum of a directory is not compared", [
        ("storage/directory.c", "if (tq_chunk_hash(value, size) != dir_sum)", "if (tq_chunk_hash(value, size) == 0)"),
    ]),
    "log_sum": ("unit", "sums of log records are not compared", [
        ("storage/log_record.c",
         "if (sum_of(id, slot, at, size - sizeof(uint64_t)) != tq_log_record_sum(blob, size)) return"
         " false;", ""),
    ]),
    "nonce": ("unit", "folders that were changed separately are accepted", [
        ("storage/*.c", "if ((theirs == ours && meta->nonce != state->nonce) ||", "if ((theirs + 1 == 0) ||"),
    ]),
    "older_folder": ("unit", "a folder older than the catalog is accepted", [
        ("storage/*.c", "if (theirs < ours) {", "if (theirs + 1 == 0) {"),
    ]),
    "log_lost": ("kill", "a flush that fails deletes the log's rows all the same", [
        ("storage/flush.c", "TQ_TRY(write_folder(table, from, &flush));",
         "enum tq_status written = write_folder(table, from, &flush);\n"
         "    if (written != TQ_OK)\n"
         "        (void)tq_catalog_log_trim(table->catalog, table->part, tq_part_first(table->part), flush.slot_end);\n"
         "    TQ_TRY(written);"),
    ]),
    "log_stays": ("unit", "a flush leaves its rows in the log", [
        ("storage/flush.c",
         "return tq_catalog_log_trim(table->catalog, table->part, tq_part_first(table->part), slot_end);",
         "(void)slot_end;\n    return TQ_OK;"),
    ]),
    "dead_not_folded": ("power", "deleted rows come back with the next flush", [
        ("storage/flush.c", "if (cached->dead != cached->row.dead) TQ_TRY(fold_one(table, cached));",
         "if (cached->dead != cached->row.dead && cached->row.rows == 0) TQ_TRY(fold_one(table, cached));"),
    ]),
    "state_not_written": ("unit", "a flush does not tell the catalog its nonce and serial", [
        ("storage/flush.c", "    TQ_TRY(fold_until(table, flush->slot_end));\n    TQ_TRY(tq_txn_state(table));\n",
         "    TQ_TRY(fold_until(table, flush->slot_end));\n"),
    ]),
    "slot_again": ("power", "slots in the log are given out again by the next connection", [
        ("storage/transaction.c",
         "if (look->any_put && look->slot_last >= table->next) table->next = look->slot_last + 1;", ""),
    ]),
    "slot_after_rollback": ("unit", "after ROLLBACK the next slot and the log are as before it", [
        ("storage/transaction.c", "    txn_end(table);\n    table->known = false;\n    tq_cache_forget(table);\n",
         "    txn_end(table);\n"),
    ]),
    "rollback_to": ("sql", "ROLLBACK TO is not heard of", [
        ("sql/savepoints.c", "    struct tq_sql_table *table = table_of(vtab);\n    enum tq_status status ="
         " tq_cursors_detach(table);\n    for (size_t number = 0; number < table->part_capacity; number++) {",
         "    struct tq_sql_table *table = table_of(vtab);\n    enum tq_status status = tq_cursors_detach(table);\n"
         "    for (size_t number = table->part_capacity; number < table->part_capacity; number++) {"),
    ]),
    "folder_not_synced": ("power", "a new folder is renamed before it is on disk", [
        ("storage/platform_folder.c", "    TQ_TRY(tq_folder_sync(path));\n    return tq_folder_sync(folder);\n",
         "    return TQ_OK;\n"),
    ]),
    "folder_in_place": ("power", "a new folder is made in its place", [
        ("storage/platform_folder.c", "    TQ_TRY(tq_folder_make_beside(folder, temporary, sizeof temporary));\n",
         "    (void)snprintf(temporary, sizeof temporary, \"%s\", folder);\n    (void)mkdir(folder, 0777);\n"),
        ("storage/platform_folder.c", "if (status == TQ_OK && rename(temporary, folder) != 0) {",
         "if (status == TQ_OK && false) {"),
    ]),
    "parent_not_synced": ("power", "a new folder's name is not synced", [
        ("storage/platform_folder.c", "if (status == TQ_OK) return tq_folder_sync_parent(folder);",
         "if (status == TQ_OK) return TQ_OK;"),
    ]),
    "compact_not_synced": ("power", "the compacted file takes the old one's place before it is on disk", [
        ("storage/env_copy.c", "if (fsync(fd) != 0 || fstat(fd, &st) != 0)", "if (fstat(fd, &st) != 0)"),
    ]),
    "compact_name": ("power", "the compacted file's name is not synced", [
        ("storage/env_copy.c",
         "        (void)unlink(from);\n        return status;\n    }\n    return tq_folder_sync(folder);",
         "        (void)unlink(from);\n        return status;\n    }\n    (void)folder;\n    return TQ_OK;"),
    ]),
    "backup_not_synced": ("power", "the backup's database gets its name before it is on disk", [
        ("storage/pair_copy.c", "    TQ_TRY(tq_folder_sync(file));\n    if (stat(file, &st) == 0) *bytes",
         "    if (stat(file, &st) == 0) *bytes"),
    ]),
}
