/* Inside of a repair, shared by repair.c (parts and their state) and salvage.c (rows). */
#ifndef TQ_REPAIR_PARTS_H
#define TQ_REPAIR_PARTS_H

#include "storage/catalog.h"
#include "storage/repair.h"
#include "storage/segment.h"

enum tq_repair_fate {
    TQ_FATE_WHOLE,   /* verified to its last page */
    TQ_FATE_DAMAGED, /* opens, and some rows may be read */
    TQ_FATE_GONE
};

struct tq_repair_segment {
    struct tq_catalog_segment row; /* as far as the catalog's row can be trusted; no bits */
    struct tq_segment *segment;    /* NULL: GONE */
    enum tq_repair_fate fate;
    char why[280];
    uint64_t *alive; /* WHOLE: a bit a row */
    uint32_t alive_count;
    struct tq_builder *builder; /* DAMAGED: the rows that can be read; NULL: none yet */
};

struct tq_repair_part {
    const struct tq_repair_task *task;
    struct tq_catalog *catalog;
    struct tq_env_reader *reader;
    uint32_t part;
    bool keep_rows; /* a row that has lost a vector stays, without it */
    struct tq_format format;
    struct tq_catalog_identity identity;
    struct tq_catalog_look look;
    struct tq_env_meta meta;      /* all zeros: the folder has never heard of the part */
    struct tq_builder_sink sink;  /* for what is written anew */
    struct tq_catalog_state next; /* what the state will be */
    struct tq_repair_segment *segments;
    size_t count, capacity;
};

/* Text for the user: printf, one line. */
void tq_repair_note(const struct tq_repair_part *part, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Keep what can be read, by what the table of rows says is alive; tell of the rest. Writes seg, log and rows, not
 * state; what it writes to the folder is in part->sink.meta. */
enum tq_status tq_salvage_part(struct tq_repair_part *part);

#endif
