/* JSON lines: the first byte chooses options, the rest is the file. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const vectors[] = {NULL, "", "v", "t"};
    struct tq_reader_options options = tq_reader_defaults();
    if (size == 0) return 0;
    options.format = "jsonl";
    options.vector = vectors[data[0] & 3];
    if (data[0] >> 7) options.columns = "v,late";
    if (data[0] >> 6 & 1) options.dim = 2;
    fuzz_read(&options, data + 1, size - 1);
    return 0;
}
