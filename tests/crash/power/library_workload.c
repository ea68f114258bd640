/* The C library's own store: two indexes, one with its rows, one with codes only, which comes and goes. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "src/tq.h"
#include "tests/crash/power/workload.h"

#define IDS 512
#define DIM 16
#define TAIL 100 /* the number of the checker's own transaction */

/* One letter a transaction; see apply(). */
static const char plan[] = "CiimmmcmmbmmdmmtmmBdmDomkmaimtmmbmmbDmmttmXmmobmmckmmtmBodkmm";

static const struct mode modes[] = {{"WAL,FULL", "", 0, true}};

/* Generation of each id in each index, 0: not there. */
struct model {
    bool exists[2];
    uint32_t generation[2][IDS];
};

struct store {
    tq_store *store;
    tq_index *indexes[2];
};

static const char *const names[2] = {"whole", "codes"};

static void must(enum tq_status status, const char *what) {
    if (status != TQ_OK) fail("%s: %s", what, tq_message());
}

/* ---- Transactions: on the model, and on the store if there is one ---- */

static void make_row(int index, int id, uint32_t generation, float *vector) {
    make_vector(id + 1000 * (int64_t)generation + 500000 * index, DIM, vector);
}

static void toggle(struct store *store, struct model *model, int number, int index, int id) {
    uint32_t *generation = &model->generation[index][id % IDS];
    float vector[DIM];
    if (!model->exists[index]) return;
    if (*generation != 0) {
        if (store != NULL) must(tq_delete(store->indexes[index], id % IDS), "delete");
        *generation = 0;
        return;
    }
    *generation = (uint32_t)number + 1;
    make_row(index, id % IDS, *generation, vector);
    if (store != NULL) must(tq_put(store->indexes[index], id % IDS, vector), "put");
}

static void create(struct store *store, struct model *model, int index) {
    struct tq_index_options options = tq_index_defaults(DIM);
    if (model->exists[index]) return;
    options.metric = index == 0 ? TQ_L2 : TQ_COSINE;
    options.rows = index == 0 ? TQ_ROWS_F32 : TQ_ROWS_NONE;
    if (store != NULL) must(tq_index_create(store->store, names[index], &options, &store->indexes[index]), "create");
    model->exists[index] = true;
}

static void drop(struct store *store, struct model *model, int index) {
    if (!model->exists[index]) return;
    model->exists[index] = false;
    memset(model->generation[index], 0, sizeof model->generation[index]);
    if (store == NULL) return;
    tq_index_close(store->indexes[index]);
    store->indexes[index] = NULL;
    must(tq_index_drop(store->store, names[index]), "drop");
}

/* `count` rows of each index, from one that the number says on; every `step`-th. */
static void toggle_many(struct store *store, struct model *model, int number, int count, int apart) {
    int first = (int)chance((uint64_t)number, 1, IDS);
    for (int i = 0; i < count; i++)
        for (int index = 0; index < 2; index++) toggle(store, model, number, index, first + i * apart);
}

static void delete_some(struct store *store, struct model *model, int number, unsigned part) {
    for (int index = 0; index < 2; index++)
        for (int id = 0; id < IDS; id++)
            if (model->generation[index][id] != 0 && chance((uint64_t)number, (uint64_t)id, part) == 0)
                toggle(store, model, number, index, id);
}

static void put_many(struct store *store, struct model *model, int number, int count) {
    static int64_t ids[IDS];
    static float vectors[IDS * DIM];
    size_t found = 0;
    for (int id = 0; id < IDS && found < (size_t)count; id++) {
        if (model->generation[0][id] != 0) continue;
        model->generation[0][id] = (uint32_t)number + 1;
        make_row(0, id, (uint32_t)number + 1, &vectors[found * DIM]);
        ids[found++] = id;
    }
    if (store != NULL) must(tq_put_many(store->indexes[0], ids, vectors, found), "put_many");
}

static void open_indexes(struct store *store) {
    for (int index = 0; index < 2; index++) {
        enum tq_status status = tq_index_open(store->store, names[index], &store->indexes[index]);
        if (status != TQ_NOT_FOUND) must(status, "index");
    }
}

