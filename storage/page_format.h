/* The pages of a file of LMDB 0.9, data version 1, on a machine of 64 bits: only what page_tree.c needs of them. */
#ifndef TQ_PAGE_FORMAT_H
#define TQ_PAGE_FORMAT_H

#include "src/base/base.h"

#define TQ_META_PAGES 2u /* pages 0 and 1; transaction t writes page t % 2 */
#define TQ_META_MAGIC 0xbeefc0deu
#define TQ_META_VERSION 1u
#define TQ_NO_ROOT UINT64_MAX

enum tq_page_flags { TQ_PAGE_BRANCH = 1, TQ_PAGE_LEAF = 2, TQ_PAGE_RUN = 4, TQ_PAGE_META = 8 };
enum tq_node_flags { TQ_NODE_RUN = 1, TQ_NODE_NAMED = 2 }; /* data is a page number; a sub-database's record */
enum { TQ_TREE_NUMBERS = 8 };                              /* flag of a tree whose keys are numbers */

struct tq_page_head {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    uint16_t lower, upper; /* where the free space of a tree's page begins and ends; together the length of a run */
};
_Static_assert(sizeof(struct tq_page_head) == 16, "LMDB's layout");

struct __attribute__((packed)) tq_tree_record { /* values of a page may lie anywhere */
    uint32_t page_bytes;                        /* of the tree of free pages; 0 of others */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, run_pages, entries, root;
};
_Static_assert(sizeof(struct tq_tree_record) == 48, "LMDB's layout");

struct tq_meta_page {
    struct tq_page_head head;
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct tq_tree_record free_tree, main;
    uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct tq_meta_page) == 152, "LMDB's layout");

/* An entry of a tree's page. */
struct tq_page_node {
    const uint8_t *key, *data;
    size_t key_size;
    uint32_t data_size; /* leaf; with TQ_NODE_RUN that of the value, whose first page's number is the data */
    uint16_t flags;     /* leaf */
    uint64_t child;     /* branch */
};

/* Number of pages of a run, by its head; those that a value of this size needs. */
static inline uint32_t tq_page_head_run(const struct tq_page_head *head) {
    return head->lower | (uint32_t)head->upper << 16;
}
static inline uint64_t tq_page_run(uint64_t size, uint32_t page_bytes) {
    return (sizeof(struct tq_page_head) + size - 1) / page_bytes + 1;
}

/* Whether LMDB gives a value with a key of 8 bytes pages of its own. */
static inline bool tq_page_has_run(uint64_t size, uint32_t page_bytes) {
    uint32_t most = ((page_bytes - 16) / 2 & ~1u) - 2;
    return 8 + sizeof(uint64_t) + size > most;
}

/* NULL if this is page `number` of a tree, a branch or a leaf, and its entries fill what it says they fill, without
 * gap or overlap: then they can be read. Else what is wrong with it. */
const char *tq_page_check(const uint8_t *page, uint32_t page_bytes, uint64_t number, bool leaf);
uint32_t tq_page_entries(const uint8_t *page);
struct tq_page_node tq_page_node_at(const uint8_t *page, uint32_t entry, bool leaf);

/* Set `count` bits from `first` on; false if one of them was set. */
bool tq_page_mark(uint64_t *bits, uint64_t first, uint64_t count);

#endif
