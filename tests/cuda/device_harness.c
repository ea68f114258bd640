#include "tests/cuda/device_harness.h"

#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

enum { TOLD_MOST = 5 }; /* failed cases of a group that are printed */

static double seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- The program ---- */

static int parse(struct harness *h, int argc, char **argv, const char **plugin) {
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        bool more = i + 1 < argc;
        if (strcmp(argument, "--short") == 0)
            h->form = HARNESS_SHORT;
        else if (strcmp(argument, "--full") == 0)
            h->form = HARNESS_FULL;
        else if (strcmp(argument, "--sanitizer") == 0)
            h->form = HARNESS_SANITIZER;
        else if (strcmp(argument, "--plugin") == 0 && more)
            *plugin = argv[++i];
        else if (strcmp(argument, "--seed") == 0 && more)
            h->seed = strtoull(argv[++i], NULL, 0);
        else if (argument[0] != '-')
            h->pattern = argument;
        else
            return printf("%s [--plugin path] [--short | --full | --sanitizer] [--seed n] [pattern]\n", argv[0]), 2;
    }
    return 0;
}

/* The emulated plugin beside the program. */
static void default_plugin(char *path, size_t size, const char *program) {
    const char *slash = strrchr(program, '/');
    int length = slash == NULL ? 0 : (int)(slash - program + 1);
    (void)snprintf(path, size, "%.*s%slibtq_cuda_emulated.so", length, program, slash == NULL ? "./" : "");
}

static const struct tq_cuda_ops *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = NULL;
    tq_cuda_entry *entry = NULL;
    if (library != NULL) symbol = dlsym(library, TQ_CUDA_ENTRY);
    if (symbol == NULL) {
        printf("%s: %s\n", path, dlerror());
        return NULL;
    }
    memcpy(&entry, &symbol, sizeof entry);
    const struct tq_cuda_ops *ops = entry(TQ_CUDA_ABI);
    if (ops == NULL || ops->abi != TQ_CUDA_ABI || ops->bytes != sizeof *ops) {
        printf("%s: not a plugin of version %u\n", path, TQ_CUDA_ABI);
        return NULL;
    }
    return ops;
}

int harness_open(struct harness *h, int argc, char **argv) {
    char beside[4096];
    const char *plugin = beside;
    struct tq_cuda_why why = {""};
    struct tq_cuda_description description;
    *h = (struct harness){.form = HARNESS_SHORT, .seed = 1};
    default_plugin(beside, sizeof beside, argv[0]);
    int exit = parse(h, argc, argv, &plugin);
    if (exit != 0) return exit;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    h->random.state = h->seed;
    h->ops = load(plugin);
    if (h->ops == NULL) return 1;
    if (h->ops->open(0, &h->cuda, &why) != TQ_CUDA_OK || h->ops->describe(h->cuda, &description, &why) != TQ_CUDA_OK) {
        printf("%s: %s\n", plugin, why.text);
        return 1;
    }
    printf("%s, compute capability %d.%d, seed %llu\n", description.name, description.major, description.minor,
           (unsigned long long)h->seed);
    return 0;
}

static void end_group(struct harness *h) {
    if (h->group != NULL)
        printf("%-4s %-40s %6llu cases %7.2f s\n", h->group_failed == 0 ? "ok" : "FAIL", h->group,
               (unsigned long long)(h->group_passed + h->group_failed), seconds() - h->begun);
    h->passed += h->group_passed;
    h->failed += h->group_failed;
    h->group_passed = h->group_failed = 0;
    h->group = NULL;
}

int harness_close(struct harness *h) {
    end_group(h);
    h->ops->close(h->cuda);
    printf("%llu passed, %llu failed\n", (unsigned long long)h->passed, (unsigned long long)h->failed);
    return h->failed != 0 || h->passed == 0;
}

bool harness_group(struct harness *h, const char *name) {
    end_group(h);
    if (h->pattern != NULL && strstr(name, h->pattern) == NULL) return false;
    h->group = name;
    h->begun = seconds();
    return true;
}

void harness_case(struct harness *h, bool passed, const char *format, ...) {
    if (passed) {
        h->group_passed++;
        return;
    }
    if (h->group_failed++ >= TOLD_MOST) return;
    va_list arguments;
    va_start(arguments, format);
    printf("  %s: ", h->group);
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

bool harness_did(struct harness *h, enum tq_cuda_status status, const struct tq_cuda_why *why, const char *call) {
    if (status != TQ_CUDA_OK) harness_case(h, false, "%s: status %d, %s", call, (int)status, why->text);
    return status == TQ_CUDA_OK;
}

/* ---- Data ---- */

float harness_normal(struct check_random *random) {
    double radius = sqrt(-2 * log((double)((random_u64(random) >> 11) + 1) * 0x1p-53));
    return (float)(radius * cos(6.283185307179586 * (double)(random_u64(random) >> 11) * 0x1p-53));
}

void harness_odd_rows(struct check_random *random, float *rows, uint32_t dim, size_t count, bool half) {
    static const float small[] = {1e-3f, 1e-30f, 1e-42f}; /* the last one of denormals */
    for (size_t r = 0; r < count; r++) {
        float *x = rows + r * dim, scale = 1.0f;
        if (r % 7 == 3) scale = half ? 100.0f : 1e30f;
        if (r % 7 == 4) scale = small[half ? 0 : r % 3];
        for (uint32_t j = 0; j < dim; j++) {
            float v = harness_normal(random);
            bool chosen = j == r % dim;
            switch (r % 12) {
            case 1: v = j % 5 == 0 ? v : 0.0f; break;
            case 2: v = chosen ? 1.0f : 0.0f; break;
            case 3: v = 1.0f; break;
            case 4: v = (float)((r + j) % 2) - 0.5f; break;
            case 5: v *= expf(-0.02f * (float)j); break;
            case 6: v = chosen ? 1.0f : -0.0f; break;
            case 7: v = r % 24 == 7 ? 0.0f : r % 36 == 7 ? -0.0f : (float)(int)(4 * v); break;
            case 8: v = chosen ? -1.0f : 0.0f; break;
            case 9: v = j < dim / 2 ? v : 1e-6f * v; break;
            default: break;
            }
            x[j] = v * scale;
        }
    }
}

void harness_clusters_open(struct harness_clusters *clusters, struct check_random *random, uint32_t dim,
                           uint32_t centres, uint32_t subcentres) {
    size_t count = (size_t)dim * (centres + subcentres);
    *clusters = (struct harness_clusters){dim, centres, subcentres, malloc(count * sizeof(float)), 0.55};
    if (clusters->points == NULL) abort();
    for (size_t i = 0; i < count; i++) clusters->points[i] = 0.6f * harness_normal(random);
}

void harness_clusters_close(struct harness_clusters *clusters) { free(clusters->points); }

void harness_clusters_row(const struct harness_clusters *clusters, struct check_random *random, float *row) {
    uint32_t sub = random_below(random, clusters->subcentres), centre = sub % clusters->centres, dim = clusters->dim;
    const float *a = clusters->points + (size_t)centre * dim;
    const float *b = clusters->points + (size_t)(clusters->centres + sub) * dim;
    for (uint32_t j = 0; j < dim; j++) row[j] = a[j] + b[j] + (float)clusters->noise * harness_normal(random);
}
