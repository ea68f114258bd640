/* Memory and state of the threads that share a search. */
#include <stdio.h>

#include "index/cascade.h"
#include "src/base/alloc.h"

enum tq_status tq_vector_reserve(struct tq_vector *vector, size_t count, size_t element_bytes) {
    if (count <= vector->capacity) return TQ_OK;
    size_t capacity = tq_max_size(count, vector->capacity + vector->capacity / 2), bytes = 0;
    if (__builtin_mul_overflow(capacity, element_bytes, &bytes)) bytes = SIZE_MAX;
    void *data = tq_realloc(vector->data, vector->capacity * element_bytes, bytes);
    if (data == NULL) return TQ_NOMEM;
    vector->data = data;
    vector->capacity = capacity;
    return TQ_OK;
}

void tq_worker_reset(struct tq_searcher *s, struct tq_worker *w) {
    w->top = (struct tq_topk){.values = w->heap.data, .capacity = s->wanted};
    w->refined.count = w->found.count = 0;
    w->survivors = 0;
    w->status = TQ_OK;
}

void tq_worker_note(struct tq_worker *w, enum tq_status status) {
    w->status = status;
    if (status != TQ_OK) (void)snprintf(w->message, sizeof w->message, "%s", tq_message());
}

enum tq_status tq_workers_status(const struct tq_searcher *s) {
    for (size_t i = 0; i < s->worker_count; i++) {
        if (s->workers[i].status != TQ_OK) return tq_fail(s->workers[i].status, "%s", s->workers[i].message);
    }
    return TQ_OK;
}
