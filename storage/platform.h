/* What the environment asks of the operating system beyond LMDB: locks, folders, advice to the page cache.
 *
 * platform_linux.c and platform_posix.c are twins, chosen by TQ_PLATFORM_POSIX; platform_folder.c is for both. */
#ifndef TQ_PLATFORM_H
#define TQ_PLATFORM_H

#include "src/base/base.h"

/* ---- The twins ---- */

/* Lock byte `offset` of a file for this open file alone. 0, EAGAIN if another open file has it, else errno.
 * The twin has no such lock and always says 0. */
int tq_platform_lock_byte(int fd, uint64_t offset);

/* The kind of network file system a path lies on, or NULL if it is local (the twin cannot tell: NULL). */
const char *tq_platform_network(const char *path);

/* Ask the kernel to read pages soon. Only advice: failures do not matter. */
void tq_platform_willneed(const void *address, size_t size);

/* Random bytes from the kernel: 0 or errno. */
int tq_platform_random(void *bytes, size_t size);

/* ---- For both ---- */

/* Descriptors 0 to 2, occupied while LMDB opens files: a program that closed stderr and later prints would
 * otherwise write into the store. */
struct tq_fd_guard {
    int fds[3];
    int count;
};
void tq_fd_guard_hold(struct tq_fd_guard *guard);
void tq_fd_guard_release(struct tq_fd_guard *guard);

/* Make an empty folder beside `folder` with a name of its own, written to `temporary` (of `size` bytes). */
enum tq_status tq_folder_make_beside(const char *folder, char *temporary, size_t size);

/* fsync of a file or folder; of the folder a path lies in. */
enum tq_status tq_folder_sync(const char *path);
enum tq_status tq_folder_sync_parent(const char *path);

/* folder + "/" + name, or TQ_MISUSE where that is too long. */
enum tq_status tq_folder_join(const char *folder, const char *name, char *path, size_t size);

/* The folder a path lies in ("." if it names none). */
enum tq_status tq_folder_parent(const char *path, char *parent, size_t size);

#define TQ_DATA_FILE "data.mdb"

/* The folder exists when this returns TQ_OK. Where it was absent and TQ_OPEN_CREATE is set, it is made beside,
 * filled by `fill`, synced and renamed. Network file systems: TQ_UNSUPPORTED unless allowed. */
enum tq_status tq_folder_ensure(const char *folder, unsigned flags, bool allow_netfs,
                                enum tq_status (*fill)(const char *folder));

/* Whether a file looks like LMDB's at all: it reads the first pages unchecked. TQ_FORMAT, TQ_CORRUPT, TQ_IO. */
enum tq_status tq_folder_check_data(const char *file);

/* Lock the owner file for this process and copy of the library: TQ_UNSUPPORTED if another copy has it. *fd is -1
 * or the file to keep open, also on failure. */
enum tq_status tq_folder_lock_owner(const char *folder, bool readonly, int *fd);

/* Bytes an ordinary user may still write where `path` lies; UINT64_MAX if unknown. */
uint64_t tq_folder_free_bytes(const char *path);

#endif
