/* fvecs: the dimension, int32, before each row. */
#include "src/io/read.h"

static enum tq_status fvecs_put(struct tq_writer *writer, const struct tq_value *row) {
    const float *vector = NULL;
    const int32_t dim = (int32_t)writer->columns->dim;
    TQ_TRY(tq_writer_one_vector(writer, row, &vector));
    TQ_TRY(tq_writer_bytes(writer, &dim, sizeof dim));
    return tq_writer_bytes(writer, vector, (size_t)dim * sizeof *vector);
}

const struct tq_writer_ops tq_write_fvecs = {.open = tq_writer_check_one_vector, .put = fvecs_put};
