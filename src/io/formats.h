/* The table of formats: a row for each in formats.c, and everything that differs between them behind these pointers. */
#ifndef TQ_FORMATS_H
#define TQ_FORMATS_H

#include "src/io/reader.h"
#include "src/io/writer.h"

struct tq_format {
    const char *name;    /* for options and messages */
    const char *endings; /* of files, with their points, set apart by blanks */
    const char *help;    /* what it is, one line */
    /* Whether a file that begins so is one; NULL: only the ending tells. `size` is 0..TQ_HEAD_BYTES. */
    bool (*recognise)(const uint8_t *head, size_t size);
    const struct tq_reader_ops *reader; /* NULL: not read, or built without its library */
    const struct tq_writer_ops *writer;
    const char *needs; /* the library that reading lacks, if there is no reader */
    bool parts;        /* a file may have several: options.part names one */
};

enum { TQ_HEAD_BYTES = 512 };

extern const struct tq_format tq_formats[];
extern const size_t tq_format_count;

/* By name, or NULL. */
const struct tq_format *tq_format_named(const char *name);

/* By the ending of a path, or NULL. */
const struct tq_format *tq_format_of_path(const char *path);

/* The names of all formats with a reader or with a writer, "npy, csv", for messages. */
void tq_format_list(bool writers, char *text, size_t size);

#endif
