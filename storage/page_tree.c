#include "storage/page_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "storage/page_format.h"

#define PAGES_MAX ((uint64_t)1 << 28) /* a terabyte of small ones: more is never mapped */
#define LEVELS_MAX 32u                /* LMDB's */
#define VERSION_OF_LMDB_1 2u
#define ANY_MEDIUM 0x4000u /* a flag of the tree of free pages, set by some copying programs and never read */

enum kind { MAIN, VALUES, RECORDS, FREE };

static const struct {
    const char *name;
    uint16_t flags;
} kinds[] = {
    [MAIN] = {"main", 0},
    [VALUES] = {"val", TQ_TREE_NUMBERS},
    [RECORDS] = {"meta", 0},
    [FREE] = {"free pages", TQ_TREE_NUMBERS},
};

struct walk {
    const struct tq_page_tree *source;
    uint32_t page_bytes;
    uint64_t pages;      /* of the snapshot: its last one + 1 */
    uint64_t file_pages; /* whole ones */
    uint64_t *reached;   /* bit a page */
};

/* One B-tree while it is walked, in the order of its keys. */
struct tree {
    struct walk *walk;
    enum kind kind;
    struct tq_tree_record record; /* what it says of itself */
    struct tq_tree_record found;
    uint8_t *pages; /* one a level */
    uint64_t *list; /* FREE: a page's length of page numbers */
    uint8_t last_key[8];
    size_t last_size;
    bool last_was_separator;       /* the next key may equal it */
    struct tq_tree_record *values; /* MAIN: what its entries say */
    struct tq_tree_record *records;
};

static enum tq_status damaged(const struct walk *walk, uint64_t page, const char *what) {
    return tq_fail(TQ_CORRUPT, "%s, page %llu: %s", walk->source->file, (unsigned long long)page, what);
}

static enum tq_status cut_off(const struct walk *walk, uint64_t page) {
    return tq_fail(TQ_CORRUPT, "%s is cut off: it has %llu whole pages and needs page %llu", walk->source->file,
                   (unsigned long long)walk->file_pages, (unsigned long long)page);
}

/* ---- Reading ---- */

