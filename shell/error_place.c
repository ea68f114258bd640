#include "shell/error_place.h"

#include <ctype.h>
#include <string.h>

#include "shell/render.h"

enum { BEFORE = 50, SHOWN = 76, INDENT = 2 };

#if SQLITE_VERSION_NUMBER >= 3038000
static int error_offset(sqlite3 *db) { return sqlite3_error_offset(db); }
#else
static int error_offset(sqlite3 *db) {
    (void)db;
    return -1;
}
#endif

static const char *back_to_character(const char *at, const char *start) {
    while (at > start && ((unsigned char)*at & 0xc0) == 0x80) at--;
    return at;
}

/* Lines become one, and neither end lies within a character. */
static char *copy_part(const char *from, const char *end) {
    char *part = sqlite3_mprintf("%.*s", (int)(end - from), from);
    for (char *at = part; at != NULL && *at != '\0'; at++) {
        if (iscntrl((unsigned char)*at)) *at = ' ';
    }
    return part;
}

char *shell_place_of(sqlite3 *db, const char *sql) {
    int offset = error_offset(db);
    size_t size = strlen(sql);
    if (offset < 0 || (size_t)offset > size) return NULL;
    const char *error = sql + offset;
    const char *from = offset > BEFORE ? back_to_character(error - BEFORE, sql) : sql;
    while (from < error && isspace((unsigned char)*from)) from++;
    const char *end = strlen(from) > SHOWN ? back_to_character(from + SHOWN, from) : from + strlen(from);
    while (end > error && isspace((unsigned char)end[-1])) end--;
    char *part = copy_part(from, end), *before = copy_part(from, error), *place = NULL;
    if (part != NULL && before != NULL) {
        int column = INDENT + shell_text_width(before);
        place = column < 25 ? sqlite3_mprintf("%*s%s\n%*s^--- error here", INDENT, "", part, column, "")
                            : sqlite3_mprintf("%*s%s\n%*serror here ---^", INDENT, "", part, column - 14, "");
    }
    sqlite3_free(part);
    sqlite3_free(before);
    return place;
}
