/* What kill points and errors have in common: a store that follows the plan, and models of where it is. */
#ifndef TQ_FAULT_SQL_H
#define TQ_FAULT_SQL_H

#include "tests/crash/faults/faults.h"
#include "tests/crash/sql_model.h"

#define LEG_MAX 3
#define MODES 12
#define MODE_FULL 4 /* below it are those that do not sync each commit */

/* Journal mode times synchronous level. */
const char *mode_name(int mode);

/* Opens the database in work. NULL: it could not be; record->code and record->text say why. */
sqlite3 *sql_open(int mode);

/* Where the plan is: models[i] is what the tables hold `i` transactions from here. */
struct course {
    int mode, number, length; /* length: transactions of a leg */
    sqlite3 *models[LEG_MAX + 1];
};
void course_start(struct course *course, int mode);
/* Apply transaction `number` to the store and to the models; the store must be as base is. */
void course_advance(struct course *course);
void course_end(struct course *course);

#endif
