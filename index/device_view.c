/* A searcher's stay on a device: the set of its index is locked, the view's segments are there, and a lane knows which
 * of their rows may be found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"

/* ---- Memory ---- */

void tq_device_use_free(struct tq_device_use *use) {
    if (use == NULL) return;
    for (size_t i = 0; i < use->sets.count; i++) tq_device_set_detach(((struct tq_device_set **)use->sets.data)[i]);
    void *owned[] = {use->sets.data,  use->identities.data, use->marks.data, use->places.data,
                     use->words.data, use->queries,         use->memory};
    for (size_t i = 0; i < TQ_COUNT(owned); i++) tq_free(owned[i]);
    tq_free(use);
}

enum tq_status tq_device_use_make(struct tq_searcher *s) {
    if (s->device != NULL) return TQ_OK;
    struct tq_device_use *use = tq_alloc_zero(sizeof *use);
    if (use == NULL) return TQ_NOMEM;
    use->query_bytes = tq_round_up(tq_query_bytes(s->codec), TQ_ALIGN);
    use->queries = tq_alloc_array(TQ_CUDA_QUERIES_MOST, sizeof *use->queries);
    use->memory = tq_alloc_array(TQ_CUDA_QUERIES_MOST, use->query_bytes);
    if (use->queries != NULL && use->memory != NULL) {
        s->device = use;
        return TQ_OK;
    }
    tq_device_use_free(use);
    return TQ_NOMEM;
}

/* Rows of sealed segments, and whose they are. */
uint64_t tq_device_key(const struct tq_searcher *s, struct tq_set_key *key) {
    uint64_t rows = 0;
    *key = (struct tq_set_key){.first_index = UINT32_MAX, .format = s->codec->format};
    for (size_t i = 0; i < s->view->count; i++) {
        const struct tq_segment *segment = s->view->segments[i].segment;
        uint64_t identity[2];
        tq_segment_identity(segment, identity);
        if (identity[0] == 0) continue;
        uint32_t index = (uint32_t)(identity[0] >> 40);
        if (rows == 0) memcpy(key->uuid, tq_segment_uuid(segment), sizeof key->uuid);
        if (index < key->first_index) key->first_index = index;
        if (index > key->last_index) key->last_index = index;
        rows += tq_segment_row_count(segment);
    }
    return rows;
}

/* ---- Where the segments are ---- */

static bool is_same_view(const struct tq_device_use *use, const struct tq_view *view) {
    const uint64_t *identities = use->identities.data;
    if (use->identities.count != view->count) return false;
    for (size_t i = 0; i < view->count; i++) {
        uint64_t identity[2];
        tq_segment_identity(view->segments[i].segment, identity);
        if (identity[0] != identities[2 * i] || identity[1] != identities[2 * i + 1]) return false;
    }
    return true;
}

static int by_group(const void *a, const void *b) {
    const struct tq_device_place *x = a, *y = b;
    return (x->group > y->group) - (x->group < y->group);
}

static enum tq_status map_view(struct tq_device_use *use, const struct tq_view *view) {
    struct tq_device_set *set = use->set;
    use->mapped = NULL;
    TQ_TRY(tq_vector_reserve(&use->identities, view->count, 2 * sizeof(uint64_t)));
    TQ_TRY(tq_vector_reserve(&use->marks, view->count, sizeof(bool)));
    TQ_TRY(tq_vector_reserve(&use->places, view->count, sizeof(struct tq_device_place)));
    uint64_t *identities = use->identities.data;
    struct tq_device_place *places = use->places.data;
    size_t count = 0;
    use->lacks = false;
    for (size_t i = 0; i < view->count; i++) {
        tq_segment_identity(view->segments[i].segment, identities + 2 * i);
        struct tq_resident *resident = tq_device_set_find(set, view->segments[i].segment);
        ((bool *)use->marks.data)[i] = resident != NULL;
        use->lacks |= resident == NULL && identities[2 * i] != 0;
        if (resident != NULL) places[count++] = (struct tq_device_place){resident->group, resident, (uint32_t)i};
    }
    if (count > 1) qsort(places, count, sizeof *places, by_group);
    use->places.count = count;
    use->identities.count = view->count;
    use->whole = count == set->residents.count;
    use->generation = set->generation;
    use->epoch = tq_device_epoch();
    use->mapped = set;
    return TQ_OK;
}

/* Whether segments may have to come or go, which takes a closer look. */
static bool is_due(const struct tq_device_use *use, const struct tq_view *view) {
    const struct tq_device_set *set = use->set;
    if (use->mapped != set || use->generation != set->generation || !is_same_view(use, view)) return true;
    return (use->lacks && use->epoch != tq_device_epoch()) || (!use->whole && set->searches % 64 == 0);
}

/* ---- Arriving and leaving ---- */

static enum tq_status attach(struct tq_device_use *use, const struct tq_set_key *key) {
    struct tq_device_set **sets = use->sets.data;
    use->set = NULL;
    for (size_t i = 0; i < use->sets.count && use->set == NULL; i++) {
        const struct tq_set_key *other = &sets[i]->key; /* its format is that of this searcher */
        bool same = memcmp(other->uuid, key->uuid, sizeof key->uuid) == 0 && other->first_index == key->first_index &&
                    other->last_index == key->last_index;
        if (same) use->set = sets[i];
    }
    if (use->set != NULL) return TQ_OK;
    TQ_TRY(tq_vector_reserve(&use->sets, use->sets.count + 1, sizeof use->set));
    TQ_TRY(tq_device_set_attach(key, &use->set));
    ((struct tq_device_set **)use->sets.data)[use->sets.count++] = use->set;
    return TQ_OK;
}

