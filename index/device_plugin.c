/* Finding the plugin and opening its device: once a process, when a search first asks for it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/device_parts.h"

#define PLUGIN_FILE "libtq_cuda.so"
#define MEBIBYTE (UINT64_C(1) << 20)

static struct {
    atomic_int owner; /* the process that asked first */
    pthread_mutex_t lock;
    bool tried;
    atomic_bool usable;
    void *library;
    const struct tq_cuda_ops *ops;
    struct tq_cuda *cuda;
    struct tq_cuda_description description;
    uint64_t limit, searches, fallbacks;
    char why[256], plugin[256], fallback[256];
} device = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Neither CUDA nor a lock that another thread held outlives a fork(). */
static bool is_ours(void) {
    int first = 0, self = (int)getpid();
    return atomic_compare_exchange_strong(&device.owner, &first, self) || first == self;
}

/* ---- Settings ---- */

/* A whole number of at most `most`. */
static bool read_number(const char *text, uint64_t most, uint64_t *number) {
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false;
    unsigned long long value = strtoull(text, &end, 10);
    *number = value;
    return *end == '\0' && value <= most;
}

/* TQ_GPU: the device's number, or why there is to be none. */
static bool read_device(int *number) {
    const char *text = secure_getenv("TQ_GPU");
    uint64_t value = 0;
    *number = 0;
    if (text == NULL || text[0] == '\0' || strcmp(text, "auto") == 0) return true;
    if (strcmp(text, "off") == 0) {
        (void)snprintf(device.why, sizeof device.why, "TQ_GPU is off");
        return false;
    }
    if (read_number(text, 1023, &value)) {
        *number = (int)value;
        return true;
    }
    (void)snprintf(device.why, sizeof device.why, "TQ_GPU is \"%.40s\"; it must be off, auto or the number of a device",
                   text);
    return false;
}

bool tq_device_may_encode(void) {
    const char *text = secure_getenv("TQ_GPU");
    return text != NULL && text[0] != '\0' && strcmp(text, "off") != 0;
}

/* TQ_GPU_MEMORY, or most of what is free: programs beside this one, and the plugin itself, need some. */
static bool read_limit(void) {
    const char *text = secure_getenv("TQ_GPU_MEMORY");
    uint64_t value = 0;
    device.limit = device.description.free / 5 * 4;
    if (text == NULL || text[0] == '\0') return true;
    if (read_number(text, UINT64_MAX / MEBIBYTE, &value)) {
        device.limit = value * MEBIBYTE;
        return true;
    }
    (void)snprintf(device.why, sizeof device.why, "TQ_GPU_MEMORY is \"%.40s\"; it must be a number of MiB", text);
    return false;
}

/* ---- Opening; the lock is held ---- */

/* The file that holds this function. The loader knows a program that was found by PATH without its folder. */
static const char *find_self(char *program, size_t room) {
    Dl_info self;
    if (dladdr((void *)(uintptr_t)tq_device_get_state, &self) != 0 && self.dli_fname != NULL &&
        strchr(self.dli_fname, '/') != NULL)
        return self.dli_fname;
    ssize_t length = readlink("/proc/self/exe", program, room);
    if (length < 0 || (size_t)length >= room) return "";
    program[length] = '\0';
    return program;
}

/* The file beside that; without it, whatever the loader finds. */
static void find_plugin(void) {
    const char *named = secure_getenv("TQ_GPU_PLUGIN");
    char program[sizeof device.plugin], beside[sizeof device.plugin];
    if (named != NULL && named[0] != '\0') {
        (void)snprintf(device.plugin, sizeof device.plugin, "%s", named);
        return;
    }
    const char *self = find_self(program, sizeof program), *slash = strrchr(self, '/');
    int folder = slash == NULL ? 0 : (int)(slash - self) + 1;
    int length = snprintf(beside, sizeof beside, "%.*s%s", folder, self, PLUGIN_FILE);
    bool found = folder > 0 && length < (int)sizeof beside && access(beside, R_OK) == 0;
    (void)snprintf(device.plugin, sizeof device.plugin, "%s", found ? beside : PLUGIN_FILE);
}

static bool load_plugin(void) {
    find_plugin();
    device.library = dlopen(device.plugin, RTLD_NOW | RTLD_LOCAL);
    if (device.library == NULL) {
        const char *error = dlerror();
        (void)snprintf(device.why, sizeof device.why, "no plugin: %.240s", error == NULL ? device.plugin : error);
        device.plugin[0] = '\0';
        return false;
    }
    tq_cuda_entry *entry = NULL;
    void *symbol = dlsym(device.library, TQ_CUDA_ENTRY);
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from data to functions */
    if (entry == NULL) {
        (void)snprintf(device.why, sizeof device.why, "%.180s has no " TQ_CUDA_ENTRY "()", device.plugin);
        return false;
    }
    device.ops = entry(TQ_CUDA_ABI);
    if (device.ops != NULL && device.ops->abi == TQ_CUDA_ABI && device.ops->bytes == sizeof *device.ops) return true;
    (void)snprintf(device.why, sizeof device.why, "%.180s is of another version: %u is wanted", device.plugin,
                   TQ_CUDA_ABI);
    device.ops = NULL;
    return false;
}

