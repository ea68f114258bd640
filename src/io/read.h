/* All readers and writers that formats.c lists. */
#ifndef TQ_READ_H
#define TQ_READ_H

#include "src/io/reader.h"
#include "src/io/writer.h"

extern const struct tq_reader_ops tq_read_npy;
extern const struct tq_reader_ops tq_read_npz;  /* TQ_HAVE_ZIP */
extern const struct tq_reader_ops tq_read_vecs; /* its kind by the format's name, as is that of tq_read_bin */
extern const struct tq_reader_ops tq_read_bin;
extern const struct tq_reader_ops tq_read_words;
extern const struct tq_reader_ops tq_read_jsonl;
extern const struct tq_reader_ops tq_read_csv;  /* TQ_HAVE_CSV */
extern const struct tq_reader_ops tq_read_hdf5; /* TQ_HAVE_HDF5 */
extern const struct tq_reader_ops tq_read_sqlite;
extern const struct tq_reader_ops tq_read_vec0; /* not in the table: read_sqlite.c goes on as it */
extern const struct tq_writer_ops tq_write_npy;
extern const struct tq_writer_ops tq_write_csv;
extern const struct tq_writer_ops tq_write_jsonl;
extern const struct tq_writer_ops tq_write_fvecs;

/* Whether a file that begins so is one; for formats.c. */
bool tq_is_words(const uint8_t *head, size_t size);
bool tq_is_jsonl(const uint8_t *head, size_t size);

#endif
