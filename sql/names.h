/* What the recogniser is told of a table's columns. */
#ifndef TQ_NAMES_H
#define TQ_NAMES_H

#include "sql/recognise.h"
#include "sql/registry.h"

struct tq_names {
    const char *vectors[TQ_COLUMNS_MAX], *others[TQ_COLUMNS_MAX], *stored[TQ_COLUMNS_MAX], *apart[TQ_COLUMNS_MAX];
    struct tq_recognise_table table;
};

void tq_names_list(const struct tq_sql_table *table, struct tq_names *names);

#endif
