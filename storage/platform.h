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
/* Also what a child after fork() has of it. size 0: all there can be. */
void tq_platform_unlock(int fd, uint64_t offset, uint64_t size);
/* Whether somebody else has locked any of `size` bytes (0: of all there can be) from an offset: EAGAIN, and *pid is his
 * process where the lock belongs to one, else 0. 0 if not; else errno. The twin always says ENOTSUP. */
int tq_platform_lock_look(int fd, uint64_t offset, uint64_t size, long *pid);

/* The kind of network file system a path lies on, or NULL if it is local (the twin cannot tell: NULL). */
const char *tq_platform_network(const char *path);

/* Make a file of this size whose room on the disk is sure, or leave it as it is if it is larger: 0 or errno. File
 * systems that cannot say so, and the twin, do nothing. */
int tq_platform_reserve(const char *file, uint64_t size);

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

/* Give a folder that has a data file the owner file, and sync it. */
enum tq_status tq_folder_finish(const char *folder);
/* Remove a folder with what is ours in it. */
void tq_folder_remove(const char *folder);

/* fsync of a file or folder; of the folder a path lies in. */
enum tq_status tq_folder_sync(const char *path);
enum tq_status tq_folder_sync_parent(const char *path);

/* TQ_EXISTS if anything has this name. */
enum tq_status tq_folder_refuse_existing(const char *path);
/* Give a file or folder a name that is free, durably. TQ_EXISTS. */
enum tq_status tq_folder_move(const char *from, const char *to);

/* folder + "/" + name, or TQ_MISUSE where that is too long. */
enum tq_status tq_folder_join(const char *folder, const char *name, char *path, size_t size);

/* The folder a path lies in ("." if it names none). */
enum tq_status tq_folder_parent(const char *path, char *parent, size_t size);

#define TQ_DATA_FILE "data.mdb"
#define TQ_DATA_FILE_NEW "data.mdb.new" /* while a compaction writes it; worthless if it was killed */
#define TQ_LOCK_FILE "lock.mdb"
#define TQ_OWNER_FILE "owner"

/* The folder exists when this returns TQ_OK. Where it was absent and TQ_OPEN_CREATE is set, it is made beside,
 * filled by `fill`, synced and renamed. Network file systems: TQ_UNSUPPORTED unless allowed. */
enum tq_status tq_folder_ensure(const char *folder, unsigned flags, bool allow_netfs,
                                enum tq_status (*fill)(const char *folder));

/* Lock the owner file for this process and copy of the library: TQ_UNSUPPORTED if another copy has it. *fd is -1
 * or the file to keep open, also on failure. */
enum tq_status tq_folder_lock_owner(const char *folder, bool readonly, int *fd);

/* Let no process open the folder that is about to, with its own byte locked: wait until it may, then TQ_OK; TQ_BUSY. */
enum tq_status tq_folder_pass_gate(const char *folder, int fd, uint64_t own);
/* Keep others from opening the folder; `fd`: its owner file, with our own byte locked. TQ_BUSY if one has it open;
 * TQ_UNSUPPORTED where that cannot be known. */
enum tq_status tq_folder_close_gate(const char *folder, int fd);
void tq_folder_open_gate(int fd);

/* Bytes an ordinary user may still write where `path` lies; UINT64_MAX if unknown. */
uint64_t tq_folder_free_bytes(const char *path);

#endif
