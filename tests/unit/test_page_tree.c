/* LMDB's own pages: whatever LMDB writes passes, and whatever is changed in them is found before LMDB sees it. */
#include "tests/unit/env_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "storage/env.h"
#include "storage/page_format.h"
#include "storage/page_tree.h"

static struct tq_env *open_store(void) {
    struct tq_env *env = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
    return env;
}

/* ---- A file in memory ---- */

struct image {
    uint8_t *bytes;
    size_t size;
    uint32_t page_bytes;
};

static struct image image_read(void) {
    struct image image = {.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE)};
    struct stat st;
    int fd = open(folder.data, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    image.size = (size_t)st.st_size;
    image.bytes = malloc(image.size);
    assert_int_equal(pread(fd, image.bytes, image.size, 0), image.size);
    (void)close(fd);
    return image;
}

static void image_write(const struct image *image) {
    int fd = open(folder.data, O_WRONLY | O_TRUNC);
    assert_int_equal(pwrite(fd, image->bytes, image->size, 0), image->size);
    (void)close(fd);
}

static uint8_t *page_at(struct image *image, uint64_t number) {
    assert_true(number < image->size / image->page_bytes);
    return image->bytes + number * image->page_bytes;
}

static struct tq_page_head *head_at(struct image *image, uint64_t number) { return (void *)page_at(image, number); }

static struct tq_meta_page *meta_at(struct image *image, uint64_t page) { return (void *)page_at(image, page); }

static struct tq_meta_page *newest(struct image *image) {
    struct tq_meta_page *even = meta_at(image, 0), *odd = meta_at(image, 1);
    return even->transaction > odd->transaction ? even : odd;
}

/* An entry's head: low, high, flags, key_size; key and data follow. */
static uint16_t *entry_at(uint8_t *page, uint32_t entry) {
    const uint16_t *offsets = (void *)(page + sizeof(struct tq_page_head));
    return (void *)(page + offsets[entry]);
}

static uint8_t *key_at(uint8_t *page, uint32_t entry) { return (uint8_t *)(entry_at(page, entry) + 4); }

static uint8_t *data_at(uint8_t *page, uint32_t entry) { return key_at(page, entry) + entry_at(page, entry)[3]; }

/* Entries of the main tree ascend: meta, then val. */
static struct tq_tree_record *named(struct image *image, uint32_t entry) {
    return (void *)data_at(page_at(image, newest(image)->main.root), entry);
}
static struct tq_tree_record *records(struct image *image) { return named(image, 0); }
static struct tq_tree_record *values(struct image *image) { return named(image, 1); }

static uint64_t child_of(uint8_t *page, uint32_t entry) { return tq_page_node_at(page, entry, false).child; }

static uint8_t *first_leaf(struct image *image, const struct tq_tree_record *tree) {
    uint8_t *page = page_at(image, tree->root);
    for (unsigned level = 1; level < tree->depth; level++) page = page_at(image, child_of(page, 0));
    return page;
}

/* The entry of a leaf whose value has pages of its own. */
static uint32_t run_entry(const uint8_t *leaf) {
    uint32_t entry = 0;
    while (tq_page_node_at(leaf, entry, true).flags != TQ_NODE_RUN) entry++;
    return entry;
}

/* ---- What LMDB writes ---- */

struct writer {
    struct tq_env *env;
    uint64_t serial, oldest, random;
    uint32_t more;
};

static uint64_t next_random(struct writer *writer) {
    writer->random = writer->random * 6364136223846793005u + 1442695040888963407u;
    return writer->random >> 33;
}

static enum tq_status write_batch(struct writer *writer, size_t puts, size_t size, size_t deletes) {
    struct tq_env_put put[64];
    uint64_t delete[64];
    static uint8_t zeros[2 << 20];
    for (size_t i = 0; i < puts; i++)
        put[i] = (struct tq_env_put){tq_env_key(1, ++writer->serial), zeros, size + i % 3};
    for (size_t i = 0; i < deletes; i++) delete[i] = tq_env_key(1, writer->oldest++);
    struct tq_env_batch batch = {.puts = put,
                                 .put_count = puts,
                                 .deletes = delete,
                                 .delete_count = deletes,
                                 .index = 1,
                                 .more = writer->more,
                                 .meta = {.serial = writer->serial}};
    return tq_env_write(writer->env, &batch);
}