/* Fewer bytes than asked for at the end of the file only. */
static enum tq_status read_at(const char *file, int fd, void *bytes, size_t size, uint64_t offset, size_t *done) {
    for (*done = 0; *done < size;) {
        ssize_t got = pread(fd, (uint8_t *)bytes + *done, size - *done, (off_t)(offset + *done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tq_fail(TQ_IO, "read %s: %s", file, strerror(errno));
        if (got == 0) break;
        *done += (size_t)got;
    }
    return TQ_OK;
}

static enum tq_status read_pages(const struct walk *walk, uint64_t page, uint64_t offset, void *bytes, size_t size) {
    size_t done = 0;
    uint64_t from = page * walk->page_bytes + offset;
    TQ_TRY(read_at(walk->source->file, walk->source->fd, bytes, size, from, &done));
    return done == size ? TQ_OK : cut_off(walk, page);
}

/* ---- Pages, each reached once ---- */

static enum tq_status reach(struct walk *walk, uint64_t page, uint64_t count) {
    if (page < TQ_META_PAGES || page >= walk->pages || count > walk->pages - page)
        return tq_fail(TQ_CORRUPT, "%s: an entry names %llu pages from page %llu on; the last one is %llu",
                       walk->source->file, (unsigned long long)count, (unsigned long long)page,
                       (unsigned long long)walk->pages - 1);
    if (page + count > walk->file_pages) return cut_off(walk, page + count - 1);
    return tq_page_mark(walk->reached, page, count) ? TQ_OK : damaged(walk, page, "it is used twice");
}

/* LMDB does not write pages that it takes and frees in one transaction: free ones may lie beyond the end of the file,
 * and nothing else may. */
static enum tq_status check_end(const struct walk *walk) {
    for (uint64_t page = walk->file_pages; page < walk->pages; page++)
        if ((walk->reached[page / 64] >> page % 64 & 1) == 0) return cut_off(walk, page);
    return TQ_OK;
}

/* ---- Keys ---- */

static int compare_keys(const struct tree *tree, const struct tq_page_node *node) {
    uint64_t number, last;
    if (kinds[tree->kind].flags == TQ_TREE_NUMBERS) {
        memcpy(&number, node->key, sizeof number);
        memcpy(&last, tree->last_key, sizeof last);
        return number < last ? -1 : number > last;
    }
    int order = memcmp(node->key, tree->last_key, tq_min_size(node->key_size, tree->last_size));
    return order != 0 ? order : node->key_size < tree->last_size ? -1 : node->key_size > tree->last_size;
}

static bool key_size_fits(enum kind kind, size_t size) {
    switch (kind) {
    case MAIN: return size == 3 || size == 4;
    case RECORDS: return size == 3 || size == 5;
    default: return size == sizeof(uint64_t);
    }
}

static enum tq_status check_key(struct tree *tree, uint64_t page, const struct tq_page_node *node, bool separator) {
    if (!key_size_fits(tree->kind, node->key_size)) return damaged(tree->walk, page, "a key has the wrong length");
    int order = tree->last_size == 0 ? 1 : compare_keys(tree, node);
    bool may_equal = tree->last_was_separator && !separator;
    if (order < 0 || (order == 0 && !may_equal)) return damaged(tree->walk, page, "its keys do not ascend");
    memcpy(tree->last_key, node->key, node->key_size);
    tree->last_size = node->key_size;
    tree->last_was_separator = separator;
    return TQ_OK;
}

/* ---- Entries of leaves ---- */

/* A value in pages of its own; *first is the first of them. */
static enum tq_status check_run(struct tree *tree, const struct tq_page_node *node, uint64_t *first) {
    struct walk *walk = tree->walk;
    struct tq_page_head head = {.number = 0};
    uint64_t count = tq_page_run(node->data_size, walk->page_bytes);
    bool look = tree->kind == FREE || walk->source->values;
    memcpy(first, node->data, sizeof *first);
    if (look && *first < walk->file_pages) TQ_TRY(read_pages(walk, *first, 0, &head, sizeof head));
    /* LMDB writes a shorter list of free pages over a longer one and leaves the run as it is. */
    if (tree->kind == FREE && tq_page_head_run(&head) > count) count = tq_page_head_run(&head);
    TQ_TRY(reach(walk, *first, count));
    if (look && (head.number != *first || head.flags != TQ_PAGE_RUN || tq_page_head_run(&head) != count))
        return damaged(walk, *first, "it is not the first page of a value");
    tree->found.run_pages += count;
    return TQ_OK;
}

static enum tq_status check_value(struct tree *tree, uint64_t page, const struct tq_page_node *node) {
    uint64_t first = 0;
    bool run = tree->kind == VALUES && tq_page_has_run(node->data_size, tree->walk->page_bytes);
    if (node->flags != (run ? TQ_NODE_RUN : 0)) return damaged(tree->walk, page, "an entry has wrong flags");
    return run ? check_run(tree, node, &first) : TQ_OK;
}

static enum tq_status check_name(struct tree *tree, uint64_t page, const struct tq_page_node *node) {
    bool values = node->key_size == 3;
    if (memcmp(node->key, kinds[values ? VALUES : RECORDS].name, node->key_size) != 0)
        return damaged(tree->walk, page, "it names a sub-database that is not ours");
    if (node->flags != TQ_NODE_NAMED || node->data_size != sizeof(struct tq_tree_record))
        return damaged(tree->walk, page, "an entry is no sub-database");
    memcpy(values ? tree->values : tree->records, node->data, sizeof(struct tq_tree_record));
    return TQ_OK;
}

/* Numbers of free pages, descending; *above is the one before. */
static enum tq_status check_free(struct tree *tree, uint64_t page, const uint64_t *numbers, size_t count,
                                 uint64_t *above) {
    struct walk *walk = tree->walk;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < TQ_META_PAGES || numbers[i] >= *above)
            return damaged(walk, page, "a list of free pages in it is out of order or range");
        if (!tq_page_mark(walk->reached, numbers[i], 1))
            return damaged(walk, numbers[i], "it is in use, or free twice");
        *above = numbers[i];
    }
    return TQ_OK;
}

