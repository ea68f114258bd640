/* Whether LMDB's own pages hang together: they carry no checksum, and LMDB believes whatever it finds in them.
 *
 * Reads the file itself, never a map, so that nothing here can fault. What passes can be read and written by LMDB
 * without a wrong address: every page that a snapshot reaches lies in the file, is what it is taken for, and is reached
 * once; keys ascend; free pages are free. The contents of values are not looked at: those have sums. */
#ifndef TQ_PAGE_TREE_H
#define TQ_PAGE_TREE_H

#include "src/base/base.h"

/* Before LMDB opens a file, which reads the two pages checked here as they are. TQ_FORMAT: no file of LMDB 0.9 with
 * this machine's pages; TQ_CORRUPT; TQ_IO. */
enum tq_status tq_page_tree_check_head(const char *file);

struct tq_page_tree {
    const char *file; /* for messages */
    int fd;
    uint64_t transaction; /* of the snapshot, which the caller's read transaction pins */
    bool values;          /* also read the first page of every value: one read each */
};

/* *gone: the snapshot's meta page was overwritten by others meanwhile, nothing was checked; take a newer one.
 * TQ_CORRUPT names the page and what is wrong with it; TQ_FORMAT: not our sub-databases; TQ_IO, TQ_NOMEM. */
enum tq_status tq_page_tree_check(const struct tq_page_tree *tree, bool *gone);

/* The address of page 0 in LMDB's map, from that of a small value. */
const uint8_t *tq_page_tree_map(const void *small_value, uint32_t page_bytes);

/* Whether the first page of a value has the header that it should: LMDB frees pages by it, and reads do not look. A
 * value that LMDB keeps within a page of its tree always passes. */
bool tq_page_tree_value_fits(const uint8_t *map, uint32_t page_bytes, const void *value, size_t size);

#endif