static void random_batch(struct writer *writer) {
    static const size_t sizes[] = {1, 30, 200, 1000, 2014, 2015, 4080, 4081, 30000, 300000};
    size_t size = sizes[next_random(writer) % TQ_COUNT(sizes)], limit = size > 10000 ? 6 : 64;
    size_t room = writer->serial - writer->oldest + 1;
    writer->more = next_random(writer) % 8 == 0 ? (uint32_t)(next_random(writer) % 300) : 0;
    bool sweep = next_random(writer) % 5 == 0;
    must(write_batch(writer, sweep ? 0 : next_random(writer) % limit, size,
                     tq_min_size(room, next_random(writer) % (sweep ? 64 : 30))));
}

/* A reader that stays makes the lists of free pages many, one that goes lets them be used again. */
static void test_everything_that_is_written_passes(void **state) {
    (void)state;
    struct writer writer = {.env = open_store(), .oldest = 1, .random = 7};
    struct tq_env_reader *reader = NULL;
    size_t depth[3] = {0}, runs = 0, lists = 0;
    for (int i = 0; i < 320; i++) {
        if (i % 100 == 20) must(tq_env_reader_open(writer.env, &reader));
        random_batch(&writer);
        if (i % 100 == 80) tq_env_reader_close(reader);
        must(tq_env_check_pages(writer.env));
        if (i % 10 != 9) continue;
        tq_env_close(writer.env);
        struct image image = image_read();
        const struct tq_meta_page *meta = newest(&image);
        depth[0] = tq_max_size(depth[0], values(&image)->depth);
        depth[1] = tq_max_size(depth[1], records(&image)->depth);
        depth[2] = tq_max_size(depth[2], meta->free_tree.depth);
        runs += values(&image)->run_pages > 0;
        lists += meta->free_tree.run_pages > 0;
        free(image.bytes);
        writer.env = open_store();
    }
    tq_env_close(writer.env);
    assert_true(depth[0] >= 2 && depth[1] >= 2 && depth[2] >= 2 && runs > 10 && lists > 3); /* it was worth it */
}

/* ---- What is changed is found ---- */

/* Trees of two levels, values with pages of their own, lists of free pages, one of them in such pages too. */
static struct image make_pattern(void) {
    struct writer writer = {.env = open_store(), .oldest = 1};
    struct tq_env_reader *reader = NULL;
    must(write_batch(&writer, 1, 1500000, 0));
    must(tq_env_reader_open(writer.env, &reader)); /* free pages stay free */
    writer.more = 199;
    for (int i = 0; i < 4; i++) must(write_batch(&writer, 60, 30, i == 0));
    must(write_batch(&writer, 6, 5000, 0));
    tq_env_reader_close(reader);
    tq_env_close(writer.env);
    struct image image = image_read();
    assert_int_equal(values(&image)->depth, 2);
    assert_int_equal(records(&image)->depth, 2);
    assert_int_equal(newest(&image)->free_tree.depth, 1);
    return image;
}

static uint8_t *free_leaf(struct image *image) { return page_at(image, newest(image)->free_tree.root); }

