/* What is done while the recorder watches, and what must be found afterwards: contents by numbers of transactions. */
#ifndef TQ_POWER_WORKLOAD_H
#define TQ_POWER_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSACTIONS_MAX 120

/* Journal mode and synchronous level, and how many acknowledged transactions a loss of power may take back. */
struct mode {
    const char *name, *pragmas;
    int lost;
    bool wal;
};

#define LOST_ANY 1000

/* What a table or index holds, as one number. */
struct content {
    uint64_t after[TRANSACTIONS_MAX + 1]; /* so many transactions */
    uint64_t tail[TRANSACTIONS_MAX + 1];  /* and then one more, the checker's own */
};

struct found {
    int number; /* of transactions: the first with these contents */
    bool copy;  /* a whole backup is there */
};

struct workload {
    const char *name;
    const struct mode *modes;
    size_t mode_count;
    int (*count)(void); /* transactions */
    int backup;         /* this transaction makes one; -1: none does */
    /* Do them in an empty folder; each number is printed once it is acknowledged. */
    void (*work)(const char *root, const struct mode *mode);
    void (*expect)(struct content *content);
    /* Look at the whole store, write to it once more, look again. Whatever is wrong ends in fail(). */
    struct found (*check)(const char *root, const struct mode *mode, const struct content *content);
};

extern const struct workload rows_workload, parts_workload, library_workload;

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* ---- For all of them ---- */

#define FLUSH_ROWS 8u     /* rows of a flush, instead of what the format says: see wrapped.c */
#define SEGMENT_ROWS 256u /* of a segment, at most */
#define DIM_MAX 64

/* Vector number `from`, of eighths, which a half holds exactly. */
void make_vector(int64_t from, int dim, float *vector);
uint64_t chance(uint64_t number, uint64_t which, uint64_t below);
void acknowledge(int done);
/* The first number of transactions that leaves `content`, or -1. */
int find_content(const uint64_t *after, int count, uint64_t content);

/* After two optimizations the folder holds no value that no segment needs; without a WAL those may be left that are
 * listed to be deleted, one commit later. `db`: a connection to the catalog, outside any transaction. */
struct sqlite3;
void check_values(struct sqlite3 *db, const char *folder, const char *const *tables, size_t count, bool wal);

#endif
