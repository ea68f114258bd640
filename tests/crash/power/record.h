/* What recorder.c writes and states.c reads: records one behind the other, each followed by its names and its data. */
#ifndef TQ_POWER_RECORD_H
#define TQ_POWER_RECORD_H

#include <stdint.h>

enum record_kind {
    RECORD_CREATE = 1,  /* name: a file, which gets the number `file` */
    RECORD_MAKE_FOLDER, /* name */
    RECORD_RENAME,      /* name, and behind its zero the new one */
    RECORD_REMOVE,      /* name: a file or a folder */
    RECORD_WRITE,       /* file, offset, size bytes of data */
    RECORD_TRUNCATE,    /* file, size */
    RECORD_SYNC,        /* file */
    RECORD_SYNC_FOLDER, /* name */
    RECORD_MARK         /* size: so many transactions have been acknowledged */
};

#define RECORD_DURABLE 1u /* a write through a descriptor with O_DSYNC: on disk when it returns */

struct record {
    uint32_t kind, flags;
    uint64_t file, offset, size;
    uint32_t name_bytes, data_bytes; /* behind this; names relative to the folder, with their zero */
};

/* Where a checker wants to know what it changes itself: nothing is recorded then, and syncs do nothing. */
typedef void recorder_watch_function(uint64_t inode, uint64_t offset, uint64_t size);

#endif
