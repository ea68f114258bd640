/* Values on their way to LMDB: filled in memory, posted, and written sixteen at a time. */
#include "src/base/alloc.h"
#include "storage/builder_parts.h"

/* An image starts 16 bytes into its allocation, as a value does in its page: so its payload is aligned. */
#define IMAGE_PAD 16u
_Static_assert((IMAGE_PAD + TQ_CHUNK_HEAD) % TQ_ALIGN == 0, "payloads are aligned in memory too");

static void image_free(uint8_t *image) { tq_free(image - IMAGE_PAD); }

enum tq_status tq_out_take(struct tq_out *out, uint8_t **image) {
    if (out->waiting + out->taken >= TQ_OUT_IMAGES) TQ_TRY(tq_out_write(out, NULL));
    if (out->spare_count > 0) {
        *image = out->spare[--out->spare_count];
    } else {
        uint8_t *memory = tq_alloc(tq_chunk_value_bytes(out->format) + IMAGE_PAD);
        if (memory == NULL) return TQ_NOMEM;
        *image = memory + IMAGE_PAD;
    }
    out->taken++;
    return TQ_OK;
}

void tq_out_post(struct tq_out *out, uint8_t *image, enum tq_chunk_kind kind, uint32_t payload_bytes, uint64_t *key,
                 uint64_t *sum) {
    struct tq_builder_sink *sink = out->sink;
    struct tq_chunk_head head = {.index = sink->index,
                                 .serial = ++sink->meta.serial,
                                 .kind = (uint16_t)kind,
                                 .pages = (uint16_t)tq_chunk_pages(out->format),
                                 .payload_bytes = payload_bytes};
    memcpy(&head.uuid_part, tq_env_uuid(sink->env), sizeof head.uuid_part);
    tq_chunk_finish(image, &head);
    *key = tq_env_key(sink->index, head.serial);
    *sum = head.sum;
    out->taken--;
    out->images[out->waiting] = image;
    out->keys[out->waiting++] = *key;
}

void tq_out_return(struct tq_out *out, uint8_t *image) {
    out->taken--;
    out->spare[out->spare_count++] = image;
}

enum tq_status tq_out_reserve_drops(struct tq_out *out, size_t count) {
    if (out->drop_count + count <= out->drop_room) return TQ_OK;
    size_t room = 2 * (out->drop_count + count);
    uint64_t *drops = tq_realloc(out->drops, out->drop_room * sizeof *drops, room * sizeof *drops);
    if (drops == NULL) return TQ_NOMEM;
    out->drops = drops;
    out->drop_room = room;
    return TQ_OK;
}

static uint32_t waiting_at(const struct tq_out *out, uint64_t key) {
    uint32_t at = 0;
    while (at < out->waiting && out->keys[at] != key) at++;
    return at;
}

const uint8_t *tq_out_waiting(const struct tq_out *out, uint64_t key) {
    uint32_t at = waiting_at(out, key);
    return at < out->waiting ? out->images[at] : NULL;
}

void tq_out_withdraw(struct tq_out *out, uint64_t key) {
    uint32_t at = waiting_at(out, key);
    if (at == out->waiting) {
        TQ_ASSERT(out->drop_count < out->drop_room);
        out->drops[out->drop_count++] = key;
        return;
    }
    out->spare[out->spare_count++] = out->images[at];
    out->waiting--;
    for (; at < out->waiting; at++) { /* keys stay ascending */
        out->images[at] = out->images[at + 1];
        out->keys[at] = out->keys[at + 1];
    }
}

enum tq_status tq_out_write(struct tq_out *out, const struct tq_env_put *extra) {
    struct tq_env_put values[TQ_OUT_IMAGES + 1];
    size_t count = 0;
    for (; count < out->waiting; count++)
        values[count] = (struct tq_env_put){out->keys[count], out->images[count], tq_chunk_value_bytes(out->format)};
    if (extra != NULL) values[count++] = *extra;
    if (count == 0 && out->drop_count == 0) return TQ_OK;
    struct tq_env_batch batch = {.puts = values,
                                 .put_count = count,
                                 .deletes = out->drops,
                                 .delete_count = out->drop_count,
                                 .index = out->sink->index,
                                 .meta = out->sink->meta};
    TQ_TRY(tq_env_write(out->sink->env, &batch));
    while (out->waiting > 0) out->spare[out->spare_count++] = out->images[--out->waiting];
    out->drop_count = 0;
    return TQ_OK;
}

void tq_out_clear(struct tq_out *out) {
    while (out->waiting > 0) image_free(out->images[--out->waiting]);
    while (out->spare_count > 0) image_free(out->spare[--out->spare_count]);
    tq_free(out->drops);
    out->drops = NULL;
    out->drop_count = out->drop_room = 0;
}
