/* Kill a process before its n-th call that changes files, whichever way the call is made: preloading would miss what
 * libraries do inside the C library, such as fwrite().
 *
 * usage  stop_at PID N [torn]       N 0: nothing is killed
 *
 * Attaches to PID and its later threads, prints "ready", and when PID has ended "calls COUNT", and the call at which it
 * was killed. torn: of a write, the first half is written before. Standard output and error do not count, nor does
 * what is no file. Changes through a shared mapping are not seen. Linux 5.3 or newer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TORN_MAX = 1 << 24, PARTS_MAX = 64 };

static pid_t process;
static long calls, kill_at;
static bool torn;

struct call {
    long number;
    uint64_t arguments[6];
};

static void fail(const char *what) {
    (void)fprintf(stderr, "stop_at: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Which calls count ---- */

static bool is_write(long number) {
    return number == SYS_write || number == SYS_pwrite64 || number == SYS_writev || number == SYS_pwritev ||
           number == SYS_pwritev2;
}

static bool changes_descriptor(long number) {
    return is_write(number) || number == SYS_ftruncate || number == SYS_fallocate || number == SYS_fsync ||
           number == SYS_fdatasync || number == SYS_sync_file_range;
}

static bool changes_names(const struct call *call) {
    switch (call->number) {
#ifdef SYS_rename /* newer architectures have the *at() calls only */
    case SYS_rename:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_mkdir:
    case SYS_link: return true;
    case SYS_open: return (call->arguments[1] & (O_CREAT | O_TRUNC)) != 0;
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_linkat:
    case SYS_truncate:
    case SYS_msync:
    case SYS_copy_file_range: return true;
    case SYS_openat: return (call->arguments[2] & (O_CREAT | O_TRUNC)) != 0;
    default: return false;
    }
}

static bool is_file(uint64_t descriptor) {
    char name[64], target[4096];
    (void)snprintf(name, sizeof name, "/proc/%d/fd/%d", process, (int)descriptor);
    ssize_t size = readlink(name, target, sizeof target - 1);
    if (size <= 0) return false;
    target[size] = 0;
    return target[0] == '/' && strncmp(target, "/dev/pts", 8) != 0 && strcmp(target, "/dev/null") != 0;
}

static bool counts(const struct call *call) {
    if (changes_descriptor(call->number)) return call->arguments[0] > 2 && is_file(call->arguments[0]);
    return changes_names(call);
}

/* ---- Half of a write ---- */

static size_t read_memory(uint64_t from, void *to, size_t size) {
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)from, size};
    ssize_t done = process_vm_readv(process, &here, 1, &there, 1, 0);
    return done < 0 ? 0 : (size_t)done;
}

/* The bytes that a write is about to write. */
static size_t read_bytes(const struct call *call, char *bytes) {
    struct iovec parts[PARTS_MAX];
    size_t size = 0, count = (size_t)call->arguments[2];
    if (call->number == SYS_write || call->number == SYS_pwrite64)
        return read_memory(call->arguments[1], bytes, count < TORN_MAX ? count : TORN_MAX);
    if (count > PARTS_MAX) count = PARTS_MAX;
    count = read_memory(call->arguments[1], parts, count * sizeof *parts) / sizeof *parts;
    for (size_t i = 0; i < count && size < TORN_MAX; i++) {
        size_t room = TORN_MAX - size, part = parts[i].iov_len < room ? parts[i].iov_len : room;
        size += read_memory((uint64_t)(uintptr_t)parts[i].iov_base, bytes + size, part);
    }
    return size;
}

/* Where it would write them. */
static off_t position(const struct call *call, int file) {
    char name[64], line[128];
    unsigned long long at = 0, flags = 0;
    if (call->number == SYS_pwrite64 || call->number == SYS_pwritev || call->number == SYS_pwritev2)
        return (off_t)call->arguments[3];
    (void)snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", process, (int)call->arguments[0]);
    FILE *info = fopen(name, "r");
    if (info == NULL) fail(name);
    while (fgets(line, sizeof line, info) != NULL) {
        (void)sscanf(line, "pos: %llu", &at);
        (void)sscanf(line, "flags: %llo", &flags);
    }
    (void)fclose(info);
    return (flags & O_APPEND) != 0 ? lseek(file, 0, SEEK_END) : (off_t)at;
}

static void write_half(const struct call *call) {
    static char bytes[TORN_MAX];
    char name[64];
    size_t size = read_bytes(call, bytes) / 2;
    (void)snprintf(name, sizeof name, "/proc/%d/fd/%d", process, (int)call->arguments[0]);
    int file = open(name, O_WRONLY | O_CLOEXEC);
    if (file < 0) fail(name);
    if (size > 0 && pwrite(file, bytes, size, position(call, file)) < 0) fail("half of a write");
    (void)close(file);
}

/* ---- Tracing ---- */

static void look(pid_t thread) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) < 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    struct call call = {.number = (long)info.entry.nr};
    for (int i = 0; i < 6; i++) call.arguments[i] = info.entry.args[i];
    if (!counts(&call) || ++calls != kill_at) return;
    if (torn && is_write(call.number)) write_half(&call);
    (void)printf("at %ld\n", call.number);
    (void)kill(process, SIGKILL);
}

static void go_on(pid_t thread, int status) {
    int event = status >> 16, number = WSTOPSIG(status);
    if (event == PTRACE_EVENT_STOP && number != SIGTRAP) { /* stopped by somebody; it is for them to go on */
        (void)ptrace(PTRACE_LISTEN, thread, 0, 0);
        return;
    }
    bool own = event != 0 || number == (SIGTRAP | 0x80) || number == SIGTRAP;
    if (number == (SIGTRAP | 0x80)) look(thread);
    (void)ptrace(PTRACE_SYSCALL, thread, 0, (void *)(intptr_t)(own ? 0 : number));
}

static void attach(pid_t thread) {
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    int status = 0;
    if (ptrace(PTRACE_SEIZE, thread, 0, (void *)options) < 0) fail("attaching");
    if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0) fail("interrupting");
    if (waitpid(thread, &status, __WALL) != thread) fail("waiting");
    (void)ptrace(PTRACE_SYSCALL, thread, 0, 0);
}

/* The threads that are there; later ones are attached as they begin. The process waits meanwhile. */
static void attach_all(void) {
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/%d/task", process);
    DIR *threads = opendir(name);
    if (threads == NULL) fail(name);
    for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads))
        if (entry->d_name[0] != '.') attach((pid_t)atol(entry->d_name));
    (void)closedir(threads);
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    process = atoi(arguments[1]);
    kill_at = atol(arguments[2]);
    torn = count > 3;
    attach_all();
    (void)puts("ready");
    (void)fflush(stdout);
    for (int status = 0;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) break;
        if (WIFSTOPPED(status)) go_on(thread, status);
    }
    (void)printf("calls %ld\n", calls);
    return 0;
}
