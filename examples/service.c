/* A service in small: eight threads search one index while a ninth writes to it, for two seconds.
 *
 *   cc service.c $(pkg-config --cflags --libs tq) -lm -lpthread -o service && ./service /tmp/service
 *
 * Each transaction of the writer adds BATCH rows and deletes one of the batch before. Vectors follow from
 * their ids, so a reader can check every hit by itself: its score, its order, and that a row committed before
 * the search is found. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <tq.h>

enum { DIM = 64, BATCH = 64, READERS = 8, K = 10, SECONDS = 2 };

struct service {
    tq_index *index;
    tq_store *store;
    atomic_llong committed; /* ids below are in the index, but for the last of each batch */
    atomic_llong searches, wrong;
    atomic_bool stop;
};

/* The vector of an id: uniform in [-1, 1), from a hash of (id, place). */
static void make_vector(int64_t id, float *vector) {
    for (int j = 0; j < DIM; j++) {
        uint64_t z = ((uint64_t)id * DIM + (uint64_t)j + 1) * 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        vector[j] = (float)((double)(z >> 40) * 0x1p-23 - 1);
    }
}

static double cosine(const float *a, const float *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < DIM; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

/* The text of what is wrong with a result, or NULL. */
static const char *check_hits(int64_t id, const float *query, const struct tq_hit *hits, size_t count,
                              int64_t committed) {
    float vector[DIM];
    if (count != K && committed >= 2 * BATCH) return "too few hits";
    if (count == 0 || hits[0].id != id) return "a committed row was not found by its own vector";
    for (size_t i = 0; i < count; i++) {
        make_vector(hits[i].id, vector);
        if (fabs(hits[i].score - cosine(query, vector)) > 1e-6) return "a score is wrong";
        if (i > 0 && hits[i].score > hits[i - 1].score) return "hits are out of order";
    }
    return NULL;
}

static void *reader(void *argument) {
    struct service *service = argument;
    uint64_t state = (uint64_t)(uintptr_t)&state | 1; /* a stream for each thread */
    float query[DIM];
    struct tq_hit hits[K];
    while (!atomic_load(&service->stop)) {
        int64_t committed = atomic_load(&service->committed);
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)((state >> 33) % (uint64_t)committed);
        if (id % BATCH == BATCH - 1) id--; /* the last of a batch may be deleted */
        make_vector(id, query);
        size_t count = 0;
        const char *problem = NULL;
        if (tq_search(service->index, query, 1, K, NULL, hits, &count, NULL) != TQ_OK) {
            problem = tq_message();
        } else {
            problem = check_hits(id, query, hits, count, committed);
        }
        atomic_fetch_add(&service->searches, 1);
        if (problem != NULL) {
            atomic_fetch_add(&service->wrong, 1);
            (void)fprintf(stderr, "search for %lld: %s\n", (long long)id, problem);
        }
    }
    return NULL;
}

/* One transaction: rows first .. first + BATCH - 1, and the last of the batch before deleted. */
static enum tq_status write_batch(struct service *service, int64_t first) {
    float vector[DIM];
    enum tq_status status = tq_begin(service->store);
    if (status != TQ_OK) return status;
    for (int64_t id = first; id < first + BATCH && status == TQ_OK; id++) {
        make_vector(id, vector);
        status = tq_put(service->index, id, vector);
    }
    if (status == TQ_OK && first > 0) status = tq_delete(service->index, first - 1);
    if (status == TQ_OK)
        status = tq_commit(service->store);
    else
        tq_abort(service->store);
    if (status == TQ_OK) atomic_store(&service->committed, first + BATCH);
    return status;
}

static void *writer(void *argument) {
    struct service *service = argument;
    while (!atomic_load(&service->stop)) {
        if (write_batch(service, atomic_load(&service->committed)) == TQ_OK) continue;
        atomic_fetch_add(&service->wrong, 1);
        (void)fprintf(stderr, "write: %s\n", tq_message());
        break;
    }
    return NULL;
}

static int run(struct service *service) {
    pthread_t threads[READERS + 1];
    struct timespec wait = {.tv_sec = SECONDS};
    int started = 0;
    while (started <= READERS &&
           pthread_create(&threads[started], NULL, started == 0 ? writer : reader, service) == 0) {
        started++;
    }
    if (started == READERS + 1) (void)nanosleep(&wait, NULL);
    atomic_store(&service->stop, true);
    for (int i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);

    struct tq_index_info info = {0};
    long long ids = atomic_load(&service->committed), rows = ids - ids / BATCH + 1;
    if (tq_index_get_info(service->index, &info) != TQ_OK) return 1;
    printf("%lld searches by %d threads, %llu rows at the end, %lld wrong\n", atomic_load(&service->searches), READERS,
           (unsigned long long)info.rows, atomic_load(&service->wrong));
    if ((long long)info.rows != rows) (void)fprintf(stderr, "but %lld rows were committed\n", rows);
    return started == READERS + 1 && atomic_load(&service->searches) > 0 && atomic_load(&service->wrong) == 0 &&
                   (long long)info.rows == rows
               ? 0
               : 1;
}

int main(int argc, char **argv) {
    static struct service service;
    struct tq_index_options options = tq_index_defaults(DIM);
    int result = 1;
    if (argc != 2) return (void)fprintf(stderr, "usage: service <new folder>\n"), 2;
    if (tq_open(argv[1], TQ_OPEN_CREATE, &service.store) == TQ_OK &&
        tq_index_create(service.store, "numbers", &options, &service.index) == TQ_OK &&
        write_batch(&service, 0) == TQ_OK) {
        result = run(&service);
    } else {
        (void)fprintf(stderr, "%s\n", tq_message());
    }
    tq_index_close(service.index);
    tq_close(service.store);
    return result;
}
