#include "storage/env_record.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/platform.h"

#define ENV_MAGIC 0x00006574696c7174ull /* "tqlite\0\0" */
#define ENV_FORMAT 1u

struct tq_env_record tq_env_record_of(const uint8_t uuid[16]) {
    struct tq_env_record record = {.magic = ENV_MAGIC, .format = ENV_FORMAT};
    memcpy(record.uuid, uuid, sizeof record.uuid);
    record.sum = XXH3_64bits(&record, offsetof(struct tq_env_record, sum));
    return record;
}

enum tq_status tq_env_record_make(struct tq_env_record *record) {
    uint8_t uuid[16];
    int error = tq_platform_random(uuid, sizeof uuid);
    if (error != 0) return tq_fail(TQ_IO, "random bytes: %s", strerror(error));
    *record = tq_env_record_of(uuid);
    return TQ_OK;
}

enum tq_status tq_env_record_parse(const char *path, const void *data, size_t size, uint8_t uuid[16]) {
    struct tq_env_record record = {.magic = 0};
    if (size >= sizeof record) memcpy(&record, data, sizeof record);
    if (record.magic != ENV_MAGIC) return tq_fail(TQ_FORMAT, "%s holds no store of tqlite", path);
    if (record.format != ENV_FORMAT)
        return tq_fail(TQ_FORMAT, "%s has format %u; this library reads format %u%s", path, record.format, ENV_FORMAT,
                       record.format == 0 ? ": it was made before the format was fixed" : "");
    if (record.sum != XXH3_64bits(&record, offsetof(struct tq_env_record, sum)))
        return tq_fail(TQ_CORRUPT, "%s: record \"env\" fails its checksum", path);
    memcpy(uuid, record.uuid, sizeof record.uuid);
    return TQ_OK;
}

struct tq_index_record tq_index_record_make(const struct tq_env_meta *meta) {
    struct tq_index_record record = {.meta = *meta};
    record.sum = XXH3_64bits(&record, offsetof(struct tq_index_record, sum));
    return record;
}

bool tq_index_record_parse(const void *data, size_t size, struct tq_env_meta *meta) {
    struct tq_index_record record;
    if (size != sizeof record) return false;
    memcpy(&record, data, sizeof record);
    if (record.sum != XXH3_64bits(&record, offsetof(struct tq_index_record, sum))) return false;
    *meta = record.meta;
    return true;
}
