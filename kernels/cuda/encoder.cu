/* Encoding rows of the host: tables of a format, and the way of rows to the device and back.
 *
 * Rows go in chunks. A worker has room for one chunk, page-locked and on the device, and a stream; it copies rows to
 * page-locked memory where they are not in such, has them copied to the device, encoded and copied back, and hands the
 * records out. Several workers, the calling thread among them, take chunks in turn: while one copies, the link and the
 * device work for others. One thread alone copies from pageable memory at an eighth of the link's rate. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cuda/internal.h"
#include "kernels/cuda/quantize_format.cuh"
#include "kernels/cuda/quantize_launch.cuh"

enum { WORKERS_MOST = 8, CHUNK_BYTES = 8 << 20, REFUSED_BYTES = 16, TABLES_MOST = 8 };

/* A worker's memory. */
struct Room {
    cudaStream_t stream;
    cudaEvent_t begun, ended; /* around the kernel */
    float *host_vectors;      /* page-locked; NULL until rows come from pageable memory */
    uint8_t *host_made;       /* page-locked: refused, records, second, first_error of a chunk, one behind the other */
    float *vectors;           /* on the device */
    uint8_t *made;            /* on the device, as host_made */
};

struct tq_cuda_encoder {
    struct tq_cuda *cuda;
    Quantize q;
    QuantizeKernel kernel;
    LaunchLimits limits;
    void *tables[TABLES_MOST];
    int table_count;
    size_t chunk_rows;
    int room_count;
    Room rooms[WORKERS_MOST];
    bool timed;
    double ms; /* of the kernels of the last encode() */
};

/* ---- Tables ---- */

template <class T> static cudaError_t upload(struct tq_cuda_encoder *e, const T *from, size_t count, const T **to) {
    void *made = nullptr;
    if (from == nullptr || count == 0) return cudaSuccess;
    cudaError_t error = cudaMalloc(&made, count * sizeof(T));
    if (error != cudaSuccess) return error;
    e->tables[e->table_count++] = made;
    *to = (const T *)made;
    return cudaMemcpy(made, from, count * sizeof(T), cudaMemcpyHostToDevice);
}

static cudaError_t upload_factors(struct tq_cuda_encoder *e, const struct tq_rotation *from, const float **to) {
    size_t count = (size_t)from->rounds * from->dim;
    float *factors = (float *)malloc(count * sizeof *factors);
    if (factors == nullptr) return cudaErrorMemoryAllocation;
    quantize_fill_factors(from, e->kernel.lanes, factors);
    cudaError_t error = upload(e, factors, count, to);
    free(factors);
    return error;
}

static cudaError_t upload_rotation(struct tq_cuda_encoder *e, const struct tq_rotation *from, Turn *turn) {
    if (from->dim == 0) return cudaSuccess;
    if (e->kernel.lanes != 0) return upload_factors(e, from, &turn->factors);
    size_t count = (size_t)from->rounds * from->dim;
    cudaError_t error = upload(e, from->signs, count, &turn->signs);
    return error == cudaSuccess ? upload(e, from->permutation, count, &turn->permutation) : error;
}

/* The kernel of a format. */
static QuantizeKernel choose_kernel(const struct tq_cuda_codec *codec) {
    const struct tq_rotation *r = &codec->rotation;
    QuantizeKernel found = {};
    if (codec->code_bits <= 4 && r->permutation != nullptr) found = quantize_overlap(r->span);
    if (codec->code_bits <= 4 && r->permutation == nullptr) {
        found = quantize_short(r->parts, r->span);
        if (found.launch == nullptr) found = quantize_long(r->parts, r->span);
    }
    return found.launch != nullptr ? found : quantize_any();
}

static cudaError_t upload_tables(struct tq_cuda_encoder *e, const struct tq_cuda_codec *codec) {
    size_t indices = (size_t)1 << codec->code_bits;
    cudaError_t error = upload_rotation(e, &codec->rotation, &e->q.rotation);
    if (error == cudaSuccess) error = upload_rotation(e, &codec->sketch, &e->q.sketch);
    if (error == cudaSuccess) error = upload(e, codec->thresholds, indices - 1, &e->q.thresholds);
    return error == cudaSuccess ? upload(e, codec->centroids, indices, &e->q.centroids) : error;
}

/* ---- Workers ---- */

