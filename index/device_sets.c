/* The sets of a process: one for each index that searches ask a device for. How much memory each may have, who must
 * make room, and the lanes that searches run in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"

enum {
    EVICT_ASKS = 16,  /* a set may be evicted when others were asked for so often since */
    EPOCH_ASKS = 256, /* so often it is tried whether there is room now */
    WAIT_MS = 20      /* between looks at whether the search is to end */
};

static struct {
    pthread_mutex_t lock;
    struct tq_device_set *sets;
    _Atomic uint64_t asks, freed;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Sets ---- */

static bool same_key(const struct tq_set_key *a, const struct tq_set_key *b) {
    return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0 && a->first_index == b->first_index &&
           a->last_index == b->last_index && tq_format_same(&a->format, &b->format);
}

static struct tq_device_set *make_set(const struct tq_set_key *key) {
    struct tq_device_set *set = tq_alloc_zero(sizeof *set);
    pthread_rwlockattr_t attributes;
    if (set == NULL) return NULL;
    set->key = *key;
    (void)pthread_rwlockattr_init(&attributes);
    /* An upload, which many searches may be waiting for, should not wait for ever more of them. */
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&set->lock, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
    (void)pthread_mutex_init(&set->lane_lock, NULL);
    (void)pthread_cond_init(&set->lane_free, NULL);
    return set;
}

static void free_set(struct tq_device_set *set) {
    tq_device_set_empty(set);
    for (size_t i = 0; i < TQ_DEVICE_LANES; i++) tq_free(set->lanes[i].words.data);
    tq_free(set->residents.data);
    tq_free(set->refused.data);
    (void)pthread_rwlock_destroy(&set->lock);
    (void)pthread_mutex_destroy(&set->lane_lock);
    (void)pthread_cond_destroy(&set->lane_free);
    tq_free(set);
}

enum tq_status tq_device_set_attach(const struct tq_set_key *key, struct tq_device_set **out) {
    (void)pthread_mutex_lock(&registry.lock);
    struct tq_device_set *set = registry.sets;
    while (set != NULL && !same_key(&set->key, key)) set = set->next;
    if (set == NULL) {
        set = make_set(key);
        if (set != NULL) {
            set->next = registry.sets;
            registry.sets = set;
        }
    }
    if (set != NULL) set->references++;
    (void)pthread_mutex_unlock(&registry.lock);
    *out = set;
    return set == NULL ? TQ_NOMEM : TQ_OK;
}

/* A child after fork() leaves what it has of its parent: it may neither wait for locks nor call the plugin. */
void tq_device_set_detach(struct tq_device_set *set) {
    if (tq_device_ops_to_close() == NULL) return;
    (void)pthread_mutex_lock(&registry.lock);
    bool last = --set->references == 0;
    if (last) {
        struct tq_device_set **link = &registry.sets;
        while (*link != set) link = &(*link)->next;
        *link = set->next;
    }
    (void)pthread_mutex_unlock(&registry.lock);
    if (last) free_set(set);
}

void tq_device_set_ask(struct tq_device_set *set) { set->asked = ++registry.asks; }

uint64_t tq_device_epoch(void) { return registry.freed + registry.asks / EPOCH_ASKS; }

/* ---- Memory ---- */

void tq_device_set_count(struct tq_device_set *set, const struct tq_cuda_ops *ops) {
    const struct tq_resident *residents = set->residents.data;
    uint64_t rows = 0;
    for (size_t i = 0; i < set->residents.count; i++) rows += residents[i].rows;
    set->segments = set->residents.count;
    set->row_count = rows;
    size_t lanes = set->capacity > 0 && set->lane_count == 0 ? 1 : set->lane_count; /* the first has its room already */
    set->bytes = set->rows == NULL
                     ? 0
                     : ops->set_bytes(set->rows, set->capacity) + lanes * ops->lane_bytes(set->rows, set->capacity);
}

void tq_device_set_close_lanes(struct tq_device_set *set) {
    const struct tq_cuda_ops *ops = tq_device_ops_to_close();
    for (size_t i = 0; i < set->lane_count; i++) {
        if (ops != NULL) ops->lane_close(set->lanes[i].lane);
        set->lanes[i].lane = NULL;
        set->lanes[i].all = false;
        set->lanes[i].words.count = 0;
    }
    set->lane_count = 0;
}

void tq_device_set_empty(struct tq_device_set *set) {
    const struct tq_cuda_ops *ops = tq_device_ops_to_close();
    tq_device_set_close_lanes(set);
    if (ops != NULL && set->rows != NULL) ops->set_close(set->rows);
    set->rows = NULL;
    set->capacity = set->used = 0;
    set->residents.count = 0;
    set->generation++;
    tq_device_set_count(set, ops);
    registry.freed++;
}

/* Bytes that other sets have. The registry's lock is held. */
static uint64_t others_bytes(const struct tq_device_set *set) {
    uint64_t bytes = 0;
    for (const struct tq_device_set *i = registry.sets; i != NULL; i = i->next) bytes += i == set ? 0 : i->bytes;
    return bytes;
}

/* Groups, at most `wanted`, that fit into so many bytes together with one lane. */
static uint64_t groups_within(const struct tq_device_set *set, const struct tq_cuda_ops *ops, uint64_t bytes,
                              uint64_t wanted) {
    uint64_t low = 0, high = wanted;
    while (low < high) { /* the most that fit */
        uint64_t middle = high - (high - low) / 2;
        if (ops->set_bytes(set->rows, middle) + ops->lane_bytes(set->rows, middle) <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* The set that was not asked for longest, long enough, and that nobody uses now: it is locked then. */
static struct tq_device_set *take_victim(const struct tq_device_set *set) {
    uint64_t latest = UINT64_MAX;
    struct tq_device_set *victim = NULL;
    for (struct tq_device_set *i = registry.sets; i != NULL; i = i->next) {
        bool idle = i != set && i->bytes > 0 && i->asked + EVICT_ASKS <= registry.asks;
        if (!idle || i->asked >= latest) continue;
        latest = i->asked;
        victim = i;
    }
    if (victim == NULL || pthread_rwlock_trywrlock(&victim->lock) != 0) return NULL;
    return victim;
}

uint64_t tq_device_set_room(struct tq_device_set *set, const struct tq_cuda_ops *ops, uint64_t wanted) {
    uint64_t limit = tq_device_limit(), groups = 0;
    (void)pthread_mutex_lock(&registry.lock);
    for (;;) {
        uint64_t others = others_bytes(set);
        groups = groups_within(set, ops, others < limit ? limit - others : 0, wanted);
        struct tq_device_set *victim = groups < wanted ? take_victim(set) : NULL;
        if (victim == NULL) break;
        tq_device_set_empty(victim);
        (void)pthread_rwlock_unlock(&victim->lock);
    }
    uint64_t most = groups > set->capacity ? groups
                                           : set->capacity; /* taken from now on, and counted when they are there */
    set->bytes = most == 0 ? 0 : ops->set_bytes(set->rows, most) + ops->lane_bytes(set->rows, most);
    (void)pthread_mutex_unlock(&registry.lock);
    return groups;
}

void tq_device_sets_state(struct tq_device_state *state) {
    (void)pthread_mutex_lock(&registry.lock);
    for (const struct tq_device_set *set = registry.sets; set != NULL; set = set->next) {
        state->sets += set->segments > 0;
        state->segments += set->segments;
        state->rows += set->row_count;
        state->resident += set->bytes;
    }
    (void)pthread_mutex_unlock(&registry.lock);
}

/* ---- Waiting ---- */

static struct timespec soon(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += WAIT_MS * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    return time;
}

enum tq_status tq_device_set_lock(struct tq_device_set *set, bool alone, struct tq_stop *stop) {
    for (;;) {
        struct timespec until = soon();
        int error = alone ? pthread_rwlock_timedwrlock(&set->lock, &until)
                          : pthread_rwlock_timedrdlock(&set->lock, &until);
        if (error == 0) return TQ_OK;
        if (error != ETIMEDOUT && error != EAGAIN)
            return tq_fail(TQ_IO, "the lock of a device's rows: error %d", error);
        TQ_TRY(tq_stop_check(stop));
    }
}

void tq_device_set_unlock(struct tq_device_set *set) { (void)pthread_rwlock_unlock(&set->lock); }

/* ---- Lanes ---- */

/* An idle lane, the one at `place` first; or NULL. */
static struct tq_device_lane *idle_lane(struct tq_device_set *set, size_t place) {
    if (place < set->lane_count && !set->lanes[place].busy) return &set->lanes[place];
    for (size_t i = 0; i < set->lane_count; i++)
        if (!set->lanes[i].busy) return &set->lanes[i];
    return NULL;
}

static bool may_add_lane(struct tq_device_set *set, const struct tq_cuda_ops *ops) {
    if (set->lane_count == 0) return true; /* its room is part of the set's */
    if (set->lane_count == TQ_DEVICE_LANES) return false;
    (void)pthread_mutex_lock(&registry.lock);
    uint64_t bytes = others_bytes(set) + set->bytes;
    (void)pthread_mutex_unlock(&registry.lock);
    return bytes + ops->lane_bytes(set->rows, set->capacity) <= tq_device_limit();
}

/* The lane's lock is held. */
static struct tq_device_lane *add_lane(struct tq_device_set *set, const struct tq_cuda_ops *ops,
                                       struct tq_cuda_why *why) {
    struct tq_device_lane *lane = &set->lanes[set->lane_count];
    if (!may_add_lane(set, ops)) return NULL;
    if (tq_device_failed(ops->lane_open(set->rows, &lane->lane, why), why)) return NULL;
    lane->all = true; /* as the plugin begins */
    lane->words.count = 0;
    if (set->lane_count++ > 0) set->bytes += ops->lane_bytes(set->rows, set->capacity);
    return lane;
}

enum tq_status tq_device_lane_take(struct tq_device_set *set, const struct tq_cuda_ops *ops, size_t place,
                                   struct tq_stop *stop, struct tq_device_lane **lane, struct tq_cuda_why *why) {
    enum tq_status status = TQ_OK;
    (void)pthread_mutex_lock(&set->lane_lock);
    for (;;) {
        *lane = idle_lane(set, place);
        if (*lane == NULL) *lane = add_lane(set, ops, why);
        if (*lane != NULL || set->lane_count == 0 || !tq_device_is_usable()) break;
        struct timespec until = soon();
        (void)pthread_cond_timedwait(&set->lane_free, &set->lane_lock, &until);
        status = tq_stop_check(stop);
        if (status != TQ_OK) break;
    }
    if (*lane != NULL) (*lane)->busy = true;
    (void)pthread_mutex_unlock(&set->lane_lock);
    return status;
}

void tq_device_lane_give(struct tq_device_set *set, struct tq_device_lane *lane) {
    (void)pthread_mutex_lock(&set->lane_lock);
    lane->busy = false;
    (void)pthread_cond_signal(&set->lane_free);
    (void)pthread_mutex_unlock(&set->lane_lock);
}
