#include "src/io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/npy_header.h"

static enum tq_status map_file(const char *path, struct tq_npy *npy) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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

static enum tq_status read_header(const char *path, struct tq_npy *npy) {
    struct tq_npy_header header;
    TQ_TRY(tq_npy_header_read(path, npy->map, tq_min_size(npy->map_bytes, TQ_NPY_HEAD_BYTES), npy->map_bytes, &header));
    TQ_TRY(tq_npy_header_vectors(path, &header, npy->map_bytes, &npy->element, &npy->dim));
    npy->rows = header.shape[0];
    npy->data = (const uint8_t *)npy->map + header.start;
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
    tq_elements_to_f32(npy->element, npy->data + row * npy->dim * tq_element_bytes(npy->element), npy->dim, vector);
}
