/* UTF-8 from elsewhere: is it? */
#ifndef TQ_UTF8_H
#define TQ_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character at `at`, of which `left` >= 1 are there; 0: it is none (overlong, a surrogate, beyond
 * U+10FFFF, cut off). */
static inline size_t tq_utf8_bytes(const char *at, size_t left) {
    const uint8_t *c = (const uint8_t *)at;
    if (c[0] < 0x80) return 1;
    size_t bytes = c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;
    if (bytes == 0 || bytes > left) return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool beyond = (c[0] == 0xed && c[1] >= 0xa0) || (c[0] == 0xf4 && c[1] >= 0x90);
    return overlong || beyond ? 0 : bytes;
}

/* Place of the first byte that belongs to no character; size: there is none. */
static inline size_t tq_utf8_check(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint64_t eight = 0;
        if (size - at >= sizeof eight) memcpy(&eight, text + at, sizeof eight);
        if (size - at >= sizeof eight && (eight & 0x8080808080808080u) == 0) {
            at += sizeof eight;
            continue;
        }
        size_t bytes = tq_utf8_bytes(text + at, size - at);
        if (bytes == 0) return at;
        at += bytes;
    }
    return size;
}

/* Characters, for columns in messages. */
static inline size_t tq_utf8_count(const char *text, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += ((uint8_t)text[i] & 0xc0) != 0x80;
    return count;
}

#endif
