/* Tables changed through SQL, with everything a table can have, and the model that says what must be in them: an
 * ordinary table in memory to which the same statements are applied. Where tq has a vector, the model has the number
 * the vector is made of. A plan is a row of letters, one a transaction; what a transaction does follows from its
 * letter, its number and the seed. */
#ifndef TQ_SQL_MODEL_H
#define TQ_SQL_MODEL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define DIM_A 4080 /* f32: 64 rows are a flush */
#define DIM_B 8160 /* f16: likewise */
#define DIM_MAX DIM_B
#define PLAN_MAX 100

extern const char *plan;
extern int transactions;
extern uint64_t seed;
/* A part whose making was killed, or failed, may have written values under a number that no catalog names. Nobody
 * deletes them; without kill or failure there are none. */
extern bool unnamed_may_stay;

/* Of sql_work's plans. */
void choose_plan(int number);

/* Says what is wrong and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* ---- Running ---- */

/* vector(dim, from), for the model's connection or the store's. */
void add_vector(sqlite3 *db, bool model);
void make_vector(int64_t from, int dim, float *vector);
sqlite3 *open_model(void);

/* Statement after statement; what a constraint forbids, it forbids the model too. The first other code that is neither
 * SQLITE_ROW nor SQLITE_DONE, or SQLITE_OK. */
int run(sqlite3 *db, const char *text);
void must(sqlite3 *db, const char *text);
/* If a transaction is open. */
void roll_back(sqlite3 *db);

/* Its text; `name` is what docs is called at that point. sqlite3_free() it. */
char *transaction(int number, bool model, const char *name);
const char *name_now(sqlite3 *db);
/* A transaction of the plan, as run() has it. */
int apply(sqlite3 *db, int number, bool model);
void apply_to_model(sqlite3 *model, int number);

/* ---- Checking ---- */

/* Row by row, vectors included; `why` says what the difference is. */
bool same_tables(sqlite3 *db, sqlite3 *model);
extern char why[512];

/* Rows, searches, the table's own tables, SQLite's own check; fails if anything is wrong. */
void check_all(sqlite3 *db, sqlite3 *model, const char *when);
/* Less of it, for where the rows were compared already. */
void check_some(sqlite3 *db, sqlite3 *model);

/* All is over: check, write more, optimize, check again, close both, and see that nothing is left behind in the
 * folder. */
void check_end(sqlite3 *db, sqlite3 *model, const char *path);

#endif