/* The pages that one transaction freed: their count, then their numbers. */
static enum tq_status check_list(struct tree *tree, uint64_t page, const struct tq_page_node *node) {
    struct walk *walk = tree->walk;
    uint64_t transaction, first = 0, left = 0, above = walk->pages;
    memcpy(&transaction, node->key, sizeof transaction);
    if (transaction == 0 || transaction > walk->source->transaction)
        return damaged(walk, page, "it lists pages freed by a transaction that never was");
    if ((node->flags & ~TQ_NODE_RUN) != 0 || node->data_size % 8 != 0 || node->data_size == 0)
        return damaged(walk, page, "an entry is no list of free pages");
    if (node->flags != 0) TQ_TRY(check_run(tree, node, &first));
    for (uint64_t at = 0; at == 0 || left > 0; at += walk->page_bytes) {
        size_t size = tq_min_size(walk->page_bytes, node->data_size - at), skip = at == 0;
        if (first == 0)
            memcpy(tree->list, node->data + at, size);
        else
            TQ_TRY(read_pages(walk, first, sizeof(struct tq_page_head) + at, tree->list, size));
        if (at == 0) left = tree->list[0];
        if (at == 0 && left > node->data_size / 8 - 1) return damaged(walk, page, "a list of free pages is too long");
        size_t count = tq_min_size(left, size / 8 - skip);
        TQ_TRY(check_free(tree, page, tree->list + skip, count, &above));
        left -= count;
    }
    return TQ_OK;
}

static enum tq_status check_entry(struct tree *tree, uint64_t page, const struct tq_page_node *node) {
    TQ_TRY(check_key(tree, page, node, false));
    switch (tree->kind) {
    case MAIN: return check_name(tree, page, node);
    case FREE: return check_list(tree, page, node);
    default: return check_value(tree, page, node);
    }
}

/* ---- Trees ---- */

/* No deeper than LEVELS_MAX, and no page twice. */
static enum tq_status check_page(struct tree *tree, uint64_t number, unsigned level) {
    struct walk *walk = tree->walk;
    uint8_t *page = tree->pages + (size_t)level * walk->page_bytes;
    bool leaf = level + 1u == tree->record.depth;
    TQ_TRY(reach(walk, number, 1));
    TQ_TRY(read_pages(walk, number, 0, page, walk->page_bytes));
    const char *wrong = tq_page_check(page, walk->page_bytes, number, leaf);
    if (wrong != NULL) return damaged(walk, number, wrong);
    uint32_t entries = tq_page_entries(page);
    tree->found.leaf_pages += leaf;
    tree->found.branch_pages += !leaf;
    tree->found.entries += leaf ? entries : 0;
    /* LMDB ends the program at a branch of one; its tree of free pages may have such. */
    if (!leaf && entries < 2 && tree->kind != FREE) return damaged(walk, number, "it is a branch with one child");
    for (uint32_t i = 0; i < entries; i++) {
        struct tq_page_node node = tq_page_node_at(page, i, leaf);
        if (leaf) {
            TQ_TRY(check_entry(tree, number, &node));
            continue;
        }
        if (i > 0) TQ_TRY(check_key(tree, number, &node, true)); /* LMDB never looks at the first */
        TQ_TRY(check_page(tree, node.child, level + 1));
    }
    return TQ_OK;
}

static enum tq_status check_record(const struct tree *tree) {
    const struct tq_tree_record *record = &tree->record;
    uint16_t flags = record->flags & (uint16_t) ~(tree->kind == FREE ? ANY_MEDIUM : 0);
    bool empty = record->root == TQ_NO_ROOT;
    uint64_t sum = record->branch_pages | record->leaf_pages | record->run_pages | record->entries | record->depth;
    if (record->page_bytes == (tree->kind == FREE ? tree->walk->page_bytes : 0) && flags == kinds[tree->kind].flags &&
        record->depth <= LEVELS_MAX && (empty ? sum == 0 : record->depth > 0))
        return TQ_OK;
    return tq_fail(TQ_CORRUPT, "%s: the record of tree \"%s\" is damaged", tree->walk->source->file,
                   kinds[tree->kind].name);
}

