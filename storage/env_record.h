/* The bytes of sub-database `meta`: one record of the folder, one of each index. FORMAT.md section 1. */
#ifndef TQ_ENV_RECORD_H
#define TQ_ENV_RECORD_H

#include "storage/env.h"

struct tq_env_record { /* key "env" */
    uint64_t magic;
    uint32_t format;
    uint32_t reserved;
    uint8_t uuid[16];
    uint64_t sum; /* XXH3-64 of the bytes before */
};
_Static_assert(sizeof(struct tq_env_record) == 40, "written to disk as it is");

struct tq_index_record { /* key 'i' and the index's number, big-endian */
    struct tq_env_meta meta;
    uint64_t sum;
};
_Static_assert(sizeof(struct tq_index_record) == 40, "written to disk as it is");

struct tq_index_key {
    uint8_t bytes[5];
};
static inline struct tq_index_key tq_index_key_of(uint32_t index) {
    return (struct tq_index_key){
        {'i', (uint8_t)(index >> 24), (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index}};
}

struct tq_env_record tq_env_record_of(const uint8_t uuid[16]);
/* A record with a new uuid. TQ_IO. */
enum tq_status tq_env_record_make(struct tq_env_record *record);
/* `path` is for the message. TQ_FORMAT, TQ_CORRUPT. */
enum tq_status tq_env_record_parse(const char *path, const void *data, size_t size, uint8_t uuid[16]);

struct tq_index_record tq_index_record_make(const struct tq_env_meta *meta);
/* False if the bytes are damaged. */
bool tq_index_record_parse(const void *data, size_t size, struct tq_env_meta *meta);

#endif
