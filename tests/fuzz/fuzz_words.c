/* Words with vectors, as text or as word2vec's binary files. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "words";
    fuzz_read(&options, data, size);
    return 0;
}
