/* What the files device_*.c share. Private to index/. */
#ifndef TQ_DEVICE_PARTS_H
#define TQ_DEVICE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/cascade.h"
#include "index/device.h"

/* ---- device_plugin.c: the plugin and its device, one of each a process ---- */

/* Opens them when first asked for. NULL where there are none, in a child after fork(), and once the device is lost. */
const struct tq_cuda_ops *tq_device_ops(struct tq_cuda **cuda);
bool tq_device_is_usable(void); /* without opening it */
/* The table for close functions, which a lost device permits; NULL in a child, which must call none. */
const struct tq_cuda_ops *tq_device_ops_to_close(void);
/* Whether TQ_GPU names a device or is auto: then it may encode, too. Writing does not open one by itself. */
bool tq_device_may_encode(void);
uint64_t tq_device_limit(void); /* bytes that may be in use on the device */
/* Whether a call failed; a device that is lost is not asked again. */
bool tq_device_failed(enum tq_cuda_status status, const struct tq_cuda_why *why);
void tq_device_note_search(void);
/* So many queries are the CPU's. `why` may be "": there is no device, and it is known why. */
void tq_device_note_fallback(const char *why, size_t queries);
/* For tests, once every searcher is closed: close device and plugin, and read the environment anew. */
void tq_device_forget(void);

/* ---- device_query.c: codecs and queries as kernels read them ---- */

bool tq_device_supports(const struct tq_format *format);
void tq_device_codec(const struct tq_codec *codec, struct tq_cuda_codec *made);

/* What a device is asked for. */
enum tq_device_ask {
    TQ_ASK_ANSWER = 0, /* what the searcher's query wants */
    TQ_ASK_SEEDS = 1   /* rows of the best estimates, whatever the bounds */
};
/* From the searcher's query, for which tq_searcher_set_query has been called. */
void tq_device_query(const struct tq_searcher *s, enum tq_device_ask ask, struct tq_cuda_query *made);

/* ---- device_sets.c: the sets of a process, their memory, their lanes ---- */

enum { TQ_DEVICE_LANES = 8, TQ_DEVICE_NOWHERE = -1 };

/* Whose segments a set holds. Parts of one table that are searched together are one set, and a part that is searched
 * alone another. */
struct tq_set_key {
    uint8_t uuid[16];
    uint32_t first_index, last_index;
    struct tq_format format;
};

/* A segment that is resident. */
struct tq_resident {
    uint64_t identity[2];
    uint64_t group;
    uint32_t groups, rows;
    uint64_t seen; /* set->searches when a search last had it; atomic, as searches share the lock */
};

/* A run of the plugin's lane: what it was told last is kept, to be compared. */
struct tq_device_lane {
    struct tq_cuda_lane *lane;
    struct tq_vector words; /* u64 */
    bool all;               /* it was told that all rows are allowed */
    bool busy;
};

struct tq_device_set {
    struct tq_device_set *next;
    size_t references; /* under the registry's lock, as are the links */
    struct tq_set_key key;

    pthread_rwlock_t lock;      /* searches share it; what changes the members below has it alone */
    struct tq_cuda_set *rows;   /* NULL: nothing is on the device */
    uint64_t capacity, used;    /* groups reserved, and one past the last that has rows */
    struct tq_vector residents; /* struct tq_resident, by identity */
    struct tq_vector refused;   /* u64[2]: identities of segments whose bytes could not be read */
    uint64_t generation;        /* of `residents` */
    uint64_t crowded;           /* 0, or 1 + the registry's epoch in which there was no room for all segments */
    _Atomic uint64_t searches;
    _Atomic uint64_t asked;                      /* the registry's count of asks when this set was asked for last */
    _Atomic uint64_t bytes, segments, row_count; /* for the registry's sums */

    pthread_mutex_t lane_lock;
    pthread_cond_t lane_free;
    struct tq_device_lane lanes[TQ_DEVICE_LANES];
    size_t lane_count;
};

/* The set of a key, made if it is not there; it lives as long as somebody has it. TQ_NOMEM. */
enum tq_status tq_device_set_attach(const struct tq_set_key *key, struct tq_device_set **set);
void tq_device_set_detach(struct tq_device_set *set);
/* Count a query that asks for a set. */
void tq_device_set_ask(struct tq_device_set *set);
/* Grows when memory may have become free. */
uint64_t tq_device_epoch(void);
/* Groups that this set may have, at most `wanted`; sets that were not asked for lately make room. The set's lock is
 * held alone. */
