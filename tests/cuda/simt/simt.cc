#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { THREADS_MOST = 1024, STACK_BYTES = 128 * 1024, GIVEN_MOST = 32 };

thread_local uint3 threadIdx, blockIdx, blockDim, gridDim;
thread_local unsigned char *simt_shared;
alignas(1024) unsigned char simt_dynamic[SIMT_SHARED_MOST + 1024];

namespace {

enum State { RUNS, WAITS_WARP, WAITS_BLOCK, DONE };

struct Fiber {
    void *stack_pointer; /* while it does not run */
    char *stack;
    State state;
    uint32_t gathers; /* calls of simt_gather */
    uint32_t groups;  /* of copies */
};

/* A copy on its way into shared memory. */
struct Copy {
    uint32_t barrier, thread, group, to, bytes;
    const void *from;
};

struct Warp {
    /* By turns, so that a lane may give again while another still reads. */
    alignas(16) unsigned char given[2][32 * GIVEN_MOST], alone[32 * GIVEN_MOST];
};

std::mutex lock; /* one block runs at a time */
Fiber fibers[THREADS_MOST];
Warp warps[THREADS_MOST / 32];
std::vector<Copy> copies; /* of the block */
size_t shared_bytes;      /* what it asked for */
bool waited;              /* for the kernel before */
void (*running)(void *);
void *running_argument;

[[noreturn]] void die(const char *why) {
    (void)fprintf(stderr, "emulated block %u, thread %u: %s\n", blockIdx.x, threadIdx.x, why);
    abort();
}

/* ---- Changing stacks ---- */

#ifdef __x86_64__
void *scheduler;

/* Keeps what the callee must keep, leaves the stack's place in *kept, and goes on where `to` was left. */
extern "C" void simt_switch(void **kept, void *to);
__asm__(".text\n"
        ".globl simt_switch\n"
        ".hidden simt_switch\n"
        ".type simt_switch, @function\n"
        "simt_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size simt_switch, .-simt_switch\n");

void yield(Fiber &fiber) { simt_switch(&fiber.stack_pointer, scheduler); }
void resume(Fiber &fiber) { simt_switch(&scheduler, fiber.stack_pointer); }

void prepare(Fiber &fiber, void (*entry)()) {
    void **top = (void **)(void *)(fiber.stack + STACK_BYTES) - 3; /* aligned as behind a call */
    *top = nullptr;
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber.stack_pointer = top;
}
#else
ucontext_t scheduler, contexts[THREADS_MOST];

void yield(Fiber &fiber) { (void)swapcontext(&contexts[&fiber - fibers], &scheduler); }
void resume(Fiber &fiber) { (void)swapcontext(&scheduler, &contexts[&fiber - fibers]); }

void prepare(Fiber &fiber, void (*entry)()) {
    ucontext_t &context = contexts[&fiber - fibers];
    (void)getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = &scheduler;
    makecontext(&context, entry, 0);
}
#endif

void fiber_main() {
    running(running_argument);
    fibers[threadIdx.x].state = DONE;
    yield(fibers[threadIdx.x]);
}

void wait(State state) {
    Fiber &fiber = fibers[threadIdx.x];
    fiber.state = state;
    yield(fiber);
}

void begin(uint32_t thread) {
    Fiber &fiber = fibers[thread];
    if (fiber.stack == nullptr) {
        void *made = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) die("no memory for a stack");
        fiber.stack = (char *)made;
    }
    fiber.state = RUNS;
    fiber.gathers = fiber.groups = 0;
    prepare(fiber, fiber_main);
}

/* ---- Blocks ---- */

/* Those of `count` threads from `first` on that wait for each other go on once all are here. */
bool release(uint32_t first, uint32_t count, State state) {
    uint32_t waiting = 0, done = 0;
    for (uint32_t i = first; i < first + count; i++) {
        waiting += fibers[i].state == state;
        done += fibers[i].state == DONE;
    }
    if (waiting == 0 || waiting + done < count) return false;
    for (uint32_t i = first; i < first + count; i++) {
        if (fibers[i].state == state) fibers[i].state = RUNS;
    }
    return true;
}

/* Each thread of a warp until it waits; a warp until its threads wait for other warps. */
bool run_warp(uint32_t first) {
    bool moved = false;
    do {
        for (uint32_t i = first; i < first + 32; i++) {
            if (fibers[i].state != RUNS) continue;
            threadIdx.x = i;
            resume(fibers[i]);
            moved = true;
        }
    } while (release(first, 32, WAITS_WARP));
    return moved;
}

void run_block() {
    uint32_t threads = blockDim.x;
    waited = false;
    for (uint32_t i = 0; i < threads; i++) begin(i);
    do {
        for (uint32_t first = 0; first < threads; first += 32) (void)run_warp(first);
    } while (release(0, threads, WAITS_BLOCK));
    for (uint32_t i = 0; i < threads; i++) {
        threadIdx.x = i;
        if (fibers[i].state != DONE) die("waits for threads that do not come");
    }
    if (!copies.empty()) die("copies are on their way that nobody waited for");
#ifdef __SANITIZE_ADDRESS__
    return; /* it tells itself */
#endif
    for (size_t i = shared_bytes; i < sizeof simt_dynamic; i++) {
        if (simt_dynamic[i] != 0xcc) die("shared memory was written that it did not ask for");
    }
}