static uint8_t *last_leaf(struct image *image) {
    uint8_t *root = page_at(image, values(image)->root);
    return page_at(image, child_of(root, tq_page_entries(root) - 1));
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t size) {
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static uint16_t *offsets_of(uint8_t *page) { return (void *)(page + sizeof(struct tq_page_head)); }

/* The list of free pages in an entry that holds it itself: the count, then numbers. */
static uint64_t *inline_list(struct image *image) {
    uint8_t *leaf = free_leaf(image);
    uint32_t entry = 0;
    while (entry_at(leaf, entry)[2] != 0 || entry_at(leaf, entry)[0] < 24) entry++;
    return (void *)data_at(leaf, entry);
}

static void set_child(uint8_t *page, uint32_t entry, uint64_t child) { entry_at(page, entry)[0] = (uint16_t)child; }

/* What is looked at before LMDB opens the file. */
static void damage_head(struct image *image, int which) {
    struct tq_meta_page *meta = newest(image), *older = meta_at(image, 1 - meta->head.number);
    switch (which) {
    case 53:
        meta->free_tree.page_bytes = 2 * image->page_bytes, older->free_tree.page_bytes = 2 * image->page_bytes;
        break;
    case 54: meta_at(image, 0)->version = 2; break;
    case 55: meta_at(image, 0)->version = 999; break;
    case 56: memcpy(image->bytes + 24, image->bytes + 16, 4), image->bytes[16] = 0; break;
    case 57: meta_at(image, 0)->magic = 1; break;
    case 58: meta_at(image, 0)->free_tree.page_bytes = 4095; break;
    case 59: image->size = image->page_bytes + 8; break;
    default: image->size = 100;
    }
}

static void damage(struct image *image, int which) {
    struct tq_meta_page *meta = newest(image), *older = meta_at(image, 1 - meta->head.number);
    uint8_t *leaf = first_leaf(image, values(image)), *root = page_at(image, values(image)->root);
    struct tq_page_head *leaf_head = (void *)leaf;
    uint8_t *runs = last_leaf(image), *run = data_at(runs, run_entry(runs));
    uint8_t *list = free_leaf(image);
    switch (which) {
    case 0: meta->head.number ^= 1; break;
    case 1: meta_at(image, 1)->magic++; break;
    case 2: meta_at(image, 1)->free_tree.page_bytes *= 2; break;
    case 3: older->transaction += 3; break;
    case 4: older->transaction += 8; break;
    case 5: meta->last_page = 0; break;
    case 6: meta->last_page += image->size; break;
    case 7: meta->last_page = UINT64_MAX - 1; break;
    case 8: meta->main.depth = 2; break;
    case 9: key_at(page_at(image, meta->main.root), 1)[0] ^= 1; break;
    case 10: entry_at(page_at(image, meta->main.root), 1)[2] = 0; break;
    case 11: meta->main.flags = 4; break;
    case 12: values(image)->flags = 0; break;
    case 13: values(image)->entries++; break;
    case 14: records(image)->leaf_pages++; break;
    case 15: values(image)->run_pages--; break;
    case 16: meta->free_tree.branch_pages++; break;
    case 17: values(image)->depth = 200; break;
    case 18: values(image)->depth = 1; break;
    case 19: values(image)->depth = 3; break;
    case 20: values(image)->root = 1; break;
    case 21: values(image)->root = records(image)->root; break;
    case 22: values(image)->root = TQ_NO_ROOT; break;
    case 23: leaf_head->number++; break;
    case 24: leaf_head->flags = 3; break;
    case 25: leaf_head->lower++; break;
    case 26: leaf_head->lower = leaf_head->upper + 2; break;
    case 27: leaf_head->upper -= 2; break;
    case 28: leaf_head->lower = sizeof *leaf_head; break;
    case 29: offsets_of(leaf)[0] = 4090; break;
    case 30: offsets_of(leaf)[0] |= 1; break;
    case 31: offsets_of(leaf)[0] = offsets_of(leaf)[1]; break;
    case 32: entry_at(leaf, 0)[1] = 1; break;
    case 33: entry_at(leaf, 0)[3] += 2, entry_at(leaf, 0)[0] -= 2; break;
    case 34: swap_bytes(key_at(leaf, 0), key_at(leaf, 1), 8); break;
    case 35: entry_at(leaf, 0)[2] = TQ_NODE_RUN, entry_at(leaf, 0)[0] = 8; break;
    case 36: set_child(root, 0, image->size); break;
    case 37: set_child(root, 1, child_of(root, 0)); break;
    case 38: key_at(root, 1)[0]++; break;
    case 39: ((struct tq_page_head *)(void *)root)->lower = sizeof *leaf_head + 2; break;
    case 40: memcpy(run, &image->size, 8); break;
    case 41: memcpy(run, &meta->main.root, 8); break;
    case 42: inline_list(image)[1] = inline_list(image)[2]; break;
    case 43: inline_list(image)[0] += 100; break;
    case 44: inline_list(image)[1] = meta->last_page + 1; break;
    case 45: inline_list(image)[inline_list(image)[0]] = 1; break;
    case 46: key_at(list, tq_page_entries(list) - 1)[7] = 1; break;
    case 47: memset(key_at(list, 0), 0, 8); break;
    case 48: entry_at(list, 0)[2] = TQ_NODE_NAMED; break;
    case 49: memcpy(run, &inline_list(image)[1], 8); break;
    case 50: memcpy(&head_at(image, *(uint64_t *)(void *)data_at(list, run_entry(list)))->lower, "\xff\xff", 2); break;
    case 51: head_at(image, *(uint64_t *)(void *)data_at(list, run_entry(list)))->flags = 0; break;
    case 52: image->size = (meta->last_page - 1) * image->page_bytes; break;
    default: damage_head(image, which);
    }
}

/* What the message says; FORMAT from 53 on where it begins with "F". */
static const char *const expected[] = {
    "it is no meta page",
    "it is no meta page",
    "its page size is not that of page 0",
    "belongs on the other meta page",
    "its meta pages are of transactions",
    "its last page is page 0",
    "is cut off",
    "its last page is too large",
    "F its main tree is not that of a store",
    "names a sub-database that is not ours",
    "no sub-database",
    "the record of tree \"main\" is damaged",
    "the record of tree \"val\" is damaged",
    "the record of tree \"val\" does not count",
    "the record of tree \"meta\" does not count",
    "the record of tree \"val\" does not count",
    "the record of tree \"free pages\" does not count",
    "the record of tree \"val\" is damaged",
    "it is no leaf",
    "it is no branch",
    "from page 1 on",
    "a key has the wrong length",
    "the record of tree \"val\" is damaged",
    "it has the number of another page",
    "it is no leaf",
    "its bounds are wrong",
    "its bounds are wrong",
    "its entries leave gaps",
    "it is empty",
    "an entry lies outside",
    "an entry lies outside",
    "two entries overlap",
    "an entry is too long",
    "a key has the wrong length",
    "its keys do not ascend",
    "leave gaps",
    "an entry names",
    "it is used twice",
    "its keys do not ascend",
    "leave gaps",
    "an entry names 2 pages",
    "it is used twice",
    "out of order or range",
    "a list of free pages is too long",
    "out of order or range",
    "out of order or range",
    "a transaction that never was",
    "a transaction that never was",
    "an entry is no list of free pages",
    "it is in use, or free twice",
    "an entry names 65535 pages",
    "it is not the first page of a value",
    "is cut off",
    "F pages of",
    "F is a file of LMDB 1.0",
    "F data version 999",
    "F is a file of LMDB 1.0",
    "F is not an LMDB file",
    "page size 4095",
    "is cut off",
    "is cut off: it has 100 bytes",
};

static void test_each_damage_is_named(void **state) {
    (void)state;
    struct image image = make_pattern();
    struct tq_env *env = NULL;
    int different = 0;
    for (int which = 0; which < (int)TQ_COUNT(expected); which++) {
        struct image changed = image;
        changed.bytes = malloc(image.size);
        memcpy(changed.bytes, image.bytes, image.size);
        damage(&changed, which);
        image_write(&changed);
        free(changed.bytes);
        bool format = expected[which][0] == 'F';
        enum tq_status status = tq_env_open(folder.store, which % 2 == 0 ? TQ_OPEN_READONLY : 0, true, &env);
        if (status != (format ? TQ_FORMAT : TQ_CORRUPT) ||
            strstr(tq_message(), expected[which] + (format ? 2 : 0)) == NULL) {
            print_message("damage %d: %s: %s\n", which, tq_status_name(status), tq_message());
            different++;
        }
    }
    assert_int_equal(different, 0);
    image_write(&image);
    tq_env_close(open_store()); /* nothing of that stays */
    free(image.bytes);
}

static void write_byte(uint64_t place, uint8_t byte) {
    int fd = open(folder.data, O_WRONLY);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)place), 1);
    (void)close(fd);
}

