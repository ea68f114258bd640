/* A folder's gate: closed while its data file is being replaced.
 *
 * Who opens the folder locks a byte of `owner` that is its own, then looks at byte 0; who replaces the file locks
 * byte 0, then looks at all others. So of two that meet at least one sees the other, whatever the order. */
#include "storage/platform.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define GATE 0u
#define WAIT_MS 5000
#define STEP_MS 10

static void sleep_a_step(void) {
    struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    (void)nanosleep(&step, NULL);
}

enum tq_status tq_folder_pass_gate(const char *folder, int fd, uint64_t own) {
    long pid = 0;
    for (int waited = 0;; waited += STEP_MS) {
        bool closed = tq_platform_lock_look(fd, GATE, 1, &pid) == EAGAIN;
        if (!closed) return TQ_OK; /* also where the file system has no such locks: nobody can close a gate there */
        tq_platform_unlock(fd, own, 1); /* seen by who is about to look, it would be taken for a user */
        if (waited >= WAIT_MS) {
            return tq_fail(TQ_BUSY, "%s is being compacted by another process: try again when that is done", folder);
        }
        sleep_a_step();
        int error = tq_platform_lock_byte(fd, own);
        if (error != 0) return tq_fail(TQ_BUSY, "%s: locking the owner file: %s", folder, strerror(error));
    }
}

enum tq_status tq_folder_close_gate(const char *folder, int fd) {
    long pid = 0;
    int error = tq_platform_lock_byte(fd, GATE);
    if (error == EAGAIN) return tq_fail(TQ_BUSY, "%s is being compacted by another process", folder);
    if (error == 0) error = tq_platform_lock_look(fd, GATE + 1, 0, &pid);
    if (error == 0) return TQ_OK;
    tq_platform_unlock(fd, GATE, 1);
    if (error == EAGAIN) return tq_fail(TQ_BUSY, "%s is open in another process", folder);
    return tq_fail(TQ_UNSUPPORTED, "%s: this system or file system has no locks that tell who has it open: %s", folder,
                   strerror(error));
}

void tq_folder_open_gate(int fd) { tq_platform_unlock(fd, GATE, 1); }