static size_t made_bytes(const struct tq_cuda_encoder *e, size_t rows) {
    return REFUSED_BYTES + rows * (e->q.record_stride + sizeof(uint32_t) + sizeof(uint16_t));
}

static DeviceRows rows_in(const struct tq_cuda_encoder *e, uint8_t *made, size_t rows) {
    uint8_t *records = made + REFUSED_BYTES, *second = records + rows * e->q.record_stride;
    return DeviceRows{records, (uint16_t *)(void *)(second + rows * sizeof(uint32_t)), (uint32_t *)(void *)second,
                      (uint32_t *)(void *)made};
}

static void close_room(Room *room) {
    if (room->stream != nullptr) (void)cudaStreamDestroy(room->stream);
    if (room->begun != nullptr) (void)cudaEventDestroy(room->begun);
    if (room->ended != nullptr) (void)cudaEventDestroy(room->ended);
    (void)cudaFreeHost(room->host_vectors);
    (void)cudaFreeHost(room->host_made);
    (void)cudaFree(room->vectors);
    (void)cudaFree(room->made);
    memset(room, 0, sizeof *room);
}

static cudaError_t open_room(const struct tq_cuda_encoder *e, Room *room) {
    size_t made = made_bytes(e, e->chunk_rows), vectors = e->chunk_rows * e->q.dim * sizeof(float);
    cudaError_t error = cudaStreamCreateWithFlags(&room->stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = cudaEventCreate(&room->begun);
    if (error == cudaSuccess) error = cudaEventCreate(&room->ended);
    if (error == cudaSuccess) error = cudaMalloc((void **)&room->vectors, vectors);
    if (error == cudaSuccess) error = cudaMalloc((void **)&room->made, made);
    if (error == cudaSuccess) error = cudaHostAlloc((void **)&room->host_made, made, cudaHostAllocDefault);
    if (error != cudaSuccess) close_room(room);
    return error;
}

static cudaError_t open_host_vectors(const struct tq_cuda_encoder *e, Room *room) {
    if (room->host_vectors != nullptr) return cudaSuccess;
    return cudaHostAlloc((void **)&room->host_vectors, e->chunk_rows * e->q.dim * sizeof(float), cudaHostAllocDefault);
}

/* One call of encode(). */
struct Job {
    struct tq_cuda_encoder *encoder;
    const float *vectors;
    size_t count;
    const struct tq_cuda_rows *out;
    bool page_locked; /* the vectors */
    pthread_mutex_t lock;
    size_t next, refused; /* from here on: under the lock */
    enum tq_cuda_status status;
    struct tq_cuda_why why;
    double ms;
};

struct Worker {
    Job *job;
    Room *room;
    pthread_t thread;
};

/* The rows from `at` on, to the device, encoded, and back into the room. */
static cudaError_t send_chunk(const Job *job, const Room *room, size_t at, size_t rows) {
    const struct tq_cuda_encoder *e = job->encoder;
    const float *from = job->vectors + at * e->q.dim;
    size_t bytes = rows * e->q.dim * sizeof(float);
    if (!job->page_locked) {
        memcpy(room->host_vectors, from, bytes);
        from = room->host_vectors;
    }
    cudaError_t error = cudaMemcpyAsync(room->vectors, from, bytes, cudaMemcpyHostToDevice, room->stream);
    if (error == cudaSuccess) error = cudaMemsetAsync(room->made, 0xff, REFUSED_BYTES, room->stream);
    if (error == cudaSuccess && e->timed) error = cudaEventRecord(room->begun, room->stream);
    if (error == cudaSuccess) {
        (void)pthread_mutex_lock(&tq_cuda_launching);
        error = e->kernel.launch(e->q, e->limits, room->vectors, rows, rows_in(e, room->made, rows), room->stream);
        (void)pthread_mutex_unlock(&tq_cuda_launching);
    }
    if (error == cudaSuccess && e->timed) error = cudaEventRecord(room->ended, room->stream);
    if (error == cudaSuccess)
        error = cudaMemcpyAsync(room->host_made, room->made, made_bytes(e, rows), cudaMemcpyDeviceToHost, room->stream);
    cudaError_t waited = cudaStreamSynchronize(room->stream); /* after a failure too: the rows are the caller's again */
    return error == cudaSuccess ? waited : error;
}

static void hand_out(const Job *job, const Room *room, size_t at, size_t rows) {
    const struct tq_cuda_encoder *e = job->encoder;
    DeviceRows made = rows_in(e, room->host_made, rows);
    memcpy(job->out->records + at * e->q.record_stride, made.records, rows * e->q.record_stride);
    memcpy(job->out->first_error + at, made.first_error, rows * sizeof(uint16_t));
    memcpy(job->out->second + 2 * at, made.second, rows * sizeof(uint32_t));
}

/* What a worker found, into the job. */
static void note(Job *job, const Room *room, cudaError_t error, size_t at) {
    float ms = 0.0f;
    if (error == cudaSuccess && job->encoder->timed) error = cudaEventElapsedTime(&ms, room->begun, room->ended);
    pthread_mutex_lock(&job->lock);
    job->ms += (double)ms;
    if (error != cudaSuccess && job->status == TQ_CUDA_OK) {
        job->status = tq_cuda_failed(&job->why, error, "encoding rows");
    } else if (error == cudaSuccess) {
        uint32_t refused;
        memcpy(&refused, room->host_made, sizeof refused);
        if (refused != UINT32_MAX && at + refused < job->refused) job->refused = at + refused;
    }
    pthread_mutex_unlock(&job->lock);
}

static void *work(void *of) {
    const Worker *worker = (const Worker *)of;
    Job *job = worker->job;
    tq_cuda_scope scope(job->encoder->cuda);
    for (;;) {
        pthread_mutex_lock(&job->lock);
        size_t at = job->next, end = job->refused;
        bool more = job->status == TQ_CUDA_OK && at < end;
        size_t rows = job->count - at;
        if (rows > job->encoder->chunk_rows) rows = job->encoder->chunk_rows;
        if (more) job->next += rows;
        pthread_mutex_unlock(&job->lock);
        if (!more) return nullptr;
        cudaError_t error = send_chunk(job, worker->room, at, rows);
        if (error == cudaSuccess) hand_out(job, worker->room, at, rows);
        note(job, worker->room, error, at);
    }
}

/* ---- The functions of the table ---- */

static enum tq_cuda_status check(const struct tq_cuda_codec *codec, struct tq_cuda_why *why) {
    if (codec->dim < 1 || codec->code_bits < 1 || codec->code_bits > 8)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "no kernel encodes %u dimensions with %u bits a code", codec->dim,
                           codec->code_bits);
    if (!quantize_is_symmetric(codec))
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "no kernel encodes with a codebook that is not symmetric");
    return TQ_CUDA_OK;
}

