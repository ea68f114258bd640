/* EXPLAIN QUERY PLAN as a tree. */
#ifndef SHELL_QUERY_PLAN_H
#define SHELL_QUERY_PLAN_H

#include <sqlite3.h>

#include "src/tq.h"

struct shell_session;

/* The plan of a statement, before it is run. */
enum tq_status shell_plan_of(struct shell_session *session, sqlite3_stmt *statement);

/* The rows of a statement that begins with EXPLAIN QUERY PLAN. */
enum tq_status shell_plan_show(struct shell_session *session, sqlite3_stmt *explain);

#endif
