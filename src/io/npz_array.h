/* The arrays of a .npz file, a zip file of .npy files: which there are, and their elements as a stream each. */
#ifndef TQ_NPZ_ARRAY_H
#define TQ_NPZ_ARRAY_H

#include "src/io/npy_header.h"

struct zip;
struct zip_file;

struct tq_npz_array {
    char *name;     /* the member's, without its ".npy" */
    uint64_t index; /* of the member */
    uint64_t size;  /* of the .npy file, unpacked */
    bool is_array;  /* it has a header that we understand; else nothing below says anything */
    struct tq_npy_header header;
    struct zip_file *file; /* open: a stream of what stands behind the header */
    uint8_t *buffer;
    size_t room, have, used;
};

struct tq_npz {
    const char *path; /* borrowed */
    struct zip *zip;
    struct tq_npz_array *arrays; /* [count]; members of other names than *.npy are left out */
    size_t count;
};

/* TQ_NOT_FOUND, TQ_IO, TQ_NOMEM; TQ_FORMAT: no zip file, or of more than TQ_COLUMNS_MAX members. On failure it is to be
 * closed all the same. */
enum tq_status tq_npz_open(const char *path, struct tq_npz *npz);
void tq_npz_close(struct tq_npz *npz);

/* "words.npz, vectors", for messages. */
void tq_npz_place(const struct tq_npz *npz, const struct tq_npz_array *array, char *text, size_t size);

/* Read the header of one; fails as is_array tells, with a message. */
enum tq_status tq_npz_array_look(struct tq_npz *npz, struct tq_npz_array *array);

/* Begin the stream, with room for `bytes` at a time. */
enum tq_status tq_npz_array_begin(struct tq_npz *npz, struct tq_npz_array *array, size_t bytes);

/* The next `size` bytes, at most as many as there is room for; valid until the next call. TQ_FORMAT: damaged, or cut
 * off. */
enum tq_status tq_npz_array_take(struct tq_npz *npz, struct tq_npz_array *array, size_t size, const uint8_t **bytes);

/* Pass over any number of bytes. */
enum tq_status tq_npz_array_skip(struct tq_npz *npz, struct tq_npz_array *array, uint64_t size);

/* Behind the last element: TQ_FORMAT unless the member ends here and its checksum agrees with all that was taken. */
enum tq_status tq_npz_array_end(struct tq_npz *npz, struct tq_npz_array *array);

#endif
