/* What the files of a pair share (pair.h). */
#ifndef TQ_PAIR_PARTS_H
#define TQ_PAIR_PARTS_H

#include "storage/conn_sql.h"
#include "storage/pair.h"
#include "storage/table_parts.h"

/* Every value that the sealed segments of a part refer to, borrowed during the call; adopted ones come with each
 * segment that refers to them. check: verify every page first. take NULL: only see that they are there. TQ_CORRUPT: one
 * is missing or damaged. */
typedef enum tq_status tq_pair_take(void *context, uint64_t key, const void *data, size_t size);
enum tq_status tq_pair_values(struct tq_table *part, bool check, tq_pair_take *take, void *context);

/* The state of every part, which needs no folder. */
typedef enum tq_status tq_pair_state(void *context, const struct tq_catalog_identity *identity,
                                     const struct tq_catalog_look *look);
enum tq_status tq_pair_states(struct tq_conn *conn, tq_pair_state *state, void *context);

/* Record a failure again, after calls that may have failed as well: `text` is what tq_message() was. */
struct tq_pair_failure {
    enum tq_status status;
    char text[512];
};
struct tq_pair_failure tq_pair_failed(enum tq_status status);
enum tq_status tq_pair_fail_again(const struct tq_pair_failure *failure);
/* What was made beside its place, under a name that goes on from it, is gone: tell of the place. */
void tq_pair_failed_at(struct tq_pair_failure *failure, const char *made, const char *place);

#endif
