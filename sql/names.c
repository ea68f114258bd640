#include "sql/names.h"

void tq_names_list(const struct tq_sql_table *table, struct tq_names *names) {
    names->table = (struct tq_recognise_table){.schema = table->schema,
                                               .name = table->name,
                                               .vectors = names->vectors,
                                               .others = names->others,
                                               .others_stored = names->stored,
                                               .apart = names->apart};
    struct tq_recognise_table *to = &names->table;
    for (size_t i = 0; i < table->declaration.count; i++) {
        const struct tq_sql_column *column = &table->declaration.columns[i];
        if (column->kind == TQ_COLUMN_VECTOR) {
            names->vectors[to->vector_count++] = column->name;
        } else if (column->kind == TQ_COLUMN_APART) {
            names->apart[to->apart_count++] = column->name;
        } else {
            names->stored[to->other_count] = column->stored;
            names->others[to->other_count++] = column->name;
        }
    }
}
