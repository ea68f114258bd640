#include "index/topk.h"

static void sift_up(double *values, size_t at) {
    double value = values[at];
    while (at > 0 && values[(at - 1) / 2] > value) {
        values[at] = values[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    values[at] = value;
}

static void replace_top(double *values, size_t count, double value) {
    size_t at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && values[child + 1] < values[child]) child++;
        if (values[child] >= value) break;
        values[at] = values[child];
        at = child;
    }
    values[at] = value;
}

void tq_topk_push(struct tq_topk *top, double value) {
    if (top->count < top->capacity) {
        top->values[top->count] = value;
        sift_up(top->values, top->count++);
    } else if (top->capacity > 0 && value > top->values[0]) {
        replace_top(top->values, top->count, value);
    }
}

int tq_hit_compare(const void *a, const void *b) {
    const struct tq_hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}
