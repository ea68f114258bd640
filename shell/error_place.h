/* Where in a statement an error is. */
#ifndef SHELL_ERROR_PLACE_H
#define SHELL_ERROR_PLACE_H

#include <sqlite3.h>

/* Two lines, part of the statement and a mark below it, to be freed; NULL where SQLite does not tell the place. For
 * the error that preparing `sql` has just ended with. */
char *shell_place_of(sqlite3 *db, const char *sql);

#endif
