/* A GPU's part measured through the plugin's own table, with no CUDA here: encoding, one query and eight over a million
 * rows and more, and the library with it and without.
 *
 *   build/gpu [--rows 1000000,10000000,100000000] [--dim 768] [--store-rows 1000000] [--threads N] [--csv FILE]
 *             [--plugin FILE] [--only quantize,search,library] [--base FILE.npy --query FILE.npy]
 *
 * The plugin is TQ_GPU_PLUGIN, or libtq_cuda.so beside this program. Rows are made (gpu_made.c), every one another.
 * Times are medians of 20 after 3 to warm up, each of another query: `device` by events from the query's copy to the
 * answer's, `host` by the clock around search_begin and search_end, which is what a user waits for.
 * bench/peers/gpu_peers.py measures others on the same rows, in lines of the same form. */
#include "bench/gpu.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/common/program.h"
#include "bench/common/report.h"
#include "src/base/alloc.h"

static const char COLUMNS[] = "system,table,rows,dim,queries,k,share_percent,candidates,device_ms,device_least,"
                              "device_most,host_ms,host_least,host_most,bytes,recall,note\n";

void *gpu_alloc(size_t count, size_t size) {
    void *memory = tq_alloc_array(count, size);
    if (memory == NULL) bench_check(TQ_NOMEM);
    return memory;
}

/* ---- The CSV ---- */

/* A line to the file and to the screen. */
static void write_line(struct gpu *g, const char *line) {
    (void)fputs(line, stdout);
    (void)fflush(stdout);
    if (g->csv == NULL) return;
    (void)fputs(line, g->csv);
    (void)fflush(g->csv);
}

void gpu_remark(struct gpu *g, const char *format, ...) {
    char text[400], line[404];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    (void)snprintf(line, sizeof line, "# %s\n", text);
    write_line(g, line);
}

static void add_number(char *line, size_t size, double value, int decimals) {
    size_t length = strlen(line);
    if (value < 0)
        (void)snprintf(line + length, size - length, ",");
    else
        (void)snprintf(line + length, size - length, ",%.*f", decimals, value);
}

static void add_times(char *line, size_t size, struct gpu_times *times) {
    double median = times->count == 0 ? -1 : bench_median(times->ms, times->count);
    add_number(line, size, median, 4);
    add_number(line, size, times->count == 0 ? -1 : times->ms[0], 4);
    add_number(line, size, times->count == 0 ? -1 : times->ms[times->count - 1], 4);
}

void gpu_tell(struct gpu *g, struct gpu_line *line) {
    char text[640];
    (void)snprintf(text, sizeof text, "\"%s\",%s,%llu,%u", line->system, line->table, (unsigned long long)line->rows,
                   line->dim);
    add_number(text, sizeof text, line->queries, 0);
    add_number(text, sizeof text, line->queries < 0 ? -1 : GPU_K, 0);
    add_number(text, sizeof text, line->share_percent, 3);
    add_number(text, sizeof text, line->candidates, 1);
    add_times(text, sizeof text, &line->device);
    add_times(text, sizeof text, &line->host);
    add_number(text, sizeof text, line->bytes, 0);
    add_number(text, sizeof text, line->recall, 4);
    size_t length = strlen(text);
    (void)snprintf(text + length, sizeof text - length, ",\"%s\"\n", line->note);
    write_line(g, text);
}

bool gpu_is_wanted(const struct gpu *g, const char *word) {
    return g->options.only == NULL || strstr(g->options.only, word) != NULL;
}

/* ---- Options ---- */

static void stop(const char *text) {
    fprintf(stderr, "gpu: %s\n", text);
    exit(2);
}

