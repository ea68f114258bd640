/* What the programs that check a plugin share: arguments, the plugin, counting, data. */
#ifndef TQ_DEVICE_HARNESS_H
#define TQ_DEVICE_HARNESS_H

#include "kernels/cuda/plugin.h"
#include "tests/kernels/check.h"

enum harness_form { HARNESS_SANITIZER, HARNESS_SHORT, HARNESS_FULL };

struct harness {
    const struct tq_cuda_ops *ops;
    struct tq_cuda *cuda;
    enum harness_form form;
    uint64_t seed;
    const char *pattern; /* groups whose name has it are run; NULL: all */
    struct check_random random;
    const char *group;
    double begun;
    uint64_t group_passed, group_failed, passed, failed;
};

/* [--plugin path] [--short | --full | --sanitizer] [--seed n] [pattern]; opens device 0. 0, or how to exit. */
int harness_open(struct harness *h, int argc, char **argv);
/* Closes; the last line. Returns how to exit. */
int harness_close(struct harness *h);

/* Whether the group is to be run; its cases are counted until the next. */
bool harness_group(struct harness *h, const char *name);
/* A case; the text says what is wrong with it, and is printed for the first few of a group. */
void harness_case(struct harness *h, bool passed, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A call of the plugin that has to do: else a failed case that tells why. */
bool harness_did(struct harness *h, enum tq_cuda_status status, const struct tq_cuda_why *why, const char *call);

/* ---- Data ---- */

float harness_normal(struct check_random *random);

/* Rows of many kinds: sparse, one-hot, constant, alternating, decaying, tiny, huge, zeros, negative zeros. half: within
 * half precision. */
void harness_odd_rows(struct check_random *random, float *rows, uint32_t dim, size_t count, bool half);

struct harness_clusters {
    uint32_t dim, centres, subcentres;
    float *points; /* centres, then subcentres of them */
    double noise;
};
void harness_clusters_open(struct harness_clusters *clusters, struct check_random *random, uint32_t dim,
                           uint32_t centres, uint32_t subcentres);
void harness_clusters_close(struct harness_clusters *clusters);
void harness_clusters_row(const struct harness_clusters *clusters, struct check_random *random, float *row);

#endif
