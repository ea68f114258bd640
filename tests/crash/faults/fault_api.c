/* The same failures through the C library. Each call is right or fails with a code that says why; what a call that
 * failed was to do has not happened; afterwards the same handles go on. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/tq.h"
#include "tests/crash/faults/fault_sql.h"

#define INDEXES 2
#define IDS 600
#define STEPS 12
#define NEAREST 5

static const int dims[INDEXES] = {4080, 96}; /* of the first, 64 rows are a flush */

struct content {
    bool exists[INDEXES];
    int vector[INDEXES][IDS]; /* what its vector is made of; 0: there is none */
};

struct trial {
    const struct campaign *campaign;
    struct fault fault;
    int step;
    bool thorough;
    struct content before;
};

static tq_store *store;
static tq_index *indexes[INDEXES];
static struct content now;
static struct content *after; /* in shared memory: what the workload has come to */

/* ---- Calls that are counted as failed or made ---- */

static int code_of(enum tq_status status) {
    switch (status) {
    case TQ_OK: return SQLITE_OK;
    case TQ_NOMEM: return SQLITE_NOMEM;
    case TQ_IO: return SQLITE_IOERR;
    case TQ_FULL: return SQLITE_FULL;
    case TQ_CORRUPT: return SQLITE_CORRUPT;
    case TQ_BUSY: return SQLITE_BUSY;
    default: return SQLITE_ERROR;
    }
}

/* The first failure is kept; all have to be fitting. */
static bool made(const struct trial *trial, enum tq_status status) {
    if (status == TQ_OK) return true;
    int code = record->code;
    char text[sizeof record->text];
    memcpy(text, record->text, sizeof text);
    record->code = code_of(status);
    (void)snprintf(record->text, sizeof record->text, "%s", tq_message());
    bool follows = code != 0 && strstr(record->text, "rolled back") != NULL;
    if (!follows && !campaign_fits(trial->campaign)) fail("%s: %s", tq_status_name(status), tq_message());
    if (code == 0) return false;
    record->code = code;
    memcpy(record->text, text, sizeof text);
    return false;
}

static const float *vector_of(int which, int from) {
    static float vector[DIM_MAX];
    make_vector(from, dims[which], vector);
    return vector;
}

static enum tq_status create(int which) {
    struct tq_index_options options = tq_index_defaults((uint32_t)dims[which]);
    options.metric = which == 0 ? TQ_L2 : TQ_COSINE;
    options.rows = which == 0 ? TQ_ROWS_F32 : TQ_ROWS_F16;
    return tq_index_create(store, which == 0 ? "long" : "short", &options, &indexes[which]);
}

static bool open_all(const struct trial *trial) {
    if (!made(trial, tq_open(store_path(), TQ_OPEN_CREATE, &store))) return false;
    for (int which = 0; which < INDEXES; which++) {
        if (!now.exists[which]) continue;
        if (!made(trial, tq_index_open(store, which == 0 ? "long" : "short", &indexes[which]))) return false;
    }
    return true;
}

static void close_all(void) {
    for (int which = 0; which < INDEXES; which++) tq_index_close(indexes[which]);
    tq_close(store);
    store = NULL;
    memset(indexes, 0, sizeof indexes);
}

/* ---- Steps ---- */

static void put(const struct trial *trial, struct content *content, int which, int id, int from) {
    if (made(trial, tq_put(indexes[which], id, vector_of(which, from)))) content->vector[which][id] = from;
}

static void delete (const struct trial *trial, struct content *content, int which, int id) {
    if (content->vector[which][id] == 0) return;
    if (made(trial, tq_delete(indexes[which], id))) content->vector[which][id] = 0;
}

