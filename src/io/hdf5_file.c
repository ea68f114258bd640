#include "src/io/hdf5_file.h"

#ifdef TQ_HAVE_HDF5
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"

enum { BLOCK_BYTES = 4 << 20, BAND_BYTES_MAX = 128 << 20, SLOTS_MAX = 1 << 20 };

/* ---- Calling libhdf5 ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* libhdf5 prints its failures, unless it is told not to; others in this process may want that. */
struct call {
    H5E_auto2_t print;
    void *data;
    bool known;
};

static struct call begin(void) {
    struct call call = {0};
    (void)pthread_mutex_lock(&lock);
    call.known = H5Eget_auto2(H5E_DEFAULT, &call.print, &call.data) >= 0;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return call;
}

static void end(const struct call *call) {
    if (call->known) (void)H5Eset_auto2(H5E_DEFAULT, call->print, call->data);
    (void)pthread_mutex_unlock(&lock);
}

struct cause {
    char text[200];
    hid_t minor;
};

static herr_t note_cause(unsigned number, const H5E_error2_t *error, void *data) {
    struct cause *cause = data;
    /* Beneath a missing filter there is only where it was looked for. */
    bool filter = error->desc != NULL && strstr(error->desc, "required filter") != NULL;
    if (number != 0 && !filter) return 0;
    cause->minor = error->min_num;
    (void)snprintf(cause->text, sizeof cause->text, "%s", error->desc == NULL ? "" : error->desc);
    return 0;
}

/* The innermost of libhdf5's failures says most; `what` is what was tried. */
static enum tq_status fail_hdf5(const struct tq_hdf5_file *file, const char *what) {
    struct cause cause = {.text = "", .minor = -1};
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_cause, &cause);
    enum tq_status status = TQ_FORMAT;
    if (cause.minor == H5E_CANTLOCKFILE || strstr(cause.text, "lock file") != NULL) status = TQ_BUSY;
    if (cause.minor == H5E_NOSPACE || cause.minor == H5E_CANTALLOC) status = TQ_NOMEM;
    if (cause.minor == H5E_NOFILTER || strstr(cause.text, "required filter") != NULL) status = TQ_UNSUPPORTED;
    return tq_fail(status, "%s: %s%s%s", file->path, what, cause.text[0] == '\0' ? "" : ": HDF5 says: ", cause.text);
}

/* ---- The file ---- */

/* A file from elsewhere shall not make us read other files. */
static herr_t refuse_link(const char *parent, const char *group, const char *file, const char *target, unsigned *flags,
                          hid_t access, void *data) {
    (void)parent, (void)group, (void)file, (void)target, (void)flags, (void)access, (void)data;
    return -1;
}

enum tq_status tq_hdf5_open(const char *path, struct tq_hdf5_file *file) {
    struct call call = begin();
    *file = (struct tq_hdf5_file){.file = -1, .access = H5Pcreate(H5P_DATASET_ACCESS), .path = path};
    hid_t settings = H5Pcreate(H5P_FILE_ACCESS);
    bool ready = file->access >= 0 && settings >= 0 && H5Pset_elink_cb(file->access, refuse_link, NULL) >= 0;
#if H5_VERSION_GE(1, 10, 7)
    ready = ready && H5Pset_file_locking(settings, 1, 1) >= 0; /* a file system without locks will do */
#endif
    if (ready) file->file = H5Fopen(path, H5F_ACC_RDONLY, settings);
    enum tq_status status = file->file >= 0 ? TQ_OK : fail_hdf5(file, "cannot be read");
    (void)H5Pclose(settings);
    end(&call);
    return status;
}

void tq_hdf5_close(struct tq_hdf5_file *file) {
    struct call call = begin();
    if (file->access > 0) (void)H5Pclose(file->access);
    if (file->file > 0) (void)H5Fclose(file->file);
    end(&call);
}

bool tq_hdf5_has(const struct tq_hdf5_file *file, const char *name) {
    struct call call = begin();
    bool there = H5Lexists(file->file, name, H5P_DEFAULT) > 0;
    end(&call);
    return there;
}

/* ---- Attributes ---- */

static bool read_text(hid_t attribute, hid_t type, char *text, size_t size) {
    char *own = NULL;
    bool fits = false;
    if (H5Tget_class(type) != H5T_STRING) return false;
    hid_t space = H5Aget_space(attribute), memory = H5Tcopy(H5T_C_S1);
    bool single = H5Sget_simple_extent_npoints(space) == 1;
    (void)H5Tset_cset(memory, H5Tget_cset(type));
    if (single && H5Tis_variable_str(type) > 0) {
        (void)H5Tset_size(memory, H5T_VARIABLE);
        if (H5Aread(attribute, memory, (void *)&own) >= 0 && own != NULL) {
            fits = strlen(own) < size;
            if (fits) memcpy(text, own, strlen(own) + 1);
        }
        (void)H5free_memory(own);
    } else if (single && H5Tget_size(type) < size) {
        memset(text, 0, size);
        fits = H5Tset_size(memory, size) >= 0 && H5Aread(attribute, memory, text) >= 0;
        text[size - 1] = '\0';
    }
    (void)H5Tclose(memory);
    (void)H5Sclose(space);
    return fits;
}

