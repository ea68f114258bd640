/* fvecs, bvecs and ivecs: the first byte says which, the rest is the file. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const formats[] = {"fvecs", "bvecs", "ivecs"};
    struct tq_reader_options options = tq_reader_defaults();
    if (size == 0) return 0;
    options.format = formats[data[0] % 3];
    fuzz_read(&options, data + 1, size - 1);
    return 0;
}