static enum tq_cuda_status prepare(struct tq_cuda_encoder *e, const struct tq_cuda_codec *codec,
                                   struct tq_cuda_why *why) {
    size_t row_bytes = (size_t)codec->dim * sizeof(float);
    e->chunk_rows = row_bytes > CHUNK_BYTES ? 1 : CHUNK_BYTES / row_bytes;
    e->limits = LaunchLimits{e->cuda->description.multiprocessors, e->cuda->shared_most};
    e->timed = tq_cuda_timed();
    e->kernel = choose_kernel(codec);
    quantize_set_format(codec, &e->q);
    TQ_CUDA_TRY(upload_tables(e, codec), why, "allocating the tables of an encoder");
    /* A copy of pageable memory may end behind cudaMemcpy, and the workers' streams do not wait for it. */
    TQ_CUDA_TRY(cudaStreamSynchronize(nullptr), why, "bringing the tables of an encoder to the device");
    cudaError_t error = e->kernel.launch(e->q, e->limits, nullptr, 0, DeviceRows{}, nullptr);
    if (error == cudaErrorInvalidConfiguration)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED,
                           "a row of %u dimensions with %u bits needs more shared memory than a block has (%zu bytes)",
                           codec->dim, codec->bits, e->limits.shared);
    TQ_CUDA_TRY(error, why, "preparing the encoder's kernel");
    TQ_CUDA_TRY(open_room(e, &e->rooms[0]), why, "allocating the memory of an encoder");
    e->room_count = 1;
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_encoder_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec,
                                         struct tq_cuda_encoder **encoder, struct tq_cuda_why *why) {
    tq_cuda_scope scope(cuda);
    TQ_CUDA_PASS(check(codec, why));
    struct tq_cuda_encoder *made = (struct tq_cuda_encoder *)calloc(1, sizeof *made);
    if (made == nullptr) return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for an encoder");
    made->cuda = cuda;
    enum tq_cuda_status status = prepare(made, codec, why);
    if (status != TQ_CUDA_OK) {
        tq_cuda_encoder_close(made);
        return status;
    }
    *encoder = made;
    return TQ_CUDA_OK;
}