static enum tq_status check_tree(struct tree *tree) {
    const struct tq_tree_record *record = &tree->record, *found = &tree->found;
    TQ_TRY(check_record(tree));
    if (record->root == TQ_NO_ROOT) return TQ_OK;
    tree->pages = tq_alloc_array(record->depth + 1u, tree->walk->page_bytes);
    if (tree->pages == NULL) return TQ_NOMEM;
    tree->list = (void *)(tree->pages + (size_t)record->depth * tree->walk->page_bytes);
    enum tq_status status = check_page(tree, record->root, 0);
    tq_free(tree->pages);
    TQ_TRY(status);
    if (record->branch_pages == found->branch_pages && record->leaf_pages == found->leaf_pages &&
        record->run_pages == found->run_pages && record->entries == found->entries)
        return TQ_OK;
    return tq_fail(TQ_CORRUPT, "%s: the record of tree \"%s\" does not count what is in it", tree->walk->source->file,
                   kinds[tree->kind].name);
}

static enum tq_status check_trees(struct walk *walk, const struct tq_meta_page *meta) {
    struct tq_tree_record values = {0}, records = {0};
    struct tree main = {.walk = walk, .kind = MAIN, .record = meta->main, .values = &values, .records = &records};
    if (meta->main.depth != 1 || meta->main.entries != 2)
        return tq_fail(TQ_FORMAT, "%s: its main tree is not that of a store of tqlite", walk->source->file);
    TQ_TRY(check_tree(&main));
    TQ_TRY(check_tree(&(struct tree){.walk = walk, .kind = VALUES, .record = values}));
    TQ_TRY(check_tree(&(struct tree){.walk = walk, .kind = RECORDS, .record = records}));
    TQ_TRY(check_tree(&(struct tree){.walk = walk, .kind = FREE, .record = meta->free_tree}));
    return check_end(walk);
}

/* ---- Meta pages ---- */

/* Both, and the one that is asked for twice: what changed meanwhile is not believed. */
static enum tq_status read_metas(const struct tq_page_tree *tree, uint32_t page_bytes, struct tq_meta_page *own,
                                 struct tq_meta_page *other, bool *gone) {
    struct tq_meta_page again;
    uint64_t place = tree->transaction % 2 * page_bytes;
    size_t size = sizeof *own, done[3] = {0};
    TQ_TRY(read_at(tree->file, tree->fd, own, size, place, &done[0]));
    TQ_TRY(read_at(tree->file, tree->fd, other, size, page_bytes - place, &done[1]));
    TQ_TRY(read_at(tree->file, tree->fd, &again, size, place, &done[2]));
    if (done[0] + done[1] + done[2] != 3 * size) return tq_fail(TQ_CORRUPT, "%s is cut off", tree->file);
    *gone = own->transaction != tree->transaction || memcmp(own, &again, size) != 0;
    return TQ_OK;
}

enum tq_status tq_page_tree_check(const struct tq_page_tree *tree, bool *gone) {
    struct tq_meta_page own, other;
    struct walk walk = {.source = tree, .page_bytes = (uint32_t)sysconf(_SC_PAGESIZE)};
    struct stat st;
    TQ_TRY(read_metas(tree, walk.page_bytes, &own, &other, gone));
    if (*gone) return TQ_OK;
    if (other.transaction + 1 != own.transaction && other.transaction != own.transaction + 1)
        return tq_fail(TQ_CORRUPT, "%s: its meta pages are of transactions %llu and %llu", tree->file,
                       (unsigned long long)own.transaction, (unsigned long long)other.transaction);
    if (own.last_page < TQ_META_PAGES - 1 || own.last_page >= PAGES_MAX) /* again: it is another one now */
        return tq_fail(TQ_CORRUPT, "%s: its last page is page %llu", tree->file, (unsigned long long)own.last_page);
    if (fstat(tree->fd, &st) != 0) return tq_fail(TQ_IO, "stat %s: %s", tree->file, strerror(errno));
    walk.pages = own.last_page + 1;
    walk.file_pages = (uint64_t)st.st_size / walk.page_bytes;
    walk.reached = tq_alloc_zero((walk.pages + 63) / 64 * sizeof *walk.reached);
    if (walk.reached == NULL) return TQ_NOMEM;
    enum tq_status status = check_trees(&walk, &own);
    tq_free(walk.reached);
    return status;
}