static bool read_number(hid_t attribute, hid_t type, uint64_t *number) {
    hid_t space = H5Aget_space(attribute);
    bool single = H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1;
    bool there = single && H5Aread(attribute, H5T_NATIVE_UINT64, number) >= 0;
    (void)H5Sclose(space);
    return there;
}

static bool read_attribute(const struct tq_hdf5_file *file, const char *name, char *text, size_t size,
                           uint64_t *number) {
    struct call call = begin();
    bool there = H5Aexists(file->file, name) > 0;
    hid_t attribute = there ? H5Aopen(file->file, name, H5P_DEFAULT) : -1;
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    there = type >= 0 && (text != NULL ? read_text(attribute, type, text, size) : read_number(attribute, type, number));
    if (type >= 0) (void)H5Tclose(type);
    if (attribute >= 0) (void)H5Aclose(attribute);
    end(&call);
    return there;
}

bool tq_hdf5_text(const struct tq_hdf5_file *file, const char *name, char *text, size_t size) {
    return read_attribute(file, name, text, size, NULL);
}

bool tq_hdf5_number(const struct tq_hdf5_file *file, const char *name, uint64_t *number) {
    return read_attribute(file, name, NULL, 0, number);
}

/* ---- Datasets ---- */

static bool is_half(hid_t type) {
    size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
    return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 && H5Tget_order(type) == H5T_ORDER_LE &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
           exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10 && H5Tget_ebias(type) == 15 &&
           H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

static void note_shape(struct tq_hdf5_array *array) {
    hsize_t shape[2] = {0, 1};
    hid_t type = H5Dget_type(array->dataset);
    H5T_class_t class = H5Tget_class(type);
    array->space = H5Dget_space(array->dataset);
    array->dimensions = H5Sget_simple_extent_ndims(array->space);
    if (array->dimensions == 1 || array->dimensions == 2) (void)H5Sget_simple_extent_dims(array->space, shape, NULL);
    array->rows = shape[0];
    array->width = shape[1];
    array->numeric = class == H5T_INTEGER || class == H5T_FLOAT;
    array->half = is_half(type);
    (void)H5Tclose(type);
}

static uint64_t pieces(uint64_t whole, uint64_t piece) { return whole / piece + (whole % piece != 0); }

/* The chunks of one band of rows are unpacked together: either all are read at once, or kept until they have been. */
static enum tq_status plan_chunks(const struct tq_hdf5_file *file, const char *name, struct tq_hdf5_array *array,
                                  hid_t settings, size_t element_bytes) {
    hsize_t chunk[2] = {1, 1};
    if (H5Pget_chunk(settings, 2, chunk) != 2 || chunk[0] == 0 || chunk[1] == 0)
        return fail_hdf5(file, "a dataset cannot be read");
    uint64_t across = pieces(array->width, chunk[1]);
    double band = (double)chunk[0] * (double)across * (double)chunk[1] * (double)element_bytes;
    if (band > BAND_BYTES_MAX) {
        return tq_fail(TQ_UNSUPPORTED,
                       "%s: dataset %s is stored in chunks of %llu x %llu: %.0f MB must be unpacked at once, and the "
                       "limit is %d; h5repack -l %s:CHUNK=1000x%llu makes them smaller",
                       file->path, name, (unsigned long long)chunk[0], (unsigned long long)chunk[1], band / 1048576,
                       BAND_BYTES_MAX >> 20, name, (unsigned long long)array->width);
    }
#if H5_VERSION_GE(1, 10, 5)
    hsize_t written = 0;
    uint64_t wanted = across * pieces(array->rows, chunk[0]);
    if (H5Dget_num_chunks(array->dataset, array->space, &written) >= 0 && written < wanted) {
        return tq_fail(TQ_FORMAT, "%s: dataset %s claims %llu rows, but only %llu of its %llu chunks were written",
                       file->path, name, (unsigned long long)array->rows, (unsigned long long)written,
                       (unsigned long long)wanted);
    }
#endif
    if (band <= BLOCK_BYTES) {
        array->block_rows = chunk[0] * (uint64_t)(BLOCK_BYTES / band);
        return TQ_OK;
    }
    /* Chunks with the same slot would push each other out: a hundred slots for each, and a number without divisors. */
    size_t slots = tq_min_size((size_t)across * 100, SLOTS_MAX) | 1;
    (void)H5Pset_chunk_cache(file->access, slots, (size_t)band + BLOCK_BYTES, 1);
    (void)H5Dclose(array->dataset);
    array->dataset = H5Dopen2(file->file, name, file->access);
    (void)H5Pset_chunk_cache(file->access, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, H5D_CHUNK_CACHE_NBYTES_DEFAULT,
                             H5D_CHUNK_CACHE_W0_DEFAULT);
    return array->dataset >= 0 ? TQ_OK : fail_hdf5(file, "a dataset cannot be read");
}

/* What the header claims is there, and where. */
static enum tq_status check_storage(const struct tq_hdf5_file *file, const char *name, struct tq_hdf5_array *array,
                                    hid_t settings, size_t element_bytes) {
    H5D_layout_t layout = H5Pget_layout(settings);
    uint64_t elements = 0, bytes = 0;
    if (layout == H5D_VIRTUAL || H5Pget_external_count(settings) > 0) {
        return tq_fail(TQ_UNSUPPORTED, "%s: the data of dataset %s are in other files; h5repack puts them into one",
                       file->path, name);
    }
    if (array->rows == 0 || array->width == 0) return TQ_OK;
    bool absurd = __builtin_mul_overflow(array->rows, array->width, &elements) ||
                  __builtin_mul_overflow(elements, element_bytes, &bytes);
    if (!absurd && layout == H5D_CHUNKED) return plan_chunks(file, name, array, settings, element_bytes);
    if (!absurd && H5Dget_storage_size(array->dataset) >= bytes) return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: dataset %s claims %llu x %llu elements of %zu bytes, but has %llu bytes of data",
                   file->path, name, (unsigned long long)array->rows, (unsigned long long)array->width, element_bytes,
                   (unsigned long long)H5Dget_storage_size(array->dataset));
}