static bool open_device(int number) {
    struct tq_cuda_why why = {{0}};
    bool open = device.ops->open(number, &device.cuda, &why) == TQ_CUDA_OK;
    if (open && device.ops->describe(device.cuda, &device.description, &why) == TQ_CUDA_OK) return true;
    (void)snprintf(device.why, sizeof device.why, "%s", why.text);
    if (open) device.ops->close(device.cuda);
    device.cuda = NULL;
    return false;
}

/* A plugin that cannot be used stays loaded: what it started may not like to be unmapped. */
static void try_once(void) {
    int number = 0;
    if (device.tried) return;
    device.tried = true;
    bool usable = read_device(&number) && load_plugin() && open_device(number) && read_limit();
    atomic_store(&device.usable, usable);
}

/* ---- For the others ---- */

const struct tq_cuda_ops *tq_device_ops(struct tq_cuda **cuda) {
    if (!is_ours()) return NULL;
    (void)pthread_mutex_lock(&device.lock);
    try_once();
    const struct tq_cuda_ops *ops = atomic_load(&device.usable) ? device.ops : NULL;
    *cuda = device.cuda;
    (void)pthread_mutex_unlock(&device.lock);
    return ops;
}

bool tq_device_is_usable(void) { return atomic_load(&device.usable) && is_ours(); }

const struct tq_cuda_ops *tq_device_ops_to_close(void) { return is_ours() ? device.ops : NULL; }

uint64_t tq_device_limit(void) { return device.limit; }

bool tq_device_failed(enum tq_cuda_status status, const struct tq_cuda_why *why) {
    if (status != TQ_CUDA_LOST) return status != TQ_CUDA_OK;
    (void)pthread_mutex_lock(&device.lock);
    if (atomic_exchange(&device.usable, false))
        (void)snprintf(device.why, sizeof device.why, "the device was lost: %.200s", why->text);
    (void)pthread_mutex_unlock(&device.lock);
    return true;
}

void tq_device_note_search(void) {
    (void)pthread_mutex_lock(&device.lock);
    device.searches++;
    (void)pthread_mutex_unlock(&device.lock);
}

void tq_device_note_fallback(const char *why, size_t queries) {
    if (!is_ours()) return;
    (void)pthread_mutex_lock(&device.lock);
    device.fallbacks += queries;
    (void)snprintf(device.fallback, sizeof device.fallback, "%s", why[0] == '\0' ? device.why : why);
    (void)pthread_mutex_unlock(&device.lock);
}

void tq_device_get_state(bool open, struct tq_device_state *state) {
    memset(state, 0, sizeof *state);
    if (!open && atomic_load(&device.owner) == 0) { /* so a child may still be the first to ask */
        (void)snprintf(state->why, sizeof state->why, "nothing has asked for a device yet");
        return;
    }
    if (!is_ours()) {
        (void)snprintf(state->why, sizeof state->why,
                       "a child after fork() has no device: it must open its store anew");
        return;
    }
    (void)pthread_mutex_lock(&device.lock);
    if (open) try_once();
    state->usable = atomic_load(&device.usable);
    state->device = device.description;
    state->limit = device.limit;
    state->searches = device.searches;
    state->fallbacks = device.fallbacks;
    memcpy(state->why, device.why, sizeof state->why);
    memcpy(state->plugin, device.plugin, sizeof state->plugin);
    memcpy(state->fallback, device.fallback, sizeof state->fallback);
    if (!device.tried) (void)snprintf(state->why, sizeof state->why, "nothing has asked for a device yet");
    (void)pthread_mutex_unlock(&device.lock);
    tq_device_sets_state(state);
}

void tq_device_forget(void) {
    if (!is_ours()) return;
    if (device.cuda != NULL) device.ops->close(device.cuda);
    if (device.library != NULL) (void)dlclose(device.library);
    device.tried = false;
    atomic_store(&device.usable, false);
    device.library = NULL;
    device.ops = NULL;
    device.cuda = NULL;
    device.limit = device.searches = device.fallbacks = 0;
    device.why[0] = device.plugin[0] = device.fallback[0] = '\0';
    memset(&device.description, 0, sizeof device.description);
}