static void put_many(const struct trial *trial, int first, int count) {
    float *vectors = malloc((size_t)count * (size_t)dims[0] * sizeof *vectors);
    int64_t *ids = malloc((size_t)count * sizeof *ids);
    for (int i = 0; vectors != NULL && ids != NULL && i < count; i++) {
        ids[i] = first + i;
        make_vector(first + i, dims[0], vectors + (size_t)i * (size_t)dims[0]);
    }
    bool done = vectors != NULL && ids != NULL && made(trial, tq_put_many(indexes[0], ids, vectors, (size_t)count));
    for (int i = 0; done && i < count; i++) now.vector[0][first + i] = first + i;
    free(vectors);
    free(ids);
}

/* Goes on after failures, as a program may. */
static void change_much(const struct trial *trial, int first, int count, bool keep) {
    struct content content = now;
    if (!made(trial, tq_begin(store))) return;
    for (int i = 0; i < count; i++) {
        put(trial, &content, 0, first + i, first + i);
        put(trial, &content, 1, first + i, first + i + 1);
        if (i % 7 == 3) delete (trial, &content, 1, first + i - 2);
    }
    for (int id = 1; id < 40; id += 3) delete (trial, &content, 0, id);
    if (!keep) tq_abort(store);
    if (keep && made(trial, tq_commit(store))) now = content;
}

static void drop_and_make(const struct trial *trial) {
    tq_index_close(indexes[1]);
    indexes[1] = NULL;
    if (!made(trial, tq_index_drop(store, "short"))) {
        (void)made(trial, tq_index_open(store, "short", &indexes[1]));
        return;
    }
    now.exists[1] = false;
    memset(now.vector[1], 0, sizeof now.vector[1]);
    if (made(trial, create(1))) now.exists[1] = true;
}

/* ---- Searches: as the model has it ---- */