uint64_t tq_device_set_room(struct tq_device_set *set, const struct tq_cuda_ops *ops, uint64_t wanted);
/* Nothing of it is on the device any more. The lock is held alone. */
void tq_device_set_empty(struct tq_device_set *set);
void tq_device_set_close_lanes(struct tq_device_set *set);
/* Bytes, segments and rows, after a change. */
void tq_device_set_count(struct tq_device_set *set, const struct tq_cuda_ops *ops);

/* Locks and lanes are waited for in turns, so that a search can be ended meanwhile: TQ_INTERRUPTED. */
enum tq_status tq_device_set_lock(struct tq_device_set *set, bool alone, struct tq_stop *stop);
void tq_device_set_unlock(struct tq_device_set *set);
/* Under the lock: the lane at `place` if it is idle, which may know already what this searcher allows; else another.
 * *lane is NULL, and *why says so, if there can be none. */
enum tq_status tq_device_lane_take(struct tq_device_set *set, const struct tq_cuda_ops *ops, size_t place,
                                   struct tq_stop *stop, struct tq_device_lane **lane, struct tq_cuda_why *why);
void tq_device_lane_give(struct tq_device_set *set, struct tq_device_lane *lane);

/* What the sets of this process hold: of tq_device_state. */
void tq_device_sets_state(struct tq_device_state *state);

/* ---- device_resident.c: which segments are on the device ---- */

/* Whether tq_device_set_update could change something for a view. Under the lock, shared. */
bool tq_device_set_lacks(const struct tq_device_set *set, const struct tq_view *view);
/* Bring the segments of a search's view onto the device, as many as fit. The lock is held alone. TQ_OK, and whatever
 * is there after a failure of the device, which *why tells; TQ_INTERRUPTED, with what was uploaded until then. */
enum tq_status tq_device_set_update(struct tq_device_set *set, const struct tq_cuda_ops *ops, struct tq_cuda *cuda,
                                    const struct tq_searcher *s, struct tq_cuda_why *why);
/* Where a segment is, or NULL. */
struct tq_resident *tq_device_set_find(const struct tq_device_set *set, const struct tq_segment *segment);

/* ---- device_view.c: a searcher on the device; device_search.c has the rest of what cascade.h names ---- */

/* A segment of the view that is on the device. */
struct tq_device_place {
    uint64_t group;
    struct tq_resident *resident; /* while generation is that of the set */
    uint32_t segment;             /* of the view */
};

/* What a searcher has of the device. */
struct tq_device_use {
    struct tq_vector sets; /* struct tq_device_set *: those it ever used */
    struct tq_device_set *set;

    /* Where the segments of the view are, good for one set, generation and list of segments. */
    struct tq_device_set *mapped;
    uint64_t generation, epoch;
    struct tq_vector identities; /* u64[2] a segment */
    struct tq_vector marks;      /* bool a segment: it is on the device */
    struct tq_vector places;     /* struct tq_device_place, by group */
    bool whole;                  /* the set has no others */
    bool lacks;                  /* sealed segments are missing there */

    struct tq_vector words; /* u64: the allowed rows */
    size_t lane;            /* the place of the lane that it had last */
    struct tq_cuda_query *queries;
    struct tq_query prepared[TQ_CUDA_QUERIES_MOST];
    double doubts[TQ_CUDA_QUERIES_MOST];
    size_t query_bytes;
    char *memory; /* of prepared queries */
};

/* One stay on the device: the set is locked, and a lane is ours. */
struct tq_device_stay {
    const struct tq_cuda_ops *ops;
    struct tq_cuda *cuda;
    struct tq_device_set *set;
    struct tq_device_lane *lane; /* NULL: it cannot help, and `why` says why */
    struct tq_cuda_why why;
};

enum tq_status tq_device_use_make(struct tq_searcher *s); /* unless it has one */
/* Rows of sealed segments of its view, and whose they are. */
uint64_t tq_device_key(const struct tq_searcher *s, struct tq_set_key *key);
/* Nothing is held if there is no lane. TQ_INTERRUPTED is the only failure: others are told in stay->why. */
enum tq_status tq_device_arrive(struct tq_searcher *s, const struct tq_set_key *key, struct tq_device_stay *stay);
void tq_device_leave(struct tq_device_stay *stay); /* with a lane */

#endif
