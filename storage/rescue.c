/* A data file that LMDB cannot follow any more, because a page of its tree is damaged or its end is cut off, still has
 * the values: a chunk begins on a page and says which it is, and of a directory the catalog knows the sum. Those that
 * the catalog needs are found by reading the whole file, and put into a new environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/directory.h"
#include "storage/platform.h"
#include "storage/repair.h"
#include "storage/sweep.h"

#define PAGE 4096u
#define PAGE_HEAD 16u
#define WINDOW (1u << 20)         /* read at once */
#define DIRECTORY_MAX (64u << 20) /* bytes: more are not believed */

struct wanted {
    uint64_t sum, key; /* of a directory: its own; of a chunk: of its header */
    uint32_t pages;    /* of a chunk */
    bool found;
};

struct wanted_list {
    struct wanted *list;
    size_t count, capacity;
};

struct rescue {
    const struct tq_conn *conn;
    int fd;
    uint64_t bytes; /* of the file */
    struct wanted_list directories, chunks;
    struct tq_env_restore *restore;
    uint8_t *window, *value;
    size_t value_size;
    struct tq_rescued *told;
};

static enum tq_status add(struct wanted_list *list, uint64_t key, uint64_t sum, uint32_t pages) {
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 64, size = sizeof *list->list;
        struct wanted *grown = tq_realloc(list->list, list->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        list->list = grown;
        list->capacity = capacity;
    }
    list->list[list->count++] = (struct wanted){.sum = sum, .key = key, .pages = pages};
    return TQ_OK;
}

static int compare(const void *a, const void *b) {
    const struct wanted *left = a, *right = b;
    if (left->sum != right->sum) return left->sum < right->sum ? -1 : 1;
    return (left->key > right->key) - (left->key < right->key);
}

/* One value is one entry, however many refer to it. */
static void sort(struct wanted_list *list) {
    size_t kept = 0;
    if (list->count > 1) qsort(list->list, list->count, sizeof *list->list, compare);
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || compare(&list->list[kept - 1], &list->list[i]) != 0) list->list[kept++] = list->list[i];
    }
    list->count = kept;
}

/* The first of a sum; others with the same sum follow it. */
static struct wanted *find(const struct wanted_list *list, uint64_t sum) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->list[middle].sum < sum)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->list[low].sum == sum ? &list->list[low] : NULL;
}

static enum tq_status take_segment(void *context, sqlite3_stmt *stmt) {
    struct rescue *rescue = context;
    const sqlite3_api_routines *sqlite3_api = rescue->conn->api;
    return add(&rescue->directories, (uint64_t)sqlite3_column_int64(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1),
               0);
}

/* ---- Reading ---- */

/* What lies beyond the end, or cannot be read, is zeros: sums tell what is missed. */
static void read_at(const struct rescue *rescue, uint64_t at, void *bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(rescue->fd, (uint8_t *)bytes + done, size - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    memset((uint8_t *)bytes + done, 0, size - done);
}

static enum tq_status value_room(struct rescue *rescue, size_t size) {
    if (size <= rescue->value_size) return TQ_OK;
    uint8_t *grown = tq_realloc(rescue->value, rescue->value_size, size);
    if (grown == NULL) return TQ_NOMEM;
    rescue->value = grown;
    rescue->value_size = size;
    return TQ_OK;
}

/* ---- Directories: anywhere, because a small value lies among LMDB's nodes ---- */

static enum tq_status keep_directory(struct rescue *rescue, struct wanted *directory, size_t size) {
    struct tq_directory_head head;
    memcpy(&head, rescue->value, sizeof head);
    directory->found = true;
    rescue->told->found++;
    uint64_t chunks = (uint64_t)head.code_chunks + head.exact_chunks;
    if (sizeof head + chunks * sizeof(struct tq_directory_chunk) > size || head.chunk_pages > TQ_CHUNK_PAGES_MAX) {
        return TQ_OK;
    }
    for (uint64_t i = 0; i < chunks; i++) {
        struct tq_directory_chunk chunk;
        memcpy(&chunk, rescue->value + sizeof head + i * sizeof chunk, sizeof chunk);
        TQ_TRY(add(&rescue->chunks, chunk.key, chunk.sum, head.chunk_pages));
    }
    return tq_env_restore_value(rescue->restore, directory->key, rescue->value, size);
}

static enum tq_status look_at_directory(struct rescue *rescue, uint64_t at, const uint8_t *bytes) {
    struct tq_directory_head head;
    memcpy(&head, bytes, sizeof head);
    if (head.magic != TQ_DIRECTORY_MAGIC || head.size < sizeof head || head.size > DIRECTORY_MAX) return TQ_OK;
    TQ_TRY(value_room(rescue, head.size));
    read_at(rescue, at, rescue->value, head.size);
    struct wanted *directory = find(&rescue->directories, tq_chunk_hash(rescue->value, head.size));
    return directory == NULL || directory->found ? TQ_OK : keep_directory(rescue, directory, head.size);
}

static enum tq_status find_directories(struct rescue *rescue) {
    size_t head = sizeof(struct tq_directory_head);
    for (uint64_t at = 0; at < rescue->bytes; at += WINDOW) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        read_at(rescue, at, rescue->window, WINDOW + head);
        for (size_t i = 0; i < WINDOW; i += 2) {
            if (rescue->window[i] != 't' || memcmp(rescue->window + i, "tqdirect", 8) != 0) continue;
            TQ_TRY(look_at_directory(rescue, at + i, rescue->window + i));
        }
    }
    return TQ_OK;
}

