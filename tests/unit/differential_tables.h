/* Random tables, values and conditions for test_differential.c: texts that a tq table and an ordinary one both take. */
#ifndef TQ_TEST_DIFFERENTIAL_TABLES_H
#define TQ_TEST_DIFFERENTIAL_TABLES_H

#include "tests/unit/differential.h"

enum kind { ID, KEY, VECTOR, METADATA, PARTITION, APART };
enum { COLUMNS_MAX = 16 };

struct column {
    enum kind kind;
    char name[16];
    const char *type, *marks;
    uint32_t dim;
};

struct table {
    struct column columns[COLUMNS_MAX];
    size_t count;
    const char *metric, *name;
};

/* A case in the making. */
struct maker {
    struct dice dice;
    struct table table;
    struct steps steps;
    int connection; /* of the next step */
    bool writing;   /* no subquery about the table itself: an ordinary one may see it change while it writes */
};

void choose_table(struct maker *m);
const struct column *find(const struct table *t, enum kind kind, size_t number);
size_t count_of(const struct table *t, enum kind kind);
char *our_table(const struct table *t, struct dice *d);
char *plain_table(const struct table *t);
char *plain_check(const struct table *t, const char *event);
const char *any_value(struct dice *d);
const char *any_id(struct dice *d);
const char *any_key(struct dice *d);
void append_vector(sqlite3_str *out, struct dice *d, uint32_t dim);
const char *bad_vector(struct dice *d);
void append_new_value(sqlite3_str *out, struct dice *d, const struct column *c, uint32_t bad_percent);
const struct column *any_column(struct maker *m);
const char *any_name(struct maker *m);
void append_simple(sqlite3_str *out, struct maker *m, const char *p);
void append_answered(sqlite3_str *out, struct maker *m, const char *p, bool alone);
void append_condition(sqlite3_str *out, struct maker *m, const char *p, int depth);
void append_where(sqlite3_str *out, struct maker *m, const char *p);

#endif
