/* What may complete the word at the cursor. */
#ifndef SHELL_COMPLETE_H
#define SHELL_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

struct shell_session;

struct shell_matches {
    size_t start; /* where in the line the word begins that they take the place of */
    char **texts; /* sorted, without doubles; what comes behind, a blank or (, is part of them */
    size_t count, capacity;
};

/* `line` is typed behind the lines of a statement that goes on (session->pending); cursor: bytes before it.
 * Never waits for a busy database, and is silent about one that cannot be read: there are fewer matches then. */
void shell_complete(struct shell_session *session, const char *line, size_t cursor, struct shell_matches *matches);
void shell_matches_clear(struct shell_matches *matches);

/* How many bytes all of them have in common at the beginning. */
size_t shell_matches_common(const struct shell_matches *matches);

/* Takes one that begins like the `size` bytes at `word`, whatever their case. */
void shell_matches_offer(struct shell_matches *matches, const char *word, size_t size, const char *text,
                         const char *end);

/* Names of files and folders; folders only. */
void shell_complete_file(struct shell_matches *matches, const char *word, size_t size, bool folders);

/* complete_sql.c: names of tables; whatever fits into a statement. */
void shell_complete_tables(struct shell_session *session, struct shell_matches *matches, const char *word, size_t size);
void shell_complete_sql(struct shell_session *session, const char *line, size_t cursor, struct shell_matches *matches);

/* complete_command.c: a line that begins with a point. */
void shell_complete_command(struct shell_session *session, const char *line, size_t cursor,
                            struct shell_matches *matches);

#endif
