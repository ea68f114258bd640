/* The SQLite extension's entry point, for programs that link the library instead of loading it:
 *
 *     sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
 *
 * Programs that load it need no header: load_extension('tq') finds the name. docs/sql.md is the reference. */
#ifndef TQ_SQLITE_H
#define TQ_SQLITE_H

#include "src/tq.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
struct sqlite3_api_routines;

/* Register module tq and the tq_ functions with a connection. A second call on one connection does nothing. */
TQ_API int sqlite3_tq_init(struct sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}
#endif
#endif
