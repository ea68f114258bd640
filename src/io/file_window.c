#include "src/io/file_window.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"

enum { BLOCK_BYTES = 1 << 18 }; /* in the cache still when its rows are converted; from 1 MiB on it is slower */

void tq_file_window_init(struct tq_file_window *window) { *window = (struct tq_file_window){.file = -1}; }

enum tq_status tq_file_window_open(struct tq_file_window *window, const char *path) {
    struct stat info = {0};
    tq_file_window_init(window);
    /* Opening a pipe without a writer would wait for one. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return tq_fail(errno == ENOENT ? TQ_NOT_FOUND : TQ_IO, "%s: %s", path, strerror(errno));
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        (void)close(file);
        return tq_fail(TQ_FORMAT, "%s: not a regular file", path);
    }
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    *window = (struct tq_file_window){.path = path, .file = file, .size = (uint64_t)info.st_size};
    return TQ_OK;
}

void tq_file_window_close(struct tq_file_window *window) {
    if (window->file >= 0) (void)close(window->file);
    tq_free(window->block);
    tq_file_window_init(window);
}

static enum tq_status make_room(struct tq_file_window *window, size_t size) {
    size_t wanted = tq_max_size(size, (size_t)tq_min_size(BLOCK_BYTES, window->size));
    if (window->block != NULL && window->room >= wanted) return TQ_OK;
    uint8_t *block = tq_alloc(wanted);
    if (block == NULL) return TQ_NOMEM;
    tq_free(window->block);
    window->block = block;
    window->room = wanted;
    return TQ_OK;
}

/* As many bytes at `offset` as the block holds and the file has. */
static enum tq_status fill(struct tq_file_window *window, uint64_t offset) {
    window->start = offset;
    window->have = 0;
    while (window->have < window->room) {
        ssize_t got = pread(window->file, window->block + window->have, window->room - window->have,
                            (off_t)(offset + window->have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tq_fail(TQ_IO, "%s: %s", window->path, strerror(errno));
        if (got == 0) break;
        window->have += (size_t)got;
    }
    return TQ_OK;
}

enum tq_status tq_file_window_get(struct tq_file_window *window, uint64_t offset, size_t size, const uint8_t **bytes) {
    bool there = window->block != NULL && offset >= window->start && offset - window->start <= window->have &&
                 size <= window->have - (offset - window->start);
    if (!there) {
        if (offset > window->size || size > window->size - offset) {
            return tq_fail(TQ_FORMAT, "%s: %llu bytes, cut off before byte %llu", window->path,
                           (unsigned long long)window->size, (unsigned long long)offset + size);
        }
        TQ_TRY(make_room(window, size));
        TQ_TRY(fill(window, offset));
        if (window->have < size) {
            return tq_fail(TQ_FORMAT, "%s: %llu bytes when it was opened, cut off at byte %llu since", window->path,
                           (unsigned long long)window->size, (unsigned long long)(offset + window->have));
        }
    }
    *bytes = window->block + (offset - window->start);
    return TQ_OK;
}