/* No flipped bit in a page of a tree is followed by a crash, or by other keys: found, or without effect. */
static void test_flips_in_trees(void **state) {
    (void)state;
    struct image image = make_pattern();
    uint64_t pages[] = {newest(&image)->head.number, newest(&image)->main.root, values(&image)->root,
                        records(&image)->root, newest(&image)->free_tree.root};
    size_t found = 0, harmless = 0;
    for (size_t i = 0; i < TQ_COUNT(pages); i++) {
        for (size_t at = i; at < (i == 0 ? 200 : image.page_bytes); at += i == 0 ? 1 : 41) {
            struct tq_env *env = NULL;
            uint64_t place = pages[i] * image.page_bytes + at;
            write_byte(place, image.bytes[place] ^ (uint8_t)(1u << at % 8));
            if (tq_env_open(folder.store, 0, true, &env) != TQ_OK) {
                found++;
            } else {
                size_t count = 0;
                harmless++;
                must(tq_env_keys_above(env, 1, 0, NULL, 0, &count));
                assert_int_equal(count, 246);
                tq_env_close(env);
            }
            write_byte(place, image.bytes[place]);
        }
    }
    assert_true(found > 100 && harmless > 50);
    free(image.bytes);
}

/* Its header, which decides what LMDB frees, is compared before that. */
static void test_first_page_of_a_value(void **state) {
    (void)state;
    struct image image = make_pattern();
    uint8_t *leaf = last_leaf(&image);
    uint64_t number = 0, key = 0;
    memcpy(&number, data_at(leaf, run_entry(leaf)), sizeof number);
    memcpy(&key, key_at(leaf, run_entry(leaf)), sizeof key);
    for (int which = 0; which < 3; which++) {
        struct tq_page_head kept = *head_at(&image, number);
        if (which == 0) head_at(&image, number)->number++;
        if (which == 1) head_at(&image, number)->flags = 5;
        if (which == 2) head_at(&image, number)->lower++;
        image_write(&image);
        *head_at(&image, number) = kept;
        struct writer writer = {.env = open_store(), .serial = key & 0xffffffff, .oldest = key & 0xffffffff};
        struct tq_env_reader *reader = NULL;
        const void *data = NULL;
        size_t size = 0;
        must(tq_env_reader_open(writer.env, &reader));
        assert_int_equal(tq_env_get(reader, key, &data, &size), TQ_CORRUPT);
        assert_non_null(strstr(tq_message(), "its first page is damaged"));
        must(tq_env_get(reader, key + 1, &data, &size)); /* the others are as they were */
        assert_int_equal(write_batch(&writer, 0, 0, 1), TQ_CORRUPT);
        assert_int_equal(tq_env_check_pages(writer.env), TQ_CORRUPT);
        assert_non_null(strstr(tq_message(), "it is not the first page of a value"));
        tq_env_reader_close(reader);
        tq_env_close(writer.env);
    }
    free(image.bytes);
}

