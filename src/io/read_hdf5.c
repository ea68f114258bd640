#include "src/io/read.h"

#ifdef TQ_HAVE_HDF5
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/io/hdf5_file.h"

/* Files of ann-benchmarks: train, test, and of the nearest rows of train to each of test the places and distances. */

enum { PART_BYTES = 300, ARRAYS = 3, TRUTH_MAX = 1 << 20 };

struct hdf5_state {
    struct tq_hdf5_file file;
    char part[PART_BYTES], queries[PART_BYTES];
    struct {
        struct tq_hdf5_array array;
        enum tq_hdf5_element element;
    } columns[ARRAYS]; /* of reader->columns */
    size_t count;
    uint64_t row, rows;
};

/* ---- Which dataset ---- */

/* `name` beside a dataset. */
static bool beside(const struct hdf5_state *state, const char *name, char path[PART_BYTES]) {
    const char *slash = strrchr(state->part, '/');
    int folder = slash == NULL ? 0 : (int)(slash - state->part) + 1;
    int size = snprintf(path, PART_BYTES, "%.*s%s", folder, state->part, name);
    return size > 0 && size < PART_BYTES && tq_hdf5_has(&state->file, path);
}

static bool is_named(const struct hdf5_state *state, const char *name) {
    const char *slash = strrchr(state->part, '/');
    return strcmp(slash == NULL ? state->part : slash + 1, name) == 0;
}

static enum tq_status choose_part(const struct tq_reader *reader, struct hdf5_state *state) {
    char list[300];
    const char *part = reader->options.part;
    if (part == NULL && tq_hdf5_has(&state->file, "train")) part = "train";
    if (part != NULL && strlen(part) < PART_BYTES && part[0] != '\0' && tq_hdf5_has(&state->file, part)) {
        (void)snprintf(state->part, PART_BYTES, "%s", part);
        return TQ_OK;
    }
    tq_hdf5_list(&state->file, list, sizeof list, state->part, PART_BYTES);
    if (part != NULL) {
        return tq_fail(TQ_NOT_FOUND, "%s: there is no dataset %.60s; datasets: %s", reader->path, part,
                       list[0] == '\0' ? "none" : list);
    }
    if (state->part[0] != '\0') return TQ_OK;
    return tq_fail(list[0] == '\0' ? TQ_NOT_FOUND : TQ_MISUSE, "%s: %s%s", reader->path,
                   list[0] == '\0' ? "there is no dataset" : "name the dataset to read: ", list);
}

/* ---- Which metric ---- */

static enum tq_status note_metric(struct tq_reader *reader, const struct hdf5_state *state) {
    static const struct {
        const char *name;
        enum tq_metric metric;
    } metrics[] = {{"angular", TQ_COSINE}, {"cosine", TQ_COSINE}, {"euclidean", TQ_L2},
                   {"l2", TQ_L2},          {"dot", TQ_IP},        {"ip", TQ_IP}};
    char distance[64] = "";
    if (!tq_hdf5_text(&state->file, "distance", distance, sizeof distance)) return TQ_OK;
    if (strcmp(distance, "jaccard") == 0 || strcmp(distance, "hamming") == 0) {
        return tq_fail(TQ_UNSUPPORTED,
                       "%s: it is made for the distance %s, which tqlite has not: angular, euclidean or dot",
                       reader->path, distance);
    }
    for (size_t i = 0; i < TQ_COUNT(metrics); i++) {
        if (strcmp(distance, metrics[i].name) != 0) continue;
        reader->info.has_metric = true;
        reader->info.metric = metrics[i].metric;
    }
    return TQ_OK;
}

/* ---- Columns ---- */

static enum tq_status check_vectors(const struct tq_reader *reader, const struct hdf5_state *state,
                                    const struct tq_hdf5_array *array) {
    char sizes[PART_BYTES + 8], other[PART_BYTES];
    const char *slash = strrchr(state->part, '/');
    uint64_t dimension = 0;
    (void)snprintf(sizes, sizeof sizes, "size_%s", slash == NULL ? state->part : slash + 1);
    if (array->dimensions == 1 && beside(state, sizes, other)) {
        return tq_fail(TQ_UNSUPPORTED, "%s: %s holds sparse sets, whose sizes are in %s; vectors are dense",
                       reader->path, state->part, other);
    }
    if (array->dimensions != 2) {
        return tq_fail(TQ_FORMAT, "%s: %s has %d dimension%s; rows of vectors have 2", reader->path, state->part,
                       array->dimensions, array->dimensions == 1 ? "" : "s");
    }
    if (!array->numeric) {
        return tq_fail(TQ_FORMAT, "%s: the elements of %s are no numbers", reader->path, state->part);
    }
    bool usual = is_named(state, "train") || is_named(state, "test");
    if (!usual || !tq_hdf5_number(&state->file, "dimension", &dimension) || dimension == array->width) return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: it is said to have %llu dimensions, but %s has %llu", reader->path,
                   (unsigned long long)dimension, state->part, (unsigned long long)array->width);
}

