/* Files that claim to be NumPy's. */
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/io/npy.h"
#include "tests/fuzz/fuzz.h"

static int file = -1;
static char path[4096];

static void remove_file(void) { (void)unlink(path); }

static void open_file(void) {
    const char *folder = getenv("TMPDIR");
    if (file >= 0) return;
    (void)snprintf(path, sizeof path, "%s/tq-fuzz-npy-XXXXXX", folder == NULL ? "/tmp" : folder);
    file = mkstemp(path);
    fuzz_require(file >= 0 && atexit(remove_file) == 0, "a temporary file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tq_npy npy;
    open_file();
    fuzz_require(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size, "a temporary file");
    if (tq_npy_open(path, &npy) != TQ_OK) return 0;
    float *vector = malloc(npy.dim * sizeof *vector);
    fuzz_require(vector != NULL, "memory");
    for (uint64_t row = 0; row < npy.rows; row++) tq_npy_row(&npy, row, vector);
    free(vector);
    tq_npy_close(&npy);
    return 0;
}
