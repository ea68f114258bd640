/* fbin, u8bin and i8bin: the first byte says which, the rest is the file. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const formats[] = {"fbin", "u8bin", "i8bin"};
    struct tq_reader_options options = tq_reader_defaults();
    if (size == 0) return 0;
    options.format = formats[data[0] % 3];
    fuzz_read(&options, data + 1, size - 1);
    return 0;
}