/* The truth about queries, where it is there for each. */
static enum tq_status add_truth(struct tq_reader *reader, const char *name, enum tq_hdf5_element element) {
    struct hdf5_state *state = reader->state;
    char path[PART_BYTES];
    if (!tq_reader_wants(reader, name) || !beside(state, name, path)) return TQ_OK;
    struct tq_hdf5_array *array = &state->columns[state->count].array;
    enum tq_status status = tq_hdf5_array_open(&state->file, path, array);
    bool fits = status == TQ_OK && array->dimensions == 2 && array->numeric && array->rows == state->rows &&
                array->width >= 1 && array->width <= TRUTH_MAX;
    if (!fits) {
        tq_hdf5_array_close(array);
        return status;
    }
    array->half = array->half && element != TQ_HDF5_I32LE;
    state->columns[state->count++].element = element;
    return tq_reader_column(reader, name, TQ_TYPE_BLOB, 0, false);
}

static enum tq_status add_vectors(struct tq_reader *reader) {
    struct hdf5_state *state = reader->state;
    struct tq_hdf5_array *array = &state->columns[0].array;
    enum tq_status status = tq_hdf5_array_open(&state->file, state->part, array);
    if (status == TQ_OK) status = check_vectors(reader, state, array);
    if (status == TQ_OK && tq_reader_wants(reader, "embedding")) {
        state->count = 1;
        status = tq_reader_column(reader, "embedding", TQ_TYPE_VECTOR, array->width, false);
    }
    if (status == TQ_OK && state->count == 1 && array->rows > 0) { /* what cannot be unpacked is told of at once */
        const void *first = NULL;
        status = tq_hdf5_array_row(&state->file, array, TQ_HDF5_F32, 0, &first);
    }
    state->rows = array->rows;
    if (state->count == 0) tq_hdf5_array_close(array);
    return status;
}

static enum tq_status hdf5_open(struct tq_reader *reader) {
    struct hdf5_state *state = reader->state = tq_alloc_zero(sizeof *state);
    if (state == NULL) return TQ_NOMEM;
    TQ_TRY(tq_hdf5_open(reader->path, &state->file));
    TQ_TRY(choose_part(reader, state));
    TQ_TRY(note_metric(reader, state));
    TQ_TRY(add_vectors(reader));
    reader->info.rows = state->rows;
    if (is_named(state, "train") && beside(state, "test", state->queries)) reader->info.queries = state->queries;
    if (!is_named(state, "test")) return TQ_OK;
    TQ_TRY(add_truth(reader, "neighbors", TQ_HDF5_I32LE));
    return add_truth(reader, "distances", TQ_HDF5_F32LE);
}

static void hdf5_close(struct tq_reader *reader) {
    struct hdf5_state *state = reader->state;
    if (state == NULL) return;
    for (size_t i = 0; i < state->count; i++) tq_hdf5_array_close(&state->columns[i].array);
    tq_hdf5_close(&state->file);
    tq_free(state);
}

/* ---- Rows ---- */

static enum tq_status hdf5_next(struct tq_reader *reader, bool *end) {
    struct hdf5_state *state = reader->state;
    *end = state->row == state->rows;
    for (size_t i = 0; !*end && i < state->count; i++) {
        struct tq_hdf5_array *array = &state->columns[i].array;
        struct tq_value *value = &reader->values[i];
        const void *elements = NULL;
        TQ_TRY(tq_hdf5_array_row(&state->file, array, state->columns[i].element, state->row, &elements));
        if (reader->columns[i].type == TQ_TYPE_VECTOR)
            *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = array->width, .vector = elements};
        else
            *value = (struct tq_value){.type = TQ_TYPE_BLOB, .size = array->width * sizeof(uint32_t), .blob = elements};
    }
    if (!*end) state->row++;
    return TQ_OK;
}

static enum tq_status hdf5_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    struct hdf5_state *state = reader->state;
    *skipped = tq_min_size(count, state->rows - state->row);
    state->row += *skipped;
    return TQ_OK;
}

static double hdf5_progress(const struct tq_reader *reader) {
    const struct hdf5_state *state = reader->state;
    return state->rows == 0 ? 1 : (double)state->row / (double)state->rows;
}

static void hdf5_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct hdf5_state *state = reader->state;
    (void)snprintf(text, size, "%s, %s, row %llu", reader->path, state->part,
                   (unsigned long long)(reader->row == 0 ? 0 : reader->row - 1));
}

const struct tq_reader_ops tq_read_hdf5 = {.open = hdf5_open,
                                           .close = hdf5_close,
                                           .next = hdf5_next,
                                           .skip = hdf5_skip,
                                           .progress = hdf5_progress,
                                           .place = hdf5_place};
#endif
