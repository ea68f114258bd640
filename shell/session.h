/* One shell: a connection, how it shows results, and how it goes through lines of SQL and commands. */
#ifndef SHELL_SESSION_H
#define SHELL_SESSION_H

#include <sqlite3.h>
#include <stdbool.h>

#include "shell/line.h"
#include "shell/render.h"
#include "src/tq.h"

struct shell_session {
    sqlite3 *db;
    char *path; /* as given; ":memory:" */
    bool readonly, interactive, bail, timer;
    bool quit;        /* .quit, or -bail after a failure */
    bool interrupted; /* the last failure was Ctrl-C */
    int depth;        /* of .read */
    struct shell_look look;
    struct shell_edit *edit; /* NULL unless interactive */
};

/* Opens the database, and closes the one that was open. On failure the old one stays. */
enum tq_status shell_session_open(struct shell_session *session, const char *path);
void shell_session_close(struct shell_session *session);

/* All lines up to the end, .quit, or the first failure (typed lines: go on after it). Messages go to stderr.
 * Returns whether nothing failed. */
bool shell_session_run(struct shell_session *session, struct shell_lines *lines);

/* One or more statements, their rows shown. */
enum tq_status shell_session_sql(struct shell_session *session, const char *sql);

/* A statement with one text bound to ?1 (NULL: none), its rows shown. */
enum tq_status shell_session_show(struct shell_session *session, const char *sql, const char *text);

/* The same, of which the first column of the first row is wanted; *value is freed with sqlite3_free, and NULL where
 * there is no row or the value is NULL. */
enum tq_status shell_session_value(struct shell_session *session, const char *sql, const char *text, char **value);

/* tq_fail() with SQLite's message. */
enum tq_status shell_session_fail(struct shell_session *session, int rc);

#endif
