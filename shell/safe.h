/* -safe: statements from somebody who is not trusted reach this database and nothing else. */
#ifndef SHELL_SAFE_H
#define SHELL_SAFE_H

#include <sqlite3.h>

/* No ATTACH, no extensions, no functions or settings that name files. */
void shell_safe_confine(sqlite3 *db);

#endif
