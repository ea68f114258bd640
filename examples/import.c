/* Import a file of vectors, in any format that libtq_io reads, into a new store; rows are numbered from 0.
 *
 *   cc import.c $(pkg-config --cflags --libs tq_io) -o import && ./import /tmp/words words.npy */
#include <stdio.h>

#include <tq_io.h>

static int failed(const char *what) {
    (void)fprintf(stderr, "%s: %s\n", what, tq_message());
    return 1;
}

int main(int argc, char **argv) {
    tq_reader *reader = NULL;
    tq_store *store = NULL;
    tq_index *index = NULL;
    const struct tq_value *row = NULL;
    int64_t rows = 0;

    if (argc != 3) return (void)fprintf(stderr, "usage: import <new folder> <file>\n"), 2;
    if (tq_reader_open(argv[2], NULL, &reader) != TQ_OK) return failed("open");
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    if (info->vector == info->column_count) return (void)fprintf(stderr, "%s: no vectors\n", argv[2]), 1;
    struct tq_index_options options = tq_index_defaults(info->columns[info->vector].dim);
    if (info->has_metric) options.metric = info->metric;

    if (tq_open(argv[1], TQ_OPEN_CREATE, &store) != TQ_OK) return failed("store");
    if (tq_begin(store) != TQ_OK) return failed("begin");
    if (tq_index_create(store, "vectors", &options, &index) != TQ_OK) return failed("create");
    for (;; rows++) { /* a bad row is TQ_MISUSE: go on to skip it; here nothing is imported then */
        if (tq_reader_next(reader, &row) != TQ_OK) return failed("read");
        if (row == NULL) break;
        if (row[info->vector].type != TQ_TYPE_VECTOR) continue;
        if (tq_put(index, rows, row[info->vector].vector) != TQ_OK) return failed(tq_reader_place(reader));
    }
    if (tq_commit(store) != TQ_OK) return failed("commit");
    printf("%lld rows of %u dimensions, from %s\n", (long long)rows, options.dim, info->format);
    tq_reader_close(reader);
    tq_index_close(index);
    tq_close(store);
    return 0;
}
