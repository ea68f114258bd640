/* One shell: a connection, how it shows results, and how it goes through lines of SQL and commands. */
#ifndef SHELL_SESSION_H
#define SHELL_SESSION_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

#include "shell/line.h"
#include "shell/output.h"
#include "shell/render.h"
#include "src/tq.h"

/* What commands may do beyond the database. */
enum shell_reach { SHELL_REACH_NOTHING /* -safe */, SHELL_REACH_FILES, SHELL_REACH_PROGRAMS };

struct shell_session {
    sqlite3 *db;
    char *path; /* as given; ":memory:" */
    enum shell_reach reach;
    bool readonly, interactive, timer;
    bool bail, bail_typed;    /* scripts, typed lines end with the first failure */
    bool echo, changes, plan; /* .echo, .changes, .eqp */
    bool quit;                /* .quit, or -bail after a failure */
    bool exits;               /* .exit STATUS: out of all scripts, too */
    int exit_status;
    bool interrupted;        /* the last failure was Ctrl-C */
    bool color, error_color; /* standard output, standard error is a terminal that shows some */
    bool told;               /* the failure that is returned was reported already */
    int depth;               /* of .read */
    bool runaway;            /* it was too deep: all those scripts end */
    int busy_ms;             /* .timeout */
    char *place;             /* lines below a message that show where in the statement; NULL: not known */
    struct shell_look look;
    FILE *out; /* results go here: standard output, a pager, or what .output names */
    struct shell_output output;
    struct shell_edit *edit; /* NULL unless interactive */
    const char *pending;     /* the lines of a statement that goes on; NULL: none */
    char prompts[2][40];     /* of .prompt; "": the shell's own */
};

enum { SHELL_BUSY_MS = 5000 };

/* Opens the database, and closes the one that was open. On failure the old one stays. */
enum tq_status shell_session_open(struct shell_session *session, const char *path);
void shell_session_close(struct shell_session *session);

/* What commands have set. */
void shell_session_free(struct shell_session *session);

/* TQ_MISUSE for the file of an open database: whoever reads it beside us waits for our locks for ever, and drops them
 * all by closing it (fcntl). */
enum tq_status shell_session_refuse_own(struct shell_session *session, const char *path);

/* All lines up to the end or .quit; past failures, but for -bail, Ctrl-C in a script, and arguments. Messages go to
 * stderr. Returns whether nothing failed. */
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
