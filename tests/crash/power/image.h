/* Contents of files as lists of pages, so that a thousand states of a file of 100 MiB cost little more than one. */
#ifndef TQ_POWER_IMAGE_H
#define TQ_POWER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define SECTOR 512u
#define SECTORS (PAGE / SECTOR)

/* A page's number: 0 is all zeros; with PAGE_PASSING one that lives until pages_forget(). */
typedef uint32_t page_id;
#define PAGE_PASSING (1u << 31)
#define PAGE_UNKNOWN UINT32_MAX

struct sum {
    uint64_t low, high;
};

struct image {
    uint64_t size;
    page_id *pages;
    size_t count, capacity;
    struct sum sum; /* of the pages and their places; right after image_settle() */
};

page_id page_keep(const uint8_t bytes[PAGE]); /* the same bytes have the same number */
const uint8_t *page_bytes(page_id page);
void pages_forget(void);

void image_copy(struct image *to, const struct image *from);
void image_free(struct image *image);
/* Sectors whose bit in `keep` is clear are left as they are; NULL: all are written. Bit 0 is the sector of `offset`. */
void image_write(struct image *image, uint64_t offset, const uint8_t *data, uint64_t size, const uint8_t *keep);
/* Whole pages at once. */
void image_set(struct image *image, uint64_t offset, const page_id *pages, size_t count);
void image_resize(struct image *image, uint64_t size);
/* keep: its pages stay for good, that is, the state of the disk; else they go with pages_forget(). */
void image_settle(struct image *image, bool keep);

#endif