void run_work(void *argument) { (*(const SimtWork *)argument)(); }

} // namespace

static void run_blocks(uint32_t blocks, uint32_t threads, size_t shared, bool overlapping, void (*kernel)(void *),
                       void *argument) {
    std::lock_guard<std::mutex> held(lock);
    shared_bytes = shared;
    if (threads % 32 != 0 || threads == 0 || threads > THREADS_MOST) die("a block is whole warps, up to 1,024 threads");
    memset(simt_dynamic, 0xcc, sizeof simt_dynamic);
    running = kernel;
    running_argument = argument;
    blockDim = {threads, 1, 1};
    gridDim = {blocks, 1, 1};
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(simt_dynamic + shared, sizeof simt_dynamic - shared);
#endif
    for (uint32_t block = 0; block < blocks; block++) {
        blockIdx = {block, 0, 0};
        run_block();
        if (overlapping && !waited) die("does not wait for the kernel before it");
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(simt_dynamic, sizeof simt_dynamic);
#endif
}

void simt_launch(dim3 blocks, dim3 threads, size_t shared, bool overlapping, const SimtWork &kernel) {
    if (shared > SIMT_SHARED_MOST) die("more shared memory than there is");
    simt_shared = simt_dynamic;
    run_blocks(blocks.x, threads.x, shared, overlapping, run_work, (void *)&kernel);
}

void simt_run(uint32_t blocks, uint32_t threads, void (*kernel)(void *), void *argument) {
    run_blocks(blocks, threads, sizeof simt_dynamic, false, kernel, argument);
}

const void *simt_gather(uint32_t mask, const void *given, size_t bytes) {
    Fiber &fiber = fibers[threadIdx.x];
    Warp &warp = warps[threadIdx.x / 32];
    bool alone = mask == 1u << simt_lane();
    unsigned char *all = alone ? warp.alone : warp.given[fiber.gathers++ % 2];
    if (bytes > GIVEN_MOST) die("more is given than there is room for");
    if (alone) memset(all, 0, sizeof warp.alone);
    memcpy(all + (size_t)simt_lane() * bytes, given, bytes);
    if (!alone) wait(WAITS_WARP);
    return all;
}

void simt_wait_block() { wait(WAITS_BLOCK); }

void simt_waited() { waited = true; }

/* ---- Copies ---- */

template <class Which> static void copy_now(const Which &which) {
    size_t left = 0;
    for (const Copy &copy : copies) {
        if (which(copy))
            memcpy(simt_shared + copy.to, copy.from, copy.bytes);
        else
            copies[left++] = copy;
    }
    copies.resize(left);
}

void simt_copy_later(uint32_t barrier, uint32_t to, const void *from, uint32_t bytes) {
    copies.push_back({barrier, threadIdx.x, fibers[threadIdx.x].groups, to, bytes, from});
}

uint32_t simt_arrived(uint32_t barrier) {
    __syncwarp(); /* all have begun their copies */
    copy_now([=](const Copy &copy) { return copy.barrier == barrier; });
    return 1;
}

void simt_commit() { fibers[threadIdx.x].groups++; }

void simt_wait_groups(uint32_t but) {
    uint32_t thread = threadIdx.x, groups = fibers[thread].groups;
    copy_now([=](const Copy &copy) { return copy.barrier == 0 && copy.thread == thread && copy.group + but < groups; });
}

void simt_bit_product(int (&c)[4], const uint32_t (&a)[4], uint2 b) {
    struct Operands {
        uint32_t a[4];
        uint2 b;
    } mine = {{a[0], a[1], a[2], a[3]}, b};
    const Operands *all = simt_all(0xffffffffu, mine);
    int group = simt_lane() / 4, in_group = simt_lane() % 4;
    for (int i = 0; i < 4; i++) {
        int upper = i / 2, column = 2 * in_group + i % 2; /* of C: row group + 8 upper */
        for (int t = 0; t < 4; t++) {
            const Operands &row = all[4 * group + t], &query = all[4 * column + t];
            c[i] += __popc(row.a[upper] & query.b.x) + __popc(row.a[2 + upper] & query.b.y);
        }
    }
}

/* ---- Memory of the device ---- */

enum { HEAD_BYTES = 256 };
static const size_t DEVICE_BYTES = (size_t)4 << 30;
static std::atomic<size_t> used;

cudaError_t simt_allocate(void **made, size_t bytes) {
    size_t all = (bytes + 255) / 256 * 256 + HEAD_BYTES;
    if (used + bytes > DEVICE_BYTES) return cudaErrorMemoryAllocation;
    char *block = (char *)aligned_alloc(256, all);
    if (block == nullptr) return cudaErrorMemoryAllocation;
    memset(block, 0xcc, all); /* whatever was there before */
    memcpy(block, &bytes, sizeof bytes);
    used += bytes;
    *made = block + HEAD_BYTES;
    return cudaSuccess;
}

void simt_free(void *memory) {
    size_t bytes = 0;
    if (memory == nullptr) return;
    char *block = (char *)memory - HEAD_BYTES;
    memcpy(&bytes, block, sizeof bytes);
    used -= bytes;
    free(block);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *bytes) {
    *bytes = DEVICE_BYTES;
    *free_bytes = DEVICE_BYTES - used;
    return cudaSuccess;
}
