#include "tests/crash/power/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK_PAGES 1024u
#define BLOCKS_MAX (1u << 14)
#define TABLE (1u << 22)

struct page_info {
    struct sum sum;
};

/* Pages in blocks, so that they stay where they are. */
struct pages {
    uint8_t *blocks[BLOCKS_MAX];
    struct page_info *info[BLOCKS_MAX];
    uint32_t count;
};

static struct pages kept = {.count = 1}, passing;
static uint32_t *table; /* page numbers by their sums, open addressing */

static void *must(void *memory) {
    if (memory == NULL) {
        (void)fputs("power: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static uint8_t *bytes_at(struct pages *pages, uint32_t index) {
    uint32_t block = index / BLOCK_PAGES;
    if (block >= BLOCKS_MAX) must(NULL);
    if (pages->blocks[block] == NULL) {
        pages->blocks[block] = must(calloc(BLOCK_PAGES, PAGE));
        pages->info[block] = must(calloc(BLOCK_PAGES, sizeof **pages->info));
    }
    return pages->blocks[block] + (size_t)(index % BLOCK_PAGES) * PAGE;
}

static struct page_info *info_at(struct pages *pages, uint32_t index) {
    return &pages->info[index / BLOCK_PAGES][index % BLOCK_PAGES];
}

const uint8_t *page_bytes(page_id page) {
    bool passes = (page & PAGE_PASSING) != 0;
    return bytes_at(passes ? &passing : &kept, page & ~PAGE_PASSING);
}

void pages_forget(void) { passing.count = 0; }

static bool is_zero(const uint8_t *bytes) {
    static const uint8_t zeros[PAGE];
    return memcmp(bytes, zeros, PAGE) == 0;
}

static struct sum sum_of(const uint8_t *bytes) {
    XXH128_hash_t hash = XXH3_128bits(bytes, PAGE);
    return (struct sum){hash.low64, hash.high64};
}

/* Its place in the table: that of the page with this sum, or a free one. */
static uint32_t *find(struct sum sum) {
    if (table == NULL) table = must(calloc(TABLE, sizeof *table));
    uint32_t at = (uint32_t)sum.low % TABLE;
    while (table[at] != 0) {
        struct sum there = info_at(&kept, table[at])->sum;
        if (there.low == sum.low && there.high == sum.high) break;
        at = (at + 1) % TABLE;
    }
    return &table[at];
}

page_id page_keep(const uint8_t bytes[PAGE]) {
    if (is_zero(bytes)) return 0;
    struct sum sum = sum_of(bytes);
    uint32_t *place = find(sum);
    if (*place != 0) return *place;
    if (kept.count > TABLE / 2) must(NULL);
    memcpy(bytes_at(&kept, kept.count), bytes, PAGE);
    info_at(&kept, kept.count)->sum = sum;
    *place = kept.count;
    return kept.count++;
}

/* ---- Sums of images: of each page with its place, added up, so that one page changed is one subtraction ---- */

static struct sum page_sum(page_id page) {
    bool passes = (page & PAGE_PASSING) != 0;
    return info_at(passes ? &passing : &kept, page & ~PAGE_PASSING)->sum;
}

static struct sum placed(struct sum sum, size_t place) {
    XXH128_hash_t hash = XXH128(&sum, sizeof sum, place);
    return (struct sum){hash.low64, hash.high64};
}

static void sum_add(struct image *image, size_t place) {
    struct sum sum = placed(page_sum(image->pages[place]), place);
    image->sum.low += sum.low;
    image->sum.high += sum.high;
}

/* The page's own sum is not known while it is being written: such a page counts from image_settle() on. */
static void sum_remove(struct image *image, size_t place) {
    page_id page = image->pages[place];
    if (page == 0 || (page & PAGE_PASSING) != 0) return;
    struct sum sum = placed(page_sum(page), place);
    image->sum.low -= sum.low;
    image->sum.high -= sum.high;
}

/* ---- Changing images ---- */

static void reserve(struct image *image, size_t count) {
    if (count <= image->count) return;
    if (count > image->capacity) {
        image->capacity = count + count / 2 + 64;
        image->pages = must(realloc(image->pages, image->capacity * sizeof *image->pages));
    }
    memset(image->pages + image->count, 0, (count - image->count) * sizeof *image->pages);
    image->count = count;
}

void image_copy(struct image *to, const struct image *from) {
    to->count = 0;
    reserve(to, from->count);
    if (from->count != 0) memcpy(to->pages, from->pages, from->count * sizeof *from->pages);
    to->size = from->size;
    to->sum = from->sum;
}

void image_free(struct image *image) {
    free(image->pages);
    *image = (struct image){0};
}

/* A page that may be written into. */
static uint8_t *open_page(struct image *image, size_t place) {
    page_id page = image->pages[place];
    if ((page & PAGE_PASSING) != 0) return bytes_at(&passing, page & ~PAGE_PASSING);
    sum_remove(image, place);
    uint8_t *bytes = bytes_at(&passing, passing.count);
    if (page == 0)
        memset(bytes, 0, PAGE);
    else
        memcpy(bytes, page_bytes(page), PAGE);
    image->pages[place] = PAGE_PASSING | passing.count++;
    return bytes;
}

static void write_some(struct image *image, uint64_t offset, const uint8_t *data, uint64_t size) {
    if (offset + size > image->size) image_resize(image, offset + size);
    while (size > 0) {
        uint64_t inside = offset % PAGE, part = PAGE - inside < size ? PAGE - inside : size;
        memcpy(open_page(image, offset / PAGE) + inside, data, part);
        offset += part;
        data += part;
        size -= part;
    }
}

void image_write(struct image *image, uint64_t offset, const uint8_t *data, uint64_t size, const uint8_t *keep) {
    if (keep == NULL) {
        write_some(image, offset, data, size);
        return;
    }
    for (uint64_t at = offset; at < offset + size;) {
        uint64_t end = (at / SECTOR + 1) * SECTOR, sector = at / SECTOR - offset / SECTOR;
        if (end > offset + size) end = offset + size;
        if ((keep[sector / 8] >> (sector % 8) & 1) != 0) write_some(image, at, data + (at - offset), end - at);
        at = end;
    }
}

void image_set(struct image *image, uint64_t offset, const page_id *pages, size_t count) {
    size_t first = offset / PAGE;
    if (offset + count * PAGE > image->size) image_resize(image, offset + count * PAGE);
    for (size_t i = 0; i < count; i++) {
        if (image->pages[first + i] == pages[i]) continue;
        sum_remove(image, first + i);
        image->pages[first + i] = pages[i];
        if (pages[i] != 0) sum_add(image, first + i);
    }
}

void image_resize(struct image *image, uint64_t size) {
    size_t count = (size + PAGE - 1) / PAGE;
    if (size < image->size) {
        for (size_t i = count; i < image->count; i++) sum_remove(image, i);
        if (count < image->count) image->count = count;
        if (size % PAGE != 0) memset(open_page(image, count - 1) + size % PAGE, 0, PAGE - size % PAGE);
    }
    reserve(image, count);
    image->size = size;
}

static page_id settle(page_id page, bool keep) {
    uint8_t *bytes = bytes_at(&passing, page & ~PAGE_PASSING);
    if (keep) return page_keep(bytes);
    if (is_zero(bytes)) return 0;
    struct sum sum = sum_of(bytes);
    uint32_t same = *find(sum);
    info_at(&passing, page & ~PAGE_PASSING)->sum = sum;
    return same != 0 ? same : page;
}

void image_settle(struct image *image, bool keep) {
    for (size_t i = 0; i < image->count; i++) {
        if ((image->pages[i] & PAGE_PASSING) == 0) continue;
        image->pages[i] = settle(image->pages[i], keep);
        if (image->pages[i] != 0) sum_add(image, i);
    }
}