static enum tq_status open_array(const struct tq_hdf5_file *file, const char *name, struct tq_hdf5_array *array) {
    hid_t object = H5Oopen(file->file, name, file->access);
    if (object < 0) return fail_hdf5(file, "a dataset cannot be read");
    if (H5Iget_type(object) != H5I_DATASET) {
        (void)H5Oclose(object);
        return tq_fail(TQ_NOT_FOUND, "%s: %s is a group, not a dataset", file->path, name);
    }
    array->dataset = object;
    note_shape(array);
    if (!array->numeric || array->dimensions != 2) return TQ_OK;
    hid_t type = H5Dget_type(array->dataset), settings = H5Dget_create_plist(array->dataset);
    size_t element_bytes = H5Tget_size(type);
    enum tq_status status = check_storage(file, name, array, settings, element_bytes);
    (void)H5Pclose(settings);
    (void)H5Tclose(type);
    if (array->block_rows == 0 && array->width > 0)
        array->block_rows = tq_max_size(BLOCK_BYTES / sizeof(float) / array->width, 1);
    return status;
}

enum tq_status tq_hdf5_array_open(const struct tq_hdf5_file *file, const char *name, struct tq_hdf5_array *array) {
    struct call call = begin();
    *array = (struct tq_hdf5_array){.dataset = -1, .space = -1};
    enum tq_status status = open_array(file, name, array);
    end(&call);
    return status;
}

void tq_hdf5_array_close(struct tq_hdf5_array *array) {
    struct call call = begin();
    if (array->space > 0) (void)H5Sclose(array->space);
    if (array->dataset > 0) (void)H5Dclose(array->dataset);
    end(&call);
    tq_free(array->block);
    tq_free(array->halves);
}

/* ---- Rows ---- */