/* LMDB need not write what it frees at once: where only free pages are missing at the end, nothing is. */
static void test_free_pages_beyond_the_end(void **state) {
    (void)state;
    struct writer writer = {.env = open_store(), .oldest = 1};
    must(write_batch(&writer, 1, 100, 0));
    must(write_batch(&writer, 3, 300000, 0));
    writer.oldest = 2;
    must(write_batch(&writer, 0, 0, 3));
    must(write_batch(&writer, 0, 0, 0)); /* its own pages come from the freed ones */
    tq_env_close(writer.env);
    struct image image = image_read();
    uint64_t end = tq_max_size(newest(&image)->main.root, values(&image)->root);
    end = tq_max_size(tq_max_size(end, records(&image)->root), newest(&image)->free_tree.root) + 1;
    assert_true(end < newest(&image)->last_page);
    image.size = end * image.page_bytes;
    image_write(&image);
    writer.env = open_store();
    must(tq_env_check_pages(writer.env));
    for (int i = 0; i < 20; i++) must(write_batch(&writer, 2, 300000, 0));
    must(tq_env_check_pages(writer.env));
    tq_env_close(writer.env);
    image.size -= image.page_bytes;
    image_write(&image);
    assert_int_equal(tq_env_open(folder.store, 0, true, &writer.env), TQ_CORRUPT);
    free(image.bytes);
}

/* A snapshot whose meta page others have overwritten is not judged by theirs. */
static void test_snapshot_that_is_gone(void **state) {
    (void)state;
    struct image image = make_pattern();
    struct tq_page_tree tree = {.file = folder.data, .fd = open(folder.data, O_RDONLY)};
    bool gone = false;
    tree.transaction = newest(&image)->transaction;
    must(tq_page_tree_check(&tree, &gone));
    assert_false(gone);
    tree.transaction -= 2;
    must(tq_page_tree_check(&tree, &gone));
    assert_true(gone);
    (void)close(tree.fd);
    free(image.bytes);
}

/* Another process commits all the while: every snapshot that is met is sound. */
static void test_while_others_write(void **state) {
    (void)state;
    tq_env_close(open_store());
    pid_t child = fork();
    if (child == 0) {
        struct writer writer = {.env = open_store(), .oldest = 1, .random = 3};
        for (;;) random_batch(&writer);
    }
    for (int i = 0; i < 50; i++) {
        struct tq_env *env = open_store();
        must(tq_env_check_pages(env));
        tq_env_close(env);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(test_everything_that_is_written_passes),
        test(test_each_damage_is_named),
        test(test_flips_in_trees),
        test(test_first_page_of_a_value),
        test(test_free_pages_beyond_the_end),
        test(test_snapshot_that_is_gone),
        test(test_while_others_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
