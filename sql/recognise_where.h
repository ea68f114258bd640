/* WHERE of a recognised statement, rewritten for the table of rows; recognise.h says what may stand in it. */
#ifndef TQ_RECOGNISE_WHERE_H
#define TQ_RECOGNISE_WHERE_H

#include "sql/recognise.h"

/* The table, by the name that the statement may call it by: its alias (size 0: none), else its own. */
bool tq_recognise_is_table(const struct tq_tokens *tokens, size_t at, const char *name, const struct tq_token *alias);

/* Tokens [first, end) into *text (tq_free). NULL, or what was in the way. */
const char *tq_recognise_where(const struct tq_tokens *tokens, size_t first, size_t end,
                               const struct tq_recognise_table *table, const struct tq_token *alias, char **text,
                               bool *bound);

#endif
