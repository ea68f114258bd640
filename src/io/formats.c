#include "src/io/formats.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "src/io/read.h"

static bool is_npy(const uint8_t *head, size_t size) { return size >= 6 && memcmp(head, "\x93NUMPY", 6) == 0; }

/* Any zip file whose first member is an array: the name is 30 bytes behind the beginning. */
static bool is_npz(const uint8_t *head, size_t size) {
    if (size < 30 || memcmp(head, "PK\3\4", 4) != 0) return false;
    size_t length = head[26] | (size_t)head[27] << 8;
    return length > 4 && length <= size - 30 && memcmp(head + 30 + length - 4, ".npy", 4) == 0;
}

static bool is_hdf5(const uint8_t *head, size_t size) { return size >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0; }

static bool is_sqlite(const uint8_t *head, size_t size) {
    static const char magic[] = "SQLite format 3"; /* with its zero byte */
    return size >= sizeof magic && memcmp(head, magic, sizeof magic) == 0;
}

const struct tq_format tq_formats[] = {
    {.name = "npy",
     .endings = ".npy",
     .help = "a NumPy array of vectors: float16 to float64, int8 to uint64; written as float32",
     .recognise = is_npy,
     .reader = &tq_read_npy,
     .writer = &tq_write_npy},
    {.name = "npz",
     .endings = ".npz",
     .help = "NumPy arrays: vectors, and columns of as many numbers or texts",
     .recognise = is_npz,
     .parts = true,
#ifdef TQ_HAVE_ZIP
     .reader = &tq_read_npz
#else
     .needs = "libzip"
#endif
    },
    {.name = "fvecs",
     .endings = ".fvecs",
     .help = "float32, each row after its dimension",
     .reader = &tq_read_vecs,
     .writer = &tq_write_fvecs},
    {.name = "bvecs", .endings = ".bvecs", .help = "uint8, each row after its dimension", .reader = &tq_read_vecs},
    {.name = "ivecs", .endings = ".ivecs", .help = "int32, each row after its dimension", .reader = &tq_read_vecs},
    {.name = "fbin", .endings = ".fbin", .help = "float32 after rows and dimension", .reader = &tq_read_bin},
    {.name = "u8bin", .endings = ".u8bin", .help = "uint8 after rows and dimension", .reader = &tq_read_bin},
    {.name = "i8bin", .endings = ".i8bin", .help = "int8 after rows and dimension", .reader = &tq_read_bin},
    {.name = "hdf5",
     .endings = ".hdf5 .h5",
     .help = "HDF5, as of ann-benchmarks: train, or the dataset that is named",
     .recognise = is_hdf5,
     .parts = true,
#ifdef TQ_HAVE_HDF5
     .reader = &tq_read_hdf5
#else
     .needs = "HDF5"
#endif
    },
    {.name = "sqlite",
     .endings = ".sqlite .sqlite3 .db .db3",
     .help = "a table of an SQLite database, also of sqlite-vec (vec0)",
     .recognise = is_sqlite,
     .parts = true,
     .reader = &tq_read_sqlite},
    {.name = "csv",
     .endings = ".csv .tsv",
     .help = "comma- or tab-separated: a column of vectors, or a column for each dimension",
#ifdef TQ_HAVE_CSV
     .reader = &tq_read_csv,
#else
     .needs = "libcsv",
#endif
     .writer = &tq_write_csv},
    {.name = "jsonl",
     .endings = ".jsonl .ndjson .json",
     .help = "JSON lines: an object on each line",
     .recognise = tq_is_jsonl,
     .reader = &tq_read_jsonl,
     .writer = &tq_write_jsonl},
    {.name = "words",
     .endings = ".txt .vec",
     .help = "words with vectors: GloVe, word2vec (also binary), fastText",
     .recognise = tq_is_words,
     .reader = &tq_read_words},
};
const size_t tq_format_count = TQ_COUNT(tq_formats);

const struct tq_format *tq_format_named(const char *name) {
    for (size_t i = 0; i < tq_format_count; i++)
        if (strcmp(tq_formats[i].name, name) == 0) return &tq_formats[i];
    return NULL;
}

static bool has_ending(const char *path, const char *endings) {
    size_t length = strlen(path);
    for (const char *at = endings; *at != '\0';) {
        size_t size = strcspn(at, " ");
        if (size < length && strncasecmp(path + length - size, at, size) == 0) return true;
        at += size + strspn(at + size, " ");
    }
    return false;
}

const struct tq_format *tq_format_of_path(const char *path) {
    for (size_t i = 0; i < tq_format_count; i++)
        if (has_ending(path, tq_formats[i].endings)) return &tq_formats[i];
    return NULL;
}

void tq_format_list(bool writers, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tq_format_count && used < size; i++) {
        if (writers ? tq_formats[i].writer == NULL : tq_formats[i].reader == NULL) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", tq_formats[i].name);
    }
}

const char *tq_format_name(size_t place, unsigned *flags, const char **help) {
    if (place >= tq_format_count) return NULL;
    const struct tq_format *format = &tq_formats[place];
    if (flags != NULL) *flags = (format->reader ? TQ_CAN_READ : 0u) | (format->writer ? TQ_CAN_WRITE : 0u);
    if (help != NULL) *help = format->help;
    return format->name;
}
