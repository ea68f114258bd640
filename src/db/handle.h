/* The library's handles. Private to src/db. */
#ifndef TQ_HANDLE_H
#define TQ_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "src/db/db.h"

/* A connection and an index on it, for one search or get at a time; kept for the next. */
struct tq_reader {
    struct tq_conn *conn;
    struct tq_access *access;
    struct tq_reader *next;
};

struct tq_index {
    struct tq_store *store;
    struct tq_index *next; /* of the store's open indexes */
    int references;
    struct tq_codec *codec;
    struct tq_access *writer; /* on the store's writing connection; NULL when read-only */
    struct tq_reader *idle;
    atomic_uint cancels; /* calls of tq_cancel() */
    bool touched;        /* by the open transaction */
    char name[TQ_NAME_MAX + 1];
};

struct tq_store {
    struct tq_env *env;
    struct tq_conn *conn; /* writes; NULL when read-only */
    char *catalog;        /* file of the SQLite catalog */
    unsigned flags;
    bool in_transaction;
    bool lost;                  /* that transaction can only be rolled back */
    pthread_mutex_t write_lock; /* a writing call, in_transaction, the list of indexes */
    pthread_mutex_t pool_lock;  /* the lists of idle readers */
    struct tq_index *indexes;
};

/* The folder and the catalog of a path: tq_free both, also on failure. */
enum tq_status tq_store_place(const char *path, char **folder, char **catalog);

/* Run as a transaction of its own unless one is open. `index` may be NULL. */
typedef enum tq_status tq_write_function(struct tq_store *store, struct tq_index *index, void *argument);
enum tq_status tq_store_write(struct tq_store *store, struct tq_index *index, tq_write_function *function,
                              void *argument);

#endif