static double distance_of(int which, const float *x, const float *y) {
    double dot = 0, xx = 0, yy = 0, gap = 0;
    for (int i = 0; i < dims[which]; i++) {
        dot += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        gap += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    return which == 0 ? sqrt(gap) : 1 - dot / sqrt(xx * yy);
}

static void check_hits(const struct content *content, int which, const float *query, const struct tq_filter *filter,
                       const struct tq_hit *hits, size_t count) {
    static float x[DIM_MAX];
    size_t rows = 0, nearer = 0;
    double last = count > 0 ? hits[count - 1].distance : 0;
    for (int id = 0; id < IDS; id++) {
        if (content->vector[which][id] == 0 || (filter != NULL && (filter->bits[id / 64] >> (id % 64) & 1) == 0))
            continue;
        rows++;
        make_vector(content->vector[which][id], dims[which], x);
        nearer += distance_of(which, query, x) < last - 1e-3 * (1 + last);
    }
    if (count != (rows < NEAREST ? rows : NEAREST)) fail("a search found %zu rows of %zu", count, rows);
    if (nearer >= NEAREST) fail("a search found others than the nearest");
    for (size_t i = 0; i < count; i++) {
        if (hits[i].id < 0 || hits[i].id >= IDS || content->vector[which][hits[i].id] == 0)
            fail("a search found row %lld, which is not there", (long long)hits[i].id);
        make_vector(content->vector[which][hits[i].id], dims[which], x);
        double distance = distance_of(which, query, x);
        if (fabs(distance - hits[i].distance) > 1e-3 * (1 + distance))
            fail("a search is off by %g", distance - hits[i].distance);
    }
}

static void search(const struct trial *trial, int which) {
    static float queries[2 * DIM_MAX];
    uint64_t bits[IDS / 64 + 1];
    struct tq_hit hits[2 * NEAREST];
    size_t counts[2];
    struct tq_filter filter = {bits, 0, IDS};
    struct tq_search_options options = tq_search_defaults();
    options.confidence = TQ_EXACT;
    memset(bits, 0x55, sizeof bits);
    make_vector(77, dims[which], queries);
    make_vector(401, dims[which], queries + dims[which]);
    for (int filtered = 0; filtered < 2; filtered++) {
        options.filter = filtered == 1 ? &filter : NULL;
        if (!made(trial, tq_search(indexes[which], queries, 2, NEAREST, &options, hits, counts, NULL))) continue;
        for (int q = 0; q < 2; q++)
            check_hits(&now, which, queries + q * dims[which], options.filter, hits + q * NEAREST, counts[q]);
    }
    size_t count = 0;
    options.filter = NULL;
    if (made(trial, tq_search_range(indexes[which], queries, -1e30, 2 * NEAREST, &options, hits, &count, NULL))) {
        size_t rows = 0;
        for (int id = 0; id < IDS; id++) rows += now.vector[which][id] != 0;
        if (count != rows) fail("a range search found %zu rows of %zu", count, rows);
    }
}

/* Each row, and the number of them. */
static void compare(const struct trial *trial, int which) {
    static float vector[DIM_MAX];
    struct tq_index_info info;
    uint64_t rows = 0;
    for (int id = 0; id < IDS; id++) {
        int from = now.vector[which][id];
        rows += from != 0;
        enum tq_status status = tq_get(indexes[which], id, vector);
        if (status == TQ_NOT_FOUND && from == 0) continue;
        if (!made(trial, status)) continue;
        if (from == 0) fail("row %d of index %d is there", id, which);
        if (memcmp(vector, vector_of(which, from), (size_t)dims[which] * sizeof *vector) != 0)
            fail("row %d of index %d is another vector", id, which);
    }
    if (made(trial, tq_index_get_info(indexes[which], &info)) && info.rows != rows)
        fail("index %d says it has %llu rows, not %llu", which, (unsigned long long)info.rows,
             (unsigned long long)rows);
}

static void do_step(const struct trial *trial) {
    switch (trial->step) {
    case 0:
        for (int which = 0; which < INDEXES; which++) now.exists[which] = made(trial, create(which));
        break;
    case 1:
        for (int id = 1; id < 12; id++) put(trial, &now, id % 2, id, id);
        break;
    case 2: change_much(trial, 20, 20, true); break;
    case 3: put_many(trial, 100, 130); break;
    case 4:
        for (int id = 100; id < 130; id += 2) delete (trial, &now, 0, id);
        break;
    case 5: change_much(trial, 240, 75, true); break;
    case 6: change_much(trial, 330, 75, false); break;
    case 7: (void)made(trial, tq_index_optimize(indexes[0])); break;
    case 8: put_many(trial, 410, 70); break;
    case 9: drop_and_make(trial); break;
    case 10: change_much(trial, 490, 10, true); break;
    default: (void)made(trial, tq_index_optimize(indexes[1])); break;
    }
    for (int which = 0; which < INDEXES; which++)
        if (indexes[which] != NULL) search(trial, which);
}

/* ---- One point ---- */

static void check_content(const struct trial *trial) {
    for (int which = 0; which < INDEXES; which++) {
        if (!now.exists[which]) continue;
        compare(trial, which);
        search(trial, which);
    }
    if (record->code != 0) fail("when all was well: %d, %s", record->code, record->text);
}

static bool wants_reopening(void) {
    struct tq_index_info info;
    for (int which = 0; which < INDEXES; which++)
        if (indexes[which] != NULL && tq_index_get_info(indexes[which], &info) != TQ_OK &&
            strstr(tq_message(), "close every handle") != NULL)
            return true;
    return false;
}

static void go(void *argument) {
    const struct trial *trial = argument;
    if (fault_verbose) heap_list();
    now = trial->before;
    store = NULL;
    long blocks = heap_blocks();
    int files = open_files();
    fault_watch(store_folder());
    record->code = 0;
    fault_set(&trial->fault);
    bool opened = open_all(trial);
    if (opened) do_step(trial);
    fault_clear();
    if (fault_verbose) fprintf(stderr, "code %d, %s\n", record->code, record->text);
    int code = record->code;
    record->code = 0;
    bool all = opened;
    for (int which = 0; which < INDEXES; which++) all = all && (indexes[which] != NULL) == now.exists[which];
    if (!all || wants_reopening()) {
        close_all();
        (void)open_all(trial);
    }
    check_content(trial);
    close_all();
    *after = now;
    record->code = code;
    long left = heap_blocks() - blocks;
    if (left != 0 && fault_verbose) heap_print();
    if (left != 0) fail("%ld blocks of memory are left (code %d, %s)", left, record->code, record->text);
    if (open_files() != files) fail("%d files are left open", open_files() - files);
}

/* In a new process; and it can be written to. */
static void look(void *argument) {
    const struct trial *trial = argument;
    now = *after;
    record->code = 0;
    fault_watch(store_folder());
    if (!open_all(trial)) fail("in a new process: %s", tq_message());
    check_content(trial);
    for (int which = 0; which < INDEXES; which++)
        if (!now.exists[which]) now.exists[which] = made(trial, create(which));
    change_much(trial, 510, 70, true);
    (void)made(trial, tq_index_optimize(indexes[0]));
    check_content(trial);
    close_all();
}

static void try_once(struct tally *tally, struct trial *trial) {
    char repeat[300], wrong[2300] = "";
    store_put_back();
    struct outcome outcome = process_run(go, trial, 60);
    long fired = record->fired;
    if (outcome.status == 0 && trial->thorough) outcome = process_run(look, trial, 60);
    record->fired = fired;
    if (outcome.status != 0) (void)snprintf(wrong, sizeof wrong, "status %d: %s", outcome.status, outcome.text);
    (void)snprintf(repeat, sizeof repeat, "faults %s --from %d --campaign %s --at %ld",
                   (trial->fault.classes & CALL_MEMORY) != 0 ? "api-memory" : "api-errors", trial->step,
                   trial->campaign->name, trial->fault.at);
    tally_point(tally, wrong[0] != 0 ? wrong : NULL, repeat);
}

static void run_campaign(struct tally *tally, struct trial *trial, long total, long wanted, uint64_t *chance) {
    for (long i = 0; i < wanted && i < total && !tally_over(tally); i++) {
        trial->fault.at = wanted >= total ? i + 1 : 1 + (long)fault_chance(chance, (uint64_t)total);
        trial->thorough = fault_chance(chance, 4) == 0;
        try_once(tally, trial);
    }
}

static void without_fault(struct trial *trial) {
    store_put_back();
    struct outcome outcome = process_run(go, trial, 60);
    if (outcome.status != 0) fail("without any fault: step %d: %s", trial->step, outcome.text);
}

static void advance(struct trial *trial) {
    trial->fault = (struct fault){.at = LONG_MAX};
    without_fault(trial);
    store_advance();
    trial->before = *after;
}

static void run_steps(struct tally *tally, const struct campaigns *campaigns) {
    const struct options *options = tally->options;
    struct trial trial = {.thorough = true};
    struct call_counts counts;
    uint64_t chance = options->seed;
    long wanted = options->points;
    double end = options->seconds > 0 ? tally_now() + (double)options->seconds : 0;
    after = fault_shared(sizeof *after);
    store_make(options->folder);
    for (; trial.step < STEPS; trial.step++) {
        trial.fault = fault_counting;
        without_fault(&trial);
        campaign_count(&counts);
        for (size_t i = 0; i < campaigns->count; i++) {
            long parts = (STEPS - trial.step) * (long)(campaigns->count - i), before = tally->points;
            long share = tally_part(wanted, parts, &chance);
            tally_share(tally, end, parts);
            trial.campaign = &campaigns->list[i];
            if (strcmp(trial.campaign->name, "lock-lasting") == 0) continue; /* each call waits for the lock, 5 s */
            trial.fault = trial.campaign->fault;
            trial.fault.at = options->at;
            if (options->at == 0)
                run_campaign(tally, &trial, campaign_total(trial.campaign, &counts), share, &chance);
            else if (options->from == trial.step && strcmp(options->campaign, trial.campaign->name) == 0)
                try_once(tally, &trial);
            wanted -= tally->points - before;
        }
        advance(&trial);
    }
}

void api_call_errors(struct tally *tally) { run_steps(tally, &call_campaigns); }
void api_memory_errors(struct tally *tally) { run_steps(tally, &memory_campaigns); }
