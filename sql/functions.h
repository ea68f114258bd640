/* The SQL functions, and what the table tells them of its values. */
#ifndef TQ_FUNCTIONS_H
#define TQ_FUNCTIONS_H

#include "sql/registry.h"

/* tq_ip, tq_cosine, tq_l2, tq_distance; tq_f32, tq_json, tq_normalize, tq_dim, tq_version; and the four below. */
int tq_functions_register(struct tq_sql *sql);
/* tq_f16, tq_f64, tq_i8, tq_to_f16; tq_add, tq_sub, tq_scale, tq_slice, tq_norm. */
int tq_vector_functions_register(struct tq_sql *sql);
/* tq_sum and tq_avg of vectors; tq_rrf. */
int tq_aggregates_register(struct tq_sql *sql);
/* tq_encode, tq_decode. */
int tq_codes_register(struct tq_sql *sql);
/* The table-valued tq_each. */
int tq_each_register(struct tq_sql *sql);
/* tq_check. */
int tq_check_register(struct tq_sql *sql);
/* tq_repair. */
int tq_repair_register(struct tq_sql *sql);
/* tq_backup, tq_compact. */
int tq_upkeep_register(struct tq_sql *sql);
/* tq_pack, tq_unpack. */
int tq_pack_register(struct tq_sql *sql);
/* tq_kernels, tq_gpu. */
int tq_machine_register(struct tq_sql *sql);
/* tq_info, tq_explain, tq_config: what a connection is and does. */
int tq_info_register(struct tq_sql *sql);

enum tq_function { TQ_FN_IP, TQ_FN_COSINE, TQ_FN_L2, TQ_FN_DISTANCE, TQ_FN_COUNT };
extern const char *const tq_function_names[TQ_FN_COUNT];

/* To be told of every call while sql->waiting.cursor is set; nearest.c. */
void tq_nearest_hear(struct tq_sql *sql, enum tq_function function, sqlite3_value **values);

/* A tq table's vectors carry their metric as the value's subtype, so that tq_distance() knows it in any argument
 * order. 0 is no subtype; JSON's is 74. */
static inline unsigned tq_metric_subtype(enum tq_metric metric) { return 0x71u + (unsigned)metric; }

/* Flags of a function that may stand in any schema. */
enum { TQ_FN_PURE = SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS };

struct tq_sql_function {
    const char *name;
    int arguments, flags;
    void (*run)(sqlite3_context *, int, sqlite3_value **);
};
int tq_functions_create(struct tq_sql *sql, const struct tq_sql_function *functions, size_t count);

/* Fail a function with "<name>: <tq_message()>". */
void tq_function_fail(sqlite3_context *context, const char *name, enum tq_status status);

/* Return f32[dim], from tq_alloc and given away; or fail as above where status is not TQ_OK. */
void tq_function_return(sqlite3_context *context, const char *name, enum tq_status status, float *vector, size_t dim);

/* Return a text that was built, which is finished here. */
void tq_function_return_built(sqlite3_context *context, sqlite3_str *out);
/* A text as JSON has it, with its quotes. */
void tq_function_append_text(sqlite3_str *out, const char *text);

#endif
