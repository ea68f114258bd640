#include "src/io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/f16.h"

static enum tq_status map_file(const char *path, struct tq_npy *npy) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return tq_fail(errno == ENOENT ? TQ_NOT_FOUND : TQ_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        npy->map_bytes = (size_t)info.st_size;
        npy->map = mmap(NULL, npy->map_bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    (void)close(file);
    if (npy->map != NULL && npy->map != MAP_FAILED) return TQ_OK;
    npy->map = NULL;
    return tq_fail(TQ_FORMAT, "%s: not a regular file with contents", path);
}

/* The value of a key in the header's Python dict, or NULL. The header is copied and ends in NUL. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (at == NULL) return NULL;
    at += strlen(key);
    return at + strspn(at, " :");
}

static enum tq_status read_type(const char *path, const char *header, struct tq_npy *npy) {
    const char *type = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    if (type == NULL || order == NULL) return tq_fail(TQ_FORMAT, "%s: the header has no descr or fortran_order", path);
    static const struct {
        const char *name;
        uint32_t bytes;
    } known[] = {{"'<f2'", 2}, {"'<f4'", 4}, {"'<f8'", 8}};
    for (size_t i = 0; i < TQ_COUNT(known); i++) {
        if (strncmp(type, known[i].name, 5) == 0) npy->element_bytes = known[i].bytes;
    }
    if (npy->element_bytes == 0) {
        return tq_fail(TQ_FORMAT, "%s: elements are %.8s; they must be '<f2', '<f4' or '<f8'", path, type);
    }
    if (strncmp(order, "False", 5) != 0) {
        return tq_fail(TQ_FORMAT, "%s: Fortran order; save it with numpy.ascontiguousarray", path);
    }
    return TQ_OK;
}

static enum tq_status read_shape(const char *path, const char *header, struct tq_npy *npy) {
    const char *shape = value_of(header, "'shape'");
    if (shape == NULL || *shape != '(') return tq_fail(TQ_FORMAT, "%s: the header has no shape", path);
    char *end = NULL;
    errno = 0;
    unsigned long long rows = strtoull(shape + 1, &end, 10), dim = 1;
    const char *next = end + strspn(end, ", ");
    if (*next != ')')
        dim = strtoull(next, &end, 10);
    else
        end = (char *)next;
    end += strspn(end, ", ");
    if (errno != 0 || *end != ')' || shape[1] == '-' || *next == '-') {
        return tq_fail(TQ_FORMAT, "%s: shape %.40s; it must be (rows, dimensions)", path, shape);
    }
    if (dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s: %llu dimensions; there must be 1 to %d", path, dim, TQ_DIM_MAX);
    }
    npy->rows = rows;
    npy->dim = (uint32_t)dim;
    return TQ_OK;
}

static enum tq_status read_header(const char *path, struct tq_npy *npy) {
    const uint8_t *file = npy->map;
    if (npy->map_bytes < 12 || memcmp(file, "\x93NUMPY", 6) != 0 || file[6] < 1 || file[6] > 3) {
        return tq_fail(TQ_FORMAT, "%s: not a .npy file of version 1, 2 or 3", path);
    }
    size_t prefix = file[6] == 1 ? 10 : 12;
    size_t bytes = file[8] | (size_t)file[9] << 8;
    if (prefix == 12) bytes |= (size_t)file[10] << 16 | (size_t)file[11] << 24;
    char header[1024];
    if (bytes >= sizeof header || bytes > npy->map_bytes - prefix) {
        return tq_fail(TQ_FORMAT, "%s: a header of %zu bytes in a file of %zu; it may have %zu", path, bytes,
                       npy->map_bytes, sizeof header - 1);
    }
    memcpy(header, file + prefix, bytes);
    header[bytes] = '\0';
    TQ_TRY(read_type(path, header, npy));
    TQ_TRY(read_shape(path, header, npy));
    size_t have = npy->map_bytes - prefix - bytes, row_bytes = (size_t)npy->dim * npy->element_bytes;
    if (npy->rows != have / row_bytes || have % row_bytes != 0) {
        return tq_fail(TQ_FORMAT, "%s: the header says %llu x %u elements of %u bytes, the file holds %zu bytes", path,
                       (unsigned long long)npy->rows, npy->dim, npy->element_bytes, have);
    }
    npy->data = file + prefix + bytes;
    return TQ_OK;
}

enum tq_status tq_npy_open(const char *path, struct tq_npy *npy) {
    struct tq_npy made = {0};
    TQ_TRY(map_file(path, &made));
    enum tq_status status = read_header(path, &made);
    if (status != TQ_OK) {
        tq_npy_close(&made);
        return status;
    }
    *npy = made;
    return TQ_OK;
}

void tq_npy_close(struct tq_npy *npy) {
    if (npy->map != NULL) (void)munmap(npy->map, npy->map_bytes);
    npy->map = NULL;
}

void tq_npy_row(const struct tq_npy *npy, uint64_t row, float *vector) {
    const uint8_t *at = npy->data + row * npy->dim * npy->element_bytes;
    for (uint32_t i = 0; i < npy->dim; i++, at += npy->element_bytes) {
        uint16_t half;
        double wide;
        switch (npy->element_bytes) {
        case 2:
            memcpy(&half, at, sizeof half);
            vector[i] = tq_f32_from_f16(half);
            break;
        case 4: memcpy(&vector[i], at, sizeof vector[i]); break;
        default:
            memcpy(&wide, at, sizeof wide);
            vector[i] = (float)wide;
            break;
        }
    }
}