void tq_cuda_encoder_close(struct tq_cuda_encoder *encoder) {
    if (encoder == nullptr) return;
    tq_cuda_scope scope(encoder->cuda);
    for (int i = 0; i < encoder->room_count; i++) close_room(&encoder->rooms[i]);
    for (int i = 0; i < encoder->table_count; i++) (void)cudaFree(encoder->tables[i]);
    free(encoder);
}

/* Whether a copy to the device may take the rows from where they are. */
static bool is_page_locked(const float *vectors, size_t count) {
    cudaPointerAttributes first = {}, last = {};
    if (cudaPointerGetAttributes(&first, vectors) != cudaSuccess ||
        cudaPointerGetAttributes(&last, vectors + count - 1) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    return first.type == cudaMemoryTypeHost && last.type == cudaMemoryTypeHost;
}

/* Rooms for so many workers, or for as many as there is memory for: 0 only where not even one can go on. */
static int open_rooms(struct tq_cuda_encoder *e, int wanted, bool page_locked, cudaError_t *error) {
    int ready = 0;
    for (; ready < wanted; ready++) {
        *error = ready < e->room_count ? cudaSuccess : open_room(e, &e->rooms[ready]);
        if (*error == cudaSuccess && ready >= e->room_count) e->room_count = ready + 1;
        if (*error == cudaSuccess && !page_locked) *error = open_host_vectors(e, &e->rooms[ready]);
        if (*error != cudaSuccess) break;
    }
    if (ready > 0) (void)cudaGetLastError();
    return ready;
}

/* Where rows need not be copied, three keep the link busy. */
static int workers_for(size_t chunks, bool page_locked) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = page_locked ? 3 : processors < 2 ? 2 : (size_t)processors;
    if (most > WORKERS_MOST) most = WORKERS_MOST;
    return (int)(chunks < most ? chunks : most);
}

/* The calling thread is the first worker; threads that cannot be had are done without. Signals are the program's. */
static void run(Job *job, int count) {
    Worker workers[WORKERS_MOST];
    sigset_t all, before;
    int started = 1;
    sigfillset(&all);
    if (count > 1) pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < count; started++) {
        workers[started] = Worker{job, &job->encoder->rooms[started], pthread_t{}};
        if (pthread_create(&workers[started].thread, nullptr, work, &workers[started]) != 0) break;
    }
    if (count > 1) pthread_sigmask(SIG_SETMASK, &before, nullptr);
    workers[0] = Worker{job, &job->encoder->rooms[0], pthread_t{}};
    (void)work(&workers[0]);
    for (int i = 1; i < started; i++) pthread_join(workers[i].thread, nullptr);
}

enum tq_cuda_status tq_cuda_encode(struct tq_cuda_encoder *encoder, const float *vectors, size_t count,
                                   const struct tq_cuda_rows *out, size_t *refused, struct tq_cuda_why *why) {
    tq_cuda_scope scope(encoder->cuda);
    encoder->ms = 0.0;
    *refused = 0;
    if (count == 0) return TQ_CUDA_OK;
    Job job = {};
    job.encoder = encoder;
    job.vectors = vectors;
    job.count = job.refused = count;
    job.out = out;
    job.page_locked = is_page_locked(vectors, count * encoder->q.dim);
    cudaError_t error = cudaSuccess;
    size_t chunks = (count + encoder->chunk_rows - 1) / encoder->chunk_rows;
    int workers = open_rooms(encoder, workers_for(chunks, job.page_locked), job.page_locked, &error);
    if (workers == 0) return tq_cuda_failed(why, error, "allocating the memory of an encoder");
    if (pthread_mutex_init(&job.lock, nullptr) != 0)
        return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for a lock of the encoder");
    run(&job, workers);
    pthread_mutex_destroy(&job.lock);
    encoder->ms = job.ms;
    if (job.status != TQ_CUDA_OK) return tq_cuda_say(why, job.status, "%s", job.why.text);
    *refused = job.refused;
    return TQ_CUDA_OK;
}

double tq_cuda_encoder_ms(const struct tq_cuda_encoder *encoder) { return encoder->ms; }
