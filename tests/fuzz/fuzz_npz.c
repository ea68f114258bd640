/* Zip files of arrays that claim to be NumPy's: which array holds the vectors is tried both ways. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "npz";
    fuzz_read(&options, data, size);
    options.part = "vectors";
    fuzz_read(&options, data, size);
    return 0;
}
