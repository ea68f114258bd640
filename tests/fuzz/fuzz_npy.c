/* Files that claim to be NumPy's, mapped and through the reader. */
#include "src/io/npy.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tq_reader_options options = tq_reader_defaults();
    struct tq_npy npy;
    options.format = "npy";
    fuzz_read(&options, data, size);
    if (tq_npy_open(fuzz_file(data, size), &npy) != TQ_OK) return 0;
    float *vector = malloc(npy.dim * sizeof *vector);
    fuzz_require(vector != NULL, "memory");
    for (uint64_t row = 0; row < npy.rows; row++) tq_npy_row(&npy, row, vector);
    free(vector);
    tq_npy_close(&npy);
    return 0;
}
