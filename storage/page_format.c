#include "storage/page_format.h"

#include <string.h>

#define PAGE_BYTES_MAX 32768u /* LMDB's limit */
#define HEAD_BYTES ((uint32_t)sizeof(struct tq_page_head))

struct node_head {
    uint16_t low, high, flags, key_size; /* low and high: size of the data, or with flags the number of the child */
};

bool tq_page_mark(uint64_t *bits, uint64_t first, uint64_t count) {
    bool all_new = true;
    while (count > 0) {
        uint64_t shift = first % 64, run = count < 64 - shift ? count : 64 - shift;
        uint64_t mask = (run == 64 ? UINT64_MAX : ((uint64_t)1 << run) - 1) << shift;
        all_new = all_new && (bits[first / 64] & mask) == 0;
        bits[first / 64] |= mask;
        first += run;
        count -= run;
    }
    return all_new;
}

static struct tq_page_head head_of(const uint8_t *page) {
    struct tq_page_head head;
    memcpy(&head, page, sizeof head);
    return head;
}

static uint32_t offset_of(const uint8_t *page, uint32_t entry) {
    uint16_t offset;
    memcpy(&offset, page + HEAD_BYTES + entry * sizeof offset, sizeof offset);
    return offset;
}

uint32_t tq_page_entries(const uint8_t *page) { return (head_of(page).lower - HEAD_BYTES) / 2u; }

struct tq_page_node tq_page_node_at(const uint8_t *page, uint32_t entry, bool leaf) {
    struct node_head head;
    struct tq_page_node node = {.key = page + offset_of(page, entry) + sizeof head};
    memcpy(&head, node.key - sizeof head, sizeof head);
    uint32_t number = head.low | (uint32_t)head.high << 16;
    node.key_size = head.key_size;
    node.data = node.key + head.key_size;
    node.data_size = leaf ? number : 0;
    node.flags = leaf ? head.flags : 0;
    node.child = leaf ? 0 : number | (uint64_t)head.flags << 32;
    return node;
}

/* Bytes of an entry, a multiple of 2 as LMDB keeps them. */
static uint64_t node_bytes(const struct tq_page_node *node) {
    uint64_t data = (node->flags & TQ_NODE_RUN) != 0 ? sizeof(uint64_t) : node->data_size;
    return tq_round_up(sizeof(struct node_head) + node->key_size + data, 2);
}

const char *tq_page_check(const uint8_t *page, uint32_t page_bytes, uint64_t number, bool leaf) {
    uint64_t taken[PAGE_BYTES_MAX / 2 / 64] = {0};
    struct tq_page_head head = head_of(page);
    if (head.number != number) return "it has the number of another page";
    if (head.flags != (leaf ? TQ_PAGE_LEAF : TQ_PAGE_BRANCH)) return leaf ? "it is no leaf" : "it is no branch";
    if (head.lower < HEAD_BYTES || head.lower % 2 != 0 || head.upper % 2 != 0 || head.lower > head.upper ||
        head.upper > page_bytes || page_bytes > PAGE_BYTES_MAX)
        return "its bounds are wrong";
    if (head.lower == HEAD_BYTES) return "it is empty";
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < tq_page_entries(page); i++) {
        uint32_t offset = offset_of(page, i);
        if (offset % 2 != 0 || offset < head.upper || offset + sizeof(struct node_head) > page_bytes)
            return "an entry lies outside";
        struct tq_page_node node = tq_page_node_at(page, i, leaf);
        uint64_t size = node_bytes(&node);
        if (size > page_bytes - offset) return "an entry is too long";
        if (!tq_page_mark(taken, offset / 2, size / 2)) return "two entries overlap";
        bytes += size;
    }
    return bytes == page_bytes - head.upper ? NULL : "its entries leave gaps";
}
