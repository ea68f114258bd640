/* A regular file, read through one block of memory: what lies far apart or is large costs no more memory than that, and
 * a file that is cut off while it is read is an error, where a mapping would be the end of the process. As fast as a
 * mapping, which pays for its pages. */
#ifndef TQ_FILE_WINDOW_H
#define TQ_FILE_WINDOW_H

#include "src/base/base.h"

struct tq_file_window {
    const char *path; /* borrowed */
    int file;         /* as tq_file_window_init() has it: -1 */
    uint64_t size;    /* of the file when it was opened */
    uint8_t *block;
    size_t room, have; /* bytes of the block: allocated, and read */
    uint64_t start;    /* where the block lies in the file */
};

/* Closed: closing it does nothing. */
void tq_file_window_init(struct tq_file_window *window);

/* TQ_NOT_FOUND, TQ_IO; TQ_FORMAT: not a regular file. On failure it is closed. */
enum tq_status tq_file_window_open(struct tq_file_window *window, const char *path);
void tq_file_window_close(struct tq_file_window *window);

/* `size` bytes at `offset`, unaligned, valid until the next call. TQ_FORMAT: the file ends before them. */
enum tq_status tq_file_window_get(struct tq_file_window *window, uint64_t offset, size_t size, const uint8_t **bytes);

#endif