static void close_indexes(struct store *store) {
    for (int index = 0; index < 2; index++) {
        tq_index_close(store->indexes[index]);
        store->indexes[index] = NULL;
    }
}

static void compact(struct store *store) {
    if (store == NULL) return;
    close_indexes(store);
    must(tq_compact(store->store, NULL), "compact");
    open_indexes(store);
}

static void optimize(struct store *store) {
    for (int index = 0; store != NULL && index < 2; index++)
        if (store->indexes[index] != NULL) must(tq_index_optimize(store->indexes[index]), "optimize");
}

static void inside(struct store *store, struct model *model, int number, char kind) {
    switch (kind) {
    case 'm': toggle_many(store, model, number, 3, 7); break;
    case 't': toggle_many(store, model, number, 12, 5); break;
    case 'd': delete_some(store, model, number, 8); break;
    case 'D': delete_some(store, model, number, 2); break;
    case 'a': toggle_many(store, model, number, 20, 3); break;
    default: break;
    }
}

static void apply(struct store *store, struct model *model, int number, char kind) {
    switch (kind) {
    case 'C': create(store, model, 0); return;
    case 'c': create(store, model, 1); return;
    case 'X': drop(store, model, 1); return;
    case 'i': toggle(store, model, number, 0, (int)chance((uint64_t)number, 2, IDS)); return;
    case 'b': put_many(store, model, number, 10); return;
    case 'B': put_many(store, model, number, 80); return;
    case 'o': optimize(store); return;
    case 'k': compact(store); return;
    default: break;
    }
    struct model before = *model;
    if (store != NULL) must(tq_begin(store->store), "begin");
    inside(store, model, number, kind);
    if (kind == 'a') {
        if (store != NULL) tq_abort(store->store);
        *model = before;
    } else if (store != NULL) {
        must(tq_commit(store->store), "commit");
    }
}

static void open_store(struct store *store, const char *root) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/store", root);
    *store = (struct store){0};
    must(tq_open(path, TQ_OPEN_CREATE, &store->store), "open");
    open_indexes(store);
}

static void close_store(struct store *store) {
    close_indexes(store);
    tq_close(store->store);
}

static int library_count(void) { return (int)sizeof plan - 1; }

static void library_work(const char *root, const struct mode *mode) {
    static struct model model;
    struct store store;
    (void)mode;
    open_store(&store, root);
    for (int number = 0; plan[number] != 0; number++) {
        apply(&store, &model, number, plan[number]);
        acknowledge(number + 1);
    }
    close_store(&store);
}

/* ---- Contents ---- */

static uint64_t content_of_model(const struct model *model) {
    XXH3_state_t state;
    (void)XXH3_64bits_reset(&state);
    for (int index = 0; index < 2; index++) {
        (void)XXH3_64bits_update(&state, &model->exists[index], sizeof model->exists[index]);
        for (int id = 0; id < IDS; id++) {
            float vector[DIM];
            uint32_t generation = model->generation[index][id];
            if (generation == 0) continue;
            make_row(index, id, generation, vector);
            (void)XXH3_64bits_update(&state, &id, sizeof id);
            if (index == 0) (void)XXH3_64bits_update(&state, vector, sizeof vector);
        }
    }
    return XXH3_64bits_digest(&state);
}

/* What codes decode to is not what went in: of that index only the ids count. */
static uint64_t content_of_store(struct store *store) {
    XXH3_state_t state;
    (void)XXH3_64bits_reset(&state);
    for (int index = 0; index < 2; index++) {
        bool exists = store->indexes[index] != NULL;
        (void)XXH3_64bits_update(&state, &exists, sizeof exists);
        for (int id = 0; exists && id < IDS; id++) {
            float vector[DIM];
            enum tq_status status = tq_get(store->indexes[index], id, vector);
            if (status == TQ_NOT_FOUND) continue;
            must(status, "get");
            (void)XXH3_64bits_update(&state, &id, sizeof id);
            if (index == 0) (void)XXH3_64bits_update(&state, vector, sizeof vector);
        }
    }
    return XXH3_64bits_digest(&state);
}

