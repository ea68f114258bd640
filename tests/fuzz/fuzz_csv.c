/* CSV: the first byte chooses options, the rest is the file. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const vectors[] = {NULL, "", "v", "c1..c3"};
    static const char separators[] = {0, ',', '\t', '|'};
    struct tq_reader_options options = tq_reader_defaults();
    if (size == 0) return 0;
    options.format = "csv";
    options.vector = vectors[data[0] & 3];
    options.separator = separators[data[0] >> 2 & 3];
    options.header = (data[0] >> 4) % 3 - 1;
    if (data[0] >> 7) options.columns = "embedding,v";
    fuzz_read(&options, data + 1, size - 1);
    return 0;
}