/* The set's lock, shared, with the view's segments there and mapped. */
static enum tq_status lock_view(struct tq_searcher *s, struct tq_device_stay *stay) {
    struct tq_device_use *use = s->device;
    struct tq_device_set *set = stay->set;
    TQ_TRY(tq_device_set_lock(set, false, s->stop));
    if (is_due(use, s->view)) {
        if (tq_device_set_lacks(set, s->view)) {
            tq_device_set_unlock(set);
            TQ_TRY(tq_device_set_lock(set, true, s->stop));
            enum tq_status status = TQ_OK;
            if (tq_device_set_lacks(set, s->view)) /* nobody else was faster */
                status = tq_device_set_update(set, stay->ops, stay->cuda, s, &stay->why);
            tq_device_set_unlock(set);
            TQ_TRY(status);
            TQ_TRY(tq_device_set_lock(set, false, s->stop));
        }
        enum tq_status status = map_view(use, s->view);
        if (status != TQ_OK) tq_device_set_unlock(set);
        return status;
    }
    return TQ_OK;
}

/* A bit for each row that may be found, by groups of the set. */
static enum tq_status list_allowed(const struct tq_searcher *s, struct tq_device_use *use) {
    const struct tq_device_place *places = use->places.data;
    TQ_TRY(tq_vector_reserve(&use->words, use->set->used, sizeof(uint64_t)));
    uint64_t *words = use->words.data;
    memset(words, 0, use->set->used * sizeof *words);
    for (size_t i = 0; i < use->places.count; i++) {
        const uint64_t *allowed = tq_filter_allowed(s, places[i].segment);
        size_t bytes = places[i].resident->groups * sizeof *words;
        if (allowed == NULL)
            memset(words + places[i].group, 0xff, bytes);
        else
            memcpy(words + places[i].group, allowed, bytes);
    }
    use->words.count = use->set->used;
    return TQ_OK;
}

/* Tell the lane which rows may be found, unless it knows. *good: whether the device took it. */
static enum tq_status allow(const struct tq_searcher *s, struct tq_device_stay *stay, bool *good) {
    struct tq_device_use *use = s->device;
    struct tq_device_lane *lane = stay->lane;
    const struct tq_device_place *places = use->places.data;
    bool all = use->whole;
    for (size_t i = 0; i < use->places.count && all; i++) all = tq_filter_allowed(s, places[i].segment) == NULL;
    if (all && lane->all) return TQ_OK;
    if (!all) TQ_TRY(list_allowed(s, use));
    size_t count = use->words.count, bytes = count * sizeof(uint64_t);
    if (!all && lane->words.count == count && memcmp(lane->words.data, use->words.data, bytes) == 0) return TQ_OK;
    lane->all = false;
    lane->words.count = 0; /* until it is known to have taken them */
    if (!all) TQ_TRY(tq_vector_reserve(&lane->words, count, sizeof(uint64_t)));
    *good = !tq_device_failed(
        stay->ops->lane_allow(lane->lane, all ? NULL : use->words.data, all ? 0 : count, &stay->why), &stay->why);
    if (!*good) return TQ_OK;
    lane->all = all;
    if (!all) memcpy(lane->words.data, use->words.data, bytes);
    lane->words.count = all ? 0 : count;
    return TQ_OK;
}

void tq_device_leave(struct tq_device_stay *stay) {
    if (stay->lane != NULL) tq_device_lane_give(stay->set, stay->lane);
    tq_device_set_unlock(stay->set);
    stay->lane = NULL;
}

/* With the lock held: a lane that knows what is allowed. */
static enum tq_status take_lane(struct tq_searcher *s, struct tq_device_stay *stay) {
    struct tq_device_use *use = s->device;
    const struct tq_device_place *places = use->places.data;
    bool good = true;
    if (use->places.count == 0) {
        if (stay->why.text[0] == '\0')
            (void)snprintf(stay->why.text, sizeof stay->why.text, "no segment fits into the device's memory");
        return TQ_OK;
    }
    TQ_TRY(tq_device_lane_take(stay->set, stay->ops, use->lane, s->stop, &stay->lane, &stay->why));
    if (stay->lane == NULL) return TQ_OK;
    use->lane = (size_t)(stay->lane - stay->set->lanes);
    uint64_t number = ++stay->set->searches;
    for (size_t i = 0; i < use->places.count; i++)
        __atomic_store_n(&places[i].resident->seen, number, __ATOMIC_RELAXED);
    enum tq_status status = allow(s, stay, &good);
    if (status == TQ_OK && good) return TQ_OK;
    tq_device_lane_give(stay->set, stay->lane);
    stay->lane = NULL;
    return status;
}

/* Nothing is held if there is no lane. TQ_INTERRUPTED is the only failure: others are told in stay->why. */
enum tq_status tq_device_arrive(struct tq_searcher *s, const struct tq_set_key *key, struct tq_device_stay *stay) {
    memset(stay, 0, sizeof *stay);
    stay->ops = tq_device_ops(&stay->cuda);
    if (stay->ops == NULL) return TQ_OK;
    enum tq_status status = tq_device_use_make(s);
    if (status == TQ_OK) status = attach(s->device, key);
    if (status == TQ_OK) {
        stay->set = s->device->set;
        tq_device_set_ask(stay->set);
        status = lock_view(s, stay);
        if (status == TQ_OK) {
            status = take_lane(s, stay);
            if (stay->lane == NULL) tq_device_set_unlock(stay->set);
        }
    }
    if (status == TQ_INTERRUPTED) return status;
    if (status != TQ_OK) (void)snprintf(stay->why.text, sizeof stay->why.text, "%s", tq_message());
    return TQ_OK;
}