static void tail(struct store *store, struct model *model) {
    for (int index = 0; index < 2; index++) create(store, model, index);
    for (int number = TAIL; number < TAIL + 2; number++) apply(store, model, number, number == TAIL ? 't' : 'd');
}

static void library_expect(struct content *content) {
    static struct model model;
    for (int number = 0;; number++) {
        struct model after = model;
        content->after[number] = content_of_model(&model);
        tail(NULL, &after);
        content->tail[number] = content_of_model(&after);
        if (plan[number] == 0) break;
        apply(NULL, &model, number, plan[number]);
    }
}

/* What is there, generation by generation, so that the tail deletes what is there and puts what is not. */
static struct model model_after(int count) {
    static struct model model;
    memset(&model, 0, sizeof model);
    for (int number = 0; number < count; number++) apply(NULL, &model, number, plan[number]);
    return model;
}

/* ---- Checks ---- */

static void check_search(struct store *store, const struct model *model) {
    static struct tq_hit hits[IDS];
    struct tq_search_options options = tq_search_defaults();
    float query[DIM], vector[DIM];
    options.confidence = TQ_EXACT;
    make_vector(5, DIM, query);
    for (int index = 0; index < 2; index++) {
        size_t found = 0, wanted = 0;
        if (!model->exists[index]) continue;
        must(tq_search(store->indexes[index], query, 1, IDS, &options, hits, &found, NULL), "search");
        for (int id = 0; id < IDS; id++) wanted += model->generation[index][id] != 0;
        if (found != wanted) fail("a search finds %zu rows of %zu", found, wanted);
        for (size_t i = 0; i < found; i++) {
            uint32_t generation = model->generation[index][hits[i].id];
            double sum = 0;
            make_row(index, (int)hits[i].id, generation, vector);
            for (int k = 0; k < DIM; k++) sum += pow((double)query[k] - (double)vector[k], 2);
            if (generation == 0 || (index == 0 && fabs(hits[i].distance - sqrt(sum)) > 1e-3))
                fail("a search has id %lld at %g, not %g", (long long)hits[i].id, hits[i].distance, sqrt(sum));
        }
    }
}

static void check_left(const char *root) {
    char folder[300], path[320];
    sqlite3 *db = NULL;
    (void)snprintf(folder, sizeof folder, "%s/store", root);
    (void)snprintf(path, sizeof path, "%s/catalog.db", folder);
    if (sqlite3_open(path, &db) != SQLITE_OK) fail("catalog: %s", sqlite3_errmsg(db));
    check_values(db, folder, names, 2, true);
    (void)sqlite3_close(db);
}

static void report(void *context, const char *finding) {
    if (strncmp(finding, "note: ", 6) != 0) fail("%s: tq_check: %s", (const char *)context, finding);
}

static struct found library_check(const char *root, const struct mode *mode, const struct content *content) {
    struct store store;
    (void)mode;
    open_store(&store, root);
    int number = find_content(content->after, library_count(), content_of_store(&store));
    if (number < 0) fail("the indexes are not as after any number of transactions");
    struct model model = model_after(number);
    check_search(&store, &model);
    must(tq_check(store.store, 1, report, "at first"), "tq_check");
    tail(&store, &model);
    if (content_of_store(&store) != content->tail[number]) fail("after one more transaction it is wrong");
    for (int i = 0; i < 2; i++) optimize(&store);
    if (content_of_store(&store) != content->tail[number]) fail("after optimize it is wrong");
    check_search(&store, &model);
    must(tq_check(store.store, 0, report, "after optimize"), "tq_check");
    check_left(root);
    close_store(&store);
    return (struct found){.number = number};
}

const struct workload library_workload = {.name = "library",
                                          .modes = modes,
                                          .mode_count = sizeof modes / sizeof *modes,
                                          .count = library_count,
                                          .backup = -1,
                                          .work = library_work,
                                          .expect = library_expect,
                                          .check = library_check};