static enum tq_status read_block(const struct tq_hdf5_file *file, struct tq_hdf5_array *array,
                                 enum tq_hdf5_element element) {
    const hsize_t start[2] = {array->first, 0}, count[2] = {array->count, array->width};
    hid_t memory = H5Screate_simple(2, count, NULL), type = -1;
    if (array->half)
        type = H5Dget_type(array->dataset);
    else
        type = H5Tcopy(element == TQ_HDF5_F32     ? H5T_NATIVE_FLOAT
                       : element == TQ_HDF5_F32LE ? H5T_IEEE_F32LE
                                                  : H5T_STD_I32LE);
    bool whole = memory >= 0 && type >= 0 &&
                 H5Sselect_hyperslab(array->space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                 H5Dread(array->dataset, type, memory, array->space, H5P_DEFAULT,
                         array->half ? array->halves : array->block) >= 0;
    /* What has failed is forgotten with the next call. */
    enum tq_status status = whole ? TQ_OK : fail_hdf5(file, "data cannot be read");
    if (type >= 0) (void)H5Tclose(type);
    if (memory >= 0) (void)H5Sclose(memory);
    if (whole && array->half)
        tq_elements_to_f32(TQ_ELEMENT_F16, array->halves, array->count * array->width, array->block);
    return status;
}

static enum tq_status next_block(const struct tq_hdf5_file *file, struct tq_hdf5_array *array,
                                 enum tq_hdf5_element element, uint64_t row) {
    uint64_t rows = tq_min_size(array->block_rows, array->rows);
    if (array->block == NULL) array->block = tq_alloc_array(rows * array->width, sizeof(float));
    if (array->half && array->halves == NULL) array->halves = tq_alloc_array(rows * array->width, sizeof(uint16_t));
    if (array->block == NULL || (array->half && array->halves == NULL)) return TQ_NOMEM;
    array->first = row / array->block_rows * array->block_rows;
    array->count = tq_min_size(array->block_rows, array->rows - array->first);
    struct call call = begin();
    enum tq_status status = read_block(file, array, element);
    end(&call);
    if (status != TQ_OK) array->count = 0;
    return status;
}

enum tq_status tq_hdf5_array_row(const struct tq_hdf5_file *file, struct tq_hdf5_array *array,
                                 enum tq_hdf5_element element, uint64_t row, const void **elements) {
    if (row < array->first || row >= array->first + array->count) {
        TQ_TRY(next_block(file, array, element, row));
    }
    *elements = (const uint8_t *)array->block + (row - array->first) * array->width * sizeof(float);
    return TQ_OK;
}

/* ---- What there is ---- */

struct listing {
    const struct tq_hdf5_file *file;
    char *text, *only;
    size_t size, only_size;
    unsigned fitting, looked_at;
};

static void list_array(struct listing *listing, hid_t object, const char *name) {
    struct tq_hdf5_array array = {.dataset = object};
    char one[200];
    size_t used = strlen(listing->text);
    note_shape(&array);
    if (array.dimensions == 2)
        (void)snprintf(one, sizeof one, "%s%.100s %llu x %llu%s", used > 0 ? ", " : "", name,
                       (unsigned long long)array.rows, (unsigned long long)array.width,
                       array.numeric ? "" : " (no numbers)");
    else
        (void)snprintf(one, sizeof one, "%s%.100s with %d dimension%s", used > 0 ? ", " : "", name, array.dimensions,
                       array.dimensions == 1 ? "" : "s");
    if (used + strlen(one) < listing->size) memcpy(listing->text + used, one, strlen(one) + 1);
    (void)H5Sclose(array.space);
    if (array.dimensions != 2 || !array.numeric) return;
    bool kept = listing->fitting++ == 0 && strlen(name) < listing->only_size;
    (void)snprintf(listing->only, listing->only_size, "%s", kept ? name : "");
}

/* Links may lead in circles, and there may be millions. */
static void list_group(struct listing *listing, const char *group, int depth) {
    enum { DEPTH_MAX = 4, OBJECTS_MAX = 1000, NAME_MAX_BYTES = 300 };
    H5G_info_t info;
    hid_t access = listing->file->access;
    if (H5Gget_info_by_name(listing->file->file, group, &info, access) < 0) return;
    for (hsize_t i = 0; i < info.nlinks && listing->looked_at < OBJECTS_MAX; i++) {
        char name[NAME_MAX_BYTES], path[2 * NAME_MAX_BYTES];
        ssize_t size = H5Lget_name_by_idx(listing->file->file, group, H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name,
                                          access);
        listing->looked_at++;
        if (size <= 0 || size >= (ssize_t)sizeof name) continue;
        bool fits = (size_t)snprintf(path, sizeof path, "%s%s%s", depth == 0 ? "" : group, depth == 0 ? "" : "/",
                                     name) < NAME_MAX_BYTES;
        hid_t object = fits ? H5Oopen(listing->file->file, path, access) : -1;
        if (object < 0) continue;
        H5I_type_t type = H5Iget_type(object);
        if (type == H5I_DATASET) list_array(listing, object, path);
        if (type == H5I_GROUP && depth < DEPTH_MAX) list_group(listing, path, depth + 1);
        (void)H5Oclose(object);
    }
}

void tq_hdf5_list(const struct tq_hdf5_file *file, char *text, size_t size, char *only, size_t only_size) {
    struct listing listing = {.file = file, .text = text, .size = size, .only = only, .only_size = only_size};
    text[0] = only[0] = '\0';
    struct call call = begin();
    list_group(&listing, "/", 0);
    end(&call);
}
#endif