/* ---- Chunks: on pages ---- */

static enum tq_status look_at_chunk(struct rescue *rescue, uint64_t at, const uint8_t *bytes) {
    struct tq_chunk_head head;
    memcpy(&head, bytes, sizeof head);
    if (head.magic != TQ_CHUNK_MAGIC || head.pages > TQ_CHUNK_PAGES_MAX) return TQ_OK;
    uint64_t key = tq_env_key(head.index, head.serial), sum = head.sum;
    struct wanted *chunk = find(&rescue->chunks, sum);
    while (chunk != NULL && chunk < rescue->chunks.list + rescue->chunks.count && chunk->sum == sum &&
           chunk->key != key) {
        chunk++;
    }
    bool is_wanted = chunk != NULL && chunk < rescue->chunks.list + rescue->chunks.count && chunk->sum == sum;
    if (!is_wanted || chunk->found) return TQ_OK;
    size_t size = TQ_CHUNK_HEAD + (size_t)head.pages * TQ_CHUNK_PAGE;
    TQ_TRY(value_room(rescue, size));
    read_at(rescue, at, rescue->value, size);
    size_t summed = offsetof(struct tq_chunk_head, format);
    if (tq_chunk_hash(rescue->value + summed, TQ_CHUNK_HEAD - summed) != sum) return TQ_OK;
    chunk->found = true;
    rescue->told->found++;
    return tq_env_restore_value(rescue->restore, key, rescue->value, size);
}

static enum tq_status find_chunks(struct rescue *rescue) {
    for (uint64_t at = 0; at < rescue->bytes; at += WINDOW) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        read_at(rescue, at, rescue->window, WINDOW);
        for (size_t i = 0; i < WINDOW; i += PAGE) {
            TQ_TRY(look_at_chunk(rescue, at + i + PAGE_HEAD, rescue->window + i + PAGE_HEAD));
        }
    }
    return TQ_OK;
}

/* A segment opens only with all its chunks: one that is nowhere is zeros, which no sum matches, so that the rows of the
 * others can be read. */
static enum tq_status fill_gaps(struct rescue *rescue) {
    for (size_t i = 0; i < rescue->chunks.count; i++) {
        const struct wanted *chunk = &rescue->chunks.list[i];
        size_t size = TQ_CHUNK_HEAD + (size_t)chunk->pages * TQ_CHUNK_PAGE;
        if (chunk->found) continue;
        TQ_TRY(value_room(rescue, size));
        memset(rescue->value, 0, size);
        TQ_TRY(tq_env_restore_value(rescue->restore, chunk->key, rescue->value, size));
    }
    return TQ_OK;
}

/* ---- All of it ---- */

/* The folder is to be what the catalog says. A number between those it names may not be given out again. */
static enum tq_status put_metas(struct rescue *rescue, struct tq_conn *conn, const uint8_t uuid[16]) {
    struct tq_named_numbers named;
    uint32_t last = 0;
    TQ_TRY(tq_numbers_named(conn, uuid, &named));
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < named.count && status == TQ_OK; i++) {
        const struct tq_named_number *number = &named.list[i];
        struct tq_env_meta none = {.nonce = 1}, meta = none;
        bool again = i + 1 < named.count && named.list[i + 1].number == number->number && !number->ours;
        if (number->number <= last || again || number->number >= 0xffffff) continue;
        if (number->ours) {
            meta = (struct tq_env_meta){.serial = number->serial, .flushes = number->flushes, .nonce = number->nonce};
        }
        while (status == TQ_OK && ++last < number->number) status = tq_env_restore_meta(rescue->restore, last, &none);
        if (status == TQ_OK) status = tq_env_restore_meta(rescue->restore, last, &meta);
    }
    tq_free(named.list);
    return status;
}

static enum tq_status run(struct rescue *rescue, struct tq_conn *conn, const uint8_t uuid[16], const char *folder) {
    rescue->window = tq_alloc(WINDOW + sizeof(struct tq_directory_head));
    if (rescue->window == NULL) return TQ_NOMEM;
    off_t size = lseek(rescue->fd, 0, SEEK_END);
    rescue->bytes = size < 0 ? 0 : (uint64_t)size;
    TQ_TRY(tq_catalogs_each(conn, "dir, dir_sum", "_seg", take_segment, rescue));
    sort(&rescue->directories);
    TQ_TRY(tq_env_restore_begin(folder, uuid, &rescue->restore));
    TQ_TRY(find_directories(rescue));
    sort(&rescue->chunks);
    TQ_TRY(find_chunks(rescue));
    TQ_TRY(fill_gaps(rescue));
    TQ_TRY(put_metas(rescue, conn, uuid));
    rescue->told->wanted = rescue->directories.count + rescue->chunks.count;
    return tq_env_restore_end(rescue->restore);
}

enum tq_status tq_folder_rescue(struct tq_conn *conn, const uint8_t uuid[16], const char *data, const char *folder,
                                struct tq_rescued *told) {
    struct rescue rescue = {.conn = conn, .told = told};
    *told = (struct tq_rescued){.found = 0};
    rescue.fd = open(data, O_RDONLY | O_CLOEXEC);
    if (rescue.fd < 0) return tq_fail(TQ_IO, "open %s: %s", data, strerror(errno));
    enum tq_status status = run(&rescue, conn, uuid, folder);
    (void)close(rescue.fd);
    tq_env_restore_drop(rescue.restore);
    tq_free(rescue.directories.list);
    tq_free(rescue.chunks.list);
    tq_free(rescue.window);
    tq_free(rescue.value);
    return status;
}
