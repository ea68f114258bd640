#ifdef TQ_HAVE_ZIP
#include "src/io/npz_array.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

#include "src/base/alloc.h"
#include "src/io/reader.h"

void tq_npz_place(const struct tq_npz *npz, const struct tq_npz_array *array, char *text, size_t size) {
    (void)snprintf(text, size, "%s, %.80s", npz->path, array->name);
}

static enum tq_status fail_array(const struct tq_npz *npz, const struct tq_npz_array *array, const char *text) {
    return tq_fail(TQ_FORMAT, "%s, %.80s: %s", npz->path, array->name, text);
}

/* ---- Streams ---- */

static enum tq_status open_stream(struct tq_npz *npz, struct tq_npz_array *array) {
    array->file = zip_fopen_index(npz->zip, array->index, 0);
    array->have = array->used = 0;
    return array->file != NULL ? TQ_OK : fail_array(npz, array, zip_strerror(npz->zip));
}

static void close_stream(struct tq_npz_array *array) {
    if (array->file != NULL) (void)zip_fclose(array->file);
    array->file = NULL;
}

/* As many bytes as there is room for, or the member has; what was not taken yet comes first. */
static enum tq_status fill(struct tq_npz *npz, struct tq_npz_array *array) {
    memmove(array->buffer, array->buffer + array->used, array->have - array->used);
    array->have -= array->used;
    array->used = 0;
    while (array->have < array->room) {
        zip_int64_t got = zip_fread(array->file, array->buffer + array->have, array->room - array->have);
        if (got < 0) return fail_array(npz, array, zip_file_strerror(array->file));
        if (got == 0) break;
        array->have += (size_t)got;
    }
    return TQ_OK;
}

enum tq_status tq_npz_array_begin(struct tq_npz *npz, struct tq_npz_array *array, size_t bytes) {
    close_stream(array);
    TQ_TRY(open_stream(npz, array));
    if (bytes > array->room) {
        uint8_t *buffer = tq_alloc(bytes);
        if (buffer == NULL) return TQ_NOMEM;
        tq_free(array->buffer);
        array->buffer = buffer;
        array->room = bytes;
    }
    return tq_npz_array_skip(npz, array, array->header.start);
}

enum tq_status tq_npz_array_take(struct tq_npz *npz, struct tq_npz_array *array, size_t size, const uint8_t **bytes) {
    if (size > array->have - array->used) {
        TQ_TRY(fill(npz, array));
        if (size > array->have) return fail_array(npz, array, "the zip file has less of it than the header says");
    }
    *bytes = array->buffer + array->used;
    array->used += size;
    return TQ_OK;
}

enum tq_status tq_npz_array_skip(struct tq_npz *npz, struct tq_npz_array *array, uint64_t size) {
    const uint8_t *bytes = NULL;
    while (size > 0) {
        size_t step = size < array->room ? (size_t)size : array->room;
        TQ_TRY(tq_npz_array_take(npz, array, step, &bytes));
        size -= step;
    }
    return TQ_OK;
}

enum tq_status tq_npz_array_end(struct tq_npz *npz, struct tq_npz_array *array) {
    TQ_TRY(fill(npz, array));
    return array->have == 0 ? TQ_OK : fail_array(npz, array, "the zip file has more of it than the header says");
}

/* ---- Which arrays there are ---- */

enum tq_status tq_npz_array_look(struct tq_npz *npz, struct tq_npz_array *array) {
    char place[512];
    if (array->buffer == NULL) array->buffer = tq_alloc(TQ_NPY_HEAD_BYTES);
    if (array->buffer == NULL) return TQ_NOMEM;
    array->room = TQ_NPY_HEAD_BYTES;
    tq_npz_place(npz, array, place, sizeof place);
    enum tq_status status = open_stream(npz, array);
    if (status == TQ_OK) status = fill(npz, array);
    if (status == TQ_OK) status = tq_npy_header_read(place, array->buffer, array->have, array->size, &array->header);
    close_stream(array);
    return status;
}

static enum tq_status add_array(struct tq_npz *npz, const zip_stat_t *stat) {
    size_t length = (stat->valid & ZIP_STAT_NAME) != 0 ? strlen(stat->name) : 0;
    if ((stat->valid & ZIP_STAT_SIZE) == 0 || length <= 4 || strcmp(stat->name + length - 4, ".npy") != 0) return TQ_OK;
    struct tq_npz_array *array = &npz->arrays[npz->count];
    array->name = tq_alloc(length - 3);
    if (array->name == NULL) return TQ_NOMEM;
    npz->count++;
    memcpy(array->name, stat->name, length - 4);
    array->name[length - 4] = '\0';
    array->index = stat->index;
    array->size = stat->size;
    for (size_t i = 0; i + 1 < npz->count; i++)
        if (strcmp(npz->arrays[i].name, array->name) == 0) return fail_array(npz, array, "there are two of this name");
    enum tq_status status = tq_npz_array_look(npz, array);
    array->is_array = status == TQ_OK;
    return status == TQ_NOMEM ? status : TQ_OK;
}

enum tq_status tq_npz_open(const char *path, struct tq_npz *npz) {
    int error = 0;
    *npz = (struct tq_npz){.path = path, .zip = zip_open(path, ZIP_RDONLY, &error)};
    if (npz->zip == NULL) {
        zip_error_t text;
        zip_error_init_with_code(&text, error);
        enum tq_status status = error == ZIP_ER_MEMORY ? TQ_NOMEM : error == ZIP_ER_OPEN ? TQ_IO : TQ_FORMAT;
        status = tq_fail(error == ZIP_ER_NOENT ? TQ_NOT_FOUND : status, "%s: %s", path, zip_error_strerror(&text));
        zip_error_fini(&text);
        return status;
    }
    zip_int64_t members = zip_get_num_entries(npz->zip, 0);
    if (members > TQ_COLUMNS_MAX) {
        return tq_fail(TQ_FORMAT, "%s: a zip file of %lld members; there may be %d", path, (long long)members,
                       TQ_COLUMNS_MAX);
    }
    npz->arrays = tq_alloc_zero((size_t)members * sizeof *npz->arrays);
    if (npz->arrays == NULL) return TQ_NOMEM;
    for (zip_int64_t i = 0; i < members; i++) {
        zip_stat_t stat;
        if (zip_stat_index(npz->zip, (zip_uint64_t)i, 0, &stat) != 0)
            return tq_fail(TQ_FORMAT, "%s: member %lld: %s", path, (long long)i, zip_strerror(npz->zip));
        TQ_TRY(add_array(npz, &stat));
    }
    return TQ_OK;
}

void tq_npz_close(struct tq_npz *npz) {
    for (size_t i = 0; i < npz->count; i++) {
        close_stream(&npz->arrays[i]);
        tq_free(npz->arrays[i].name);
        tq_free(npz->arrays[i].buffer);
    }
    tq_free(npz->arrays);
    if (npz->zip != NULL) zip_discard(npz->zip);
    *npz = (struct tq_npz){0};
}
#else
typedef int tq_npz_array_left_out; /* a file must declare something */
#endif
