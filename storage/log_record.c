#include "storage/log_record.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Host order is little-endian everywhere this library runs (CMake refuses others). */
struct head {
    uint16_t first_error;
    uint16_t second_inverse;
    uint16_t second_error;
    uint16_t reserved; /* 0 */
    float norm;
};
_Static_assert(sizeof(struct head) == 12, "written to disk as it is");

size_t tq_log_record_bytes(const struct tq_format *format) {
    return sizeof(struct head) + format->record_bytes + format->exact_bytes + sizeof(uint64_t);
}

static uint64_t sum_of(struct tq_log_place place, const uint8_t *blob, size_t size) {
    uint64_t seed = (uint64_t)place.id + place.slot * 0x9e3779b97f4a7c15u + place.seq * 0xc2b2ae3d27d4eb4fu;
    return XXH3_64bits_withSeed(blob, size, seed);
}

void tq_log_record_write(const struct tq_format *format, struct tq_log_place place, const struct tq_row *row,
                         uint8_t *blob) {
    struct head head = {row->first_error, row->second.inverse, row->second.error, 0, row->norm};
    uint8_t *at = blob;
    memcpy(at, &head, sizeof head);
    at += sizeof head;
    memcpy(at, row->record, format->record_bytes);
    at += format->record_bytes;
    if (format->exact_bytes != 0) memcpy(at, row->exact, format->exact_bytes);
    at += format->exact_bytes;
    uint64_t sum = sum_of(place, blob, (size_t)(at - blob));
    memcpy(at, &sum, sizeof sum);
}

uint64_t tq_log_record_sum(const void *blob, size_t size) {
    uint64_t sum = 0;
    if (size >= sizeof sum) memcpy(&sum, (const uint8_t *)blob + size - sizeof sum, sizeof sum);
    return sum;
}

bool tq_log_record_read(const struct tq_format *format, struct tq_log_place place, const void *blob, size_t size,
                        uint8_t *record, struct tq_row *row) {
    const uint8_t *at = blob;
    struct head head;
    if (blob == NULL || size != tq_log_record_bytes(format)) return false;
    if (sum_of(place, at, size - sizeof(uint64_t)) != tq_log_record_sum(blob, size)) return false;
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    memcpy(record, at, format->record_bytes);
    memset(record + format->record_bytes, 0, format->record_stride - format->record_bytes);
    at += format->record_bytes;
    *row = (struct tq_row){.record = record,
                           .first_error = head.first_error,
                           .second = {head.second_inverse, head.second_error},
                           .norm = head.norm,
                           .exact = format->exact_bytes != 0 ? at : NULL};
    return true;
}
