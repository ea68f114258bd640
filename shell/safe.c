#include "shell/safe.h"

#include <stddef.h>
#include <string.h>

#include "src/base/base.h"

static int authorize(void *unused, int action, const char *first, const char *second, const char *c, const char *d) {
    static const char *const functions[] = {"load_extension", "readfile",  "writefile",  "edit",      "fts3_tokenizer",
                                            "zipfile",        "tq_backup", "tq_restore", "tq_salvage"};
    (void)unused, (void)c, (void)d;
    if (action == SQLITE_ATTACH) return first != NULL && first[0] == '\0' ? SQLITE_OK : SQLITE_DENY; /* "": VACUUM */
    if (action == SQLITE_PRAGMA) {
        bool place = sqlite3_stricmp(first, "temp_store_directory") == 0 ||
                     sqlite3_stricmp(first, "data_store_directory") == 0;
        return place && second != NULL ? SQLITE_DENY : SQLITE_OK;
    }
    for (size_t i = 0; action == SQLITE_FUNCTION && i < TQ_COUNT(functions); i++) {
        if (sqlite3_stricmp(second, functions[i]) == 0) return SQLITE_DENY;
    }
    return SQLITE_OK;
}

void shell_safe_confine(sqlite3 *db) {
    (void)sqlite3_set_authorizer(db, authorize, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
}
