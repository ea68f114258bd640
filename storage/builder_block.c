/* Records to blocks (kernels/layout.h). Runs once per 128 rows, so portable 64-bit arithmetic is enough. */
#include "storage/builder_parts.h"

#define NIBBLES 0x0f0f0f0f0f0f0f0full

/* Byte k of word i becomes byte i of word k. */
static void transpose_bytes(uint64_t words[8]) {
    for (int i = 0; i < 4; i++) {
        uint64_t swap = (words[i] >> 32 ^ words[i + 4]) & 0xffffffffull;
        words[i + 4] ^= swap;
        words[i] ^= swap << 32;
    }
    for (int i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) {
        uint64_t swap = (words[i] >> 16 ^ words[i + 2]) & 0x0000ffff0000ffffull;
        words[i + 2] ^= swap;
        words[i] ^= swap << 16;
    }
    for (int i = 0; i < 8; i += 2) {
        uint64_t swap = (words[i] >> 8 ^ words[i + 1]) & 0x00ff00ff00ff00ffull;
        words[i + 1] ^= swap;
        words[i] ^= swap << 8;
    }
}

/* Eight bytes of eight records from row `first`, transposed; absent rows are zeros. A record's scalars lie behind
 * its planes, so that eight bytes may be read from any byte of a plane. */
static void load_tile(const uint8_t *records, size_t stride, uint32_t rows, uint32_t first, uint64_t words[8]) {
    for (uint32_t i = 0; i < 8; i++) {
        words[i] = 0;
        if (first + i < rows) memcpy(&words[i], records + (first + i) * stride, sizeof words[i]);
    }
    transpose_bytes(words);
}

_Static_assert(sizeof(struct tq_record_tail) >= 7, "load_tile reads up to seven bytes past a plane");

void tq_block_transpose(const uint8_t *records, size_t stride, uint32_t rows, uint32_t dim, uint8_t *block) {
    uint32_t groups = (dim + 3) / 4, bytes = (dim + 7) / 8;
    for (uint32_t byte = 0; byte < bytes; byte += 8) {
        uint32_t count = bytes - byte < 8 ? bytes - byte : 8;
        for (uint32_t lane = 0; lane < 64; lane += 8) {
            uint64_t low[8], high[8];
            load_tile(records + byte, stride, rows, lane, low);
            load_tile(records + byte, stride, rows, lane + 64, high);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t group = 2 * (byte + i);
                uint64_t even = (low[i] & NIBBLES) | (high[i] & NIBBLES) << 4;
                uint64_t odd = (low[i] >> 4 & NIBBLES) | (high[i] & ~NIBBLES);
                memcpy(block + group * 64 + lane, &even, sizeof even);
                if (group + 1 < groups) memcpy(block + (group + 1) * 64 + lane, &odd, sizeof odd);
            }
        }
    }
}
