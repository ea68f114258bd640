/* A row in the log: everything of struct tq_row in one blob, with a sum over it and its place. */
#ifndef TQ_LOG_RECORD_H
#define TQ_LOG_RECORD_H

#include "src/base/format.h"

/* The columns beside the blob, which its sum covers. */
struct tq_log_place {
    uint64_t seq;
    int64_t id;
    uint64_t slot;
};

size_t tq_log_record_bytes(const struct tq_format *format);
void tq_log_record_write(const struct tq_format *format, struct tq_log_place place, const struct tq_row *row,
                         uint8_t *blob);

/* Check size and sum. row->record points to `record` (record_stride bytes, the padding zeroed), row->exact into
 * the blob. False if the bytes are not what was written. */
bool tq_log_record_read(const struct tq_format *format, struct tq_log_place place, const void *blob, size_t size,
                        uint8_t *record, struct tq_row *row);

/* The sum at the end of a blob: tells a record from another that has its place. */
uint64_t tq_log_record_sum(const void *blob, size_t size);

#endif
