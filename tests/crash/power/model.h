/* A disk that forgets: what the recorded operations leave behind when power is lost after the first n of them.
 *
 * What a file holds   Written and not synced: any part of it may be there, in any order, torn between sectors. fsync
 *                     and fdatasync make all of a file's data and its length durable, a write with O_DSYNC its own
 *                     range.
 * Names               Changes of a folder happen in order, so that a first part of them is there, each whole; those of
 *                     different folders do not wait for each other. fsync of the folder makes them durable; fsync of a
 *                     file does not make its name durable (ext4 would). */
#ifndef TQ_POWER_MODEL_H
#define TQ_POWER_MODEL_H

#include "tests/crash/power/image.h"
#include "tests/crash/power/record.h"

struct operation {
    enum record_kind kind;
    uint32_t flags;
    uint64_t file, offset, size;
    const char *name, *to;
    const uint8_t *data;
    page_id *pages; /* of a write of whole pages */
};

struct log {
    struct operation *list;
    size_t count;
};

void log_read(struct log *log, const char *path);

#define NAME_MAX_BYTES 200
#define STATE_FILES_MAX 64

struct state_file {
    char path[NAME_MAX_BYTES]; /* below the root */
    struct image image;
};

struct state {
    struct state_file files[STATE_FILES_MAX];
    size_t count;
    struct sum sum; /* of names and contents */
};

struct disk;
struct disk *disk_new(struct log *log);
void disk_free(struct disk *disk);
void disk_do(struct disk *disk); /* the next operation happens */
int disk_marked(const struct disk *disk);
size_t disk_pending(const struct disk *disk); /* writes that may be lost now */

enum way {
    WAY_ALL,     /* everything is there */
    WAY_NONE,    /* only what is durable */
    WAY_MISSING, /* one write is not */
    WAY_ALONE,   /* one write is, of those that may be lost */
    WAY_RANDOM
};

struct choice {
    enum way way;
    size_t which;
    uint64_t seed;
};

void disk_state(struct disk *disk, const struct choice *choice, struct state *state);

uint64_t mix(uint64_t x);

#endif