static enum tq_status check_meta(const char *file, unsigned page, const struct tq_meta_page *meta,
                                 uint32_t page_bytes) {
    const char *wrong = NULL;
    if (meta->head.number != page || meta->head.flags != TQ_PAGE_META || meta->magic != TQ_META_MAGIC)
        wrong = "it is no meta page";
    else if (meta->free_tree.page_bytes != page_bytes)
        wrong = "its page size is not that of page 0";
    else if (meta->transaction > INT64_MAX || (meta->transaction > 0 && meta->transaction % 2 != page))
        wrong = "its transaction belongs on the other meta page";
    else if (meta->last_page >= PAGES_MAX) /* LMDB would map them all */
        wrong = "the number of its last page is too large";
    return wrong == NULL ? TQ_OK : tq_fail(TQ_CORRUPT, "%s, page %u: %s", file, page, wrong);
}

static enum tq_status check_kind(const char *file, const struct tq_meta_page *meta, size_t size) {
    uint32_t newer_magic = 0, page_bytes = meta->free_tree.page_bytes, own = (uint32_t)sysconf(_SC_PAGESIZE);
    memcpy(&newer_magic, (const uint8_t *)meta + sizeof meta->head + 8, sizeof newer_magic);
    bool newer = newer_magic == TQ_META_MAGIC || (meta->magic == TQ_META_MAGIC && meta->version == VERSION_OF_LMDB_1);
    if (newer) return tq_fail(TQ_FORMAT, "%s is a file of LMDB 1.0; this library reads those of LMDB 0.9", file);
    if (meta->magic != TQ_META_MAGIC) return tq_fail(TQ_FORMAT, "%s is not an LMDB file", file);
    if (size < sizeof *meta) return tq_fail(TQ_CORRUPT, "%s is cut off: it has %zu bytes", file, size);
    if (meta->version != TQ_META_VERSION)
        return tq_fail(TQ_FORMAT, "%s is a file of LMDB's data version %u; this library reads version %u", file,
                       meta->version, TQ_META_VERSION);
    if (page_bytes < 256 || page_bytes > 65536 || (page_bytes & (page_bytes - 1)) != 0)
        return tq_fail(TQ_CORRUPT, "%s: page size %u", file, page_bytes);
    if (page_bytes != own)
        return tq_fail(TQ_FORMAT,
                       "%s has pages of %u bytes, this machine's have %u: it can only be read on a machine like the "
                       "one that made it",
                       file, page_bytes, own);
    return TQ_OK;
}

enum tq_status tq_page_tree_check_head(const char *file) {
    struct tq_meta_page metas[TQ_META_PAGES] = {{.magic = 0}};
    size_t done = 0, second = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tq_fail(TQ_IO, "open %s: %s", file, strerror(errno));
    enum tq_status status = read_at(file, fd, &metas[0], sizeof metas[0], 0, &done);
    if (status == TQ_OK) status = check_kind(file, &metas[0], done);
    uint32_t page_bytes = metas[0].free_tree.page_bytes;
    if (status == TQ_OK) status = read_at(file, fd, &metas[1], sizeof metas[1], page_bytes, &second);
    (void)close(fd); /* harmless: LMDB's locks are on lock.mdb */
    if (status == TQ_OK && second != sizeof metas[1]) status = tq_fail(TQ_CORRUPT, "%s is cut off", file);
    for (unsigned page = 0; page < TQ_META_PAGES && status == TQ_OK; page++)
        status = check_meta(file, page, &metas[page], page_bytes);
    return status;
}

/* ---- Values that LMDB has found ---- */

const uint8_t *tq_page_tree_map(const void *small_value, uint32_t page_bytes) {
    struct tq_page_head head;
    const uint8_t *page = (const uint8_t *)((uintptr_t)small_value & ~(uintptr_t)(page_bytes - 1));
    memcpy(&head, page, sizeof head);
    return page - head.number * page_bytes;
}

bool tq_page_tree_value_fits(const uint8_t *map, uint32_t page_bytes, const void *value, size_t size) {
    struct tq_page_head head;
    if (!tq_page_has_run(size, page_bytes)) return true;
    const uint8_t *page = (const uint8_t *)value - sizeof head;
    memcpy(&head, page, sizeof head);
    return head.number == (uint64_t)(page - map) / page_bytes && head.flags == TQ_PAGE_RUN &&
           tq_page_head_run(&head) == tq_page_run(size, page_bytes);
}