static void read_rows(struct gpu_options *options, const char *text) {
    for (size_t i = 0; i < GPU_SIZES; i++) {
        char *end = NULL;
        options->rows[i] = strtoull(text, &end, 10) / TQ_CUDA_GROUP_ROWS * TQ_CUDA_GROUP_ROWS;
        if (options->rows[i] == 0 || (i > 0 && options->rows[i] <= options->rows[i - 1])) stop("--rows must ascend");
        for (size_t j = i + 1; j < GPU_SIZES; j++) options->rows[j] = 0;
        if (*end == '\0') return;
        text = end + 1;
    }
    stop("too many --rows");
}

static void read_options(struct gpu_options *options, int argc, char **argv) {
    *options = (struct gpu_options){.dim = 768, .store_rows = 1000000, .threads = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    read_rows(options, "1000000,10000000,100000000");
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (value == NULL) stop("an option without its value");
        if (strcmp(name, "--rows") == 0)
            read_rows(options, value);
        else if (strcmp(name, "--dim") == 0)
            options->dim = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(name, "--store-rows") == 0)
            options->store_rows = strtoull(value, NULL, 10);
        else if (strcmp(name, "--threads") == 0)
            options->threads = (int)strtol(value, NULL, 10);
        else if (strcmp(name, "--csv") == 0)
            options->csv = value;
        else if (strcmp(name, "--only") == 0)
            options->only = value;
        else if (strcmp(name, "--base") == 0)
            options->base = value;
        else if (strcmp(name, "--query") == 0)
            options->query = value;
        else if (strcmp(name, "--plugin") == 0)
            (void)setenv("TQ_GPU_PLUGIN", value, 1);
        else
            stop("options are at the head of bench/gpu.c");
    }
}

static void open_device(struct gpu *g) {
    struct tq_device_state state;
    struct tq_cuda_why why = {{0}};
    (void)setenv("TQ_CUDA_TIMES", "1", 1);
    g->ops = tq_device_ops(&g->cuda);
    tq_device_get_state(true, &state);
    if (g->ops == NULL) stop(state.why);
    gpu_check(g->ops->describe(g->cuda, &g->device, &why), &why, "describe");
}

int main(int argc, char **argv) {
    struct gpu g = {0};
    read_options(&g.options, argc, argv);
    open_device(&g);
    if (g.options.csv != NULL && (g.csv = fopen(g.options.csv, "w")) == NULL) stop("the CSV cannot be written");
    if (g.csv != NULL) bench_report_head(g.csv, "# ", argc, argv);
    gpu_remark(&g, "device: %s, compute capability %d.%d, %d multiprocessors, %.1f GB", g.device.name, g.device.major,
               g.device.minor, g.device.multiprocessors, 1e-9 * (double)g.device.memory);
    gpu_remark(&g, "driver for CUDA %d.%d, runtime %d.%d", g.device.driver / 1000, g.device.driver % 1000 / 10,
               g.device.runtime / 1000, g.device.runtime % 1000 / 10);
    write_line(&g, COLUMNS);
    tq_kernels_select(tq_cpu_isa(), &g.kernels);
    if (gpu_is_wanted(&g, "quantize")) gpu_quantize(&g);
    gpu_made_open(&g.made, g.options.dim, g.options.threads);
    g.queries = gpu_alloc(GPU_QUERIES, g.options.dim * sizeof(float));
    gpu_made_queries(&g.made, 0, GPU_QUERIES, g.queries);
    if (gpu_is_wanted(&g, "search")) {
        gpu_rows_open(&g);
        for (size_t i = 0; i < GPU_SIZES && g.options.rows[i] > g.rows; i++)
            if (gpu_rows_grow(&g, g.options.rows[i])) gpu_search(&g);
        gpu_rows_close(&g);
    }
    if (gpu_is_wanted(&g, "library")) gpu_library(&g);
    gpu_made_close(&g.made);
    tq_free(g.queries);
    tq_codec_close(g.codec);
    for (size_t i = 0; i < g.truth_count; i++) bench_lists_free(&g.truths[i].lists);
    if (g.csv != NULL) (void)fclose(g.csv);
    return g.failed ? 1 : 0;
}
