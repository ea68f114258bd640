/* An index on one connection, codec and store joined: what both the library's handles and the SQL table stand on.
 * Private to the library; programs see src/tq.h. */
#ifndef TQ_DB_H
#define TQ_DB_H

#include "index/device.h"
#include "index/search.h"
#include "storage/check_tables.h"
#include "storage/pair.h"
#include "storage/repair.h"

/* Everything that encoding and searching one format needs, so that the second call costs no allocation. One thread at
 * a time. */
struct tq_engine {
    const struct tq_codec *codec;
    struct tq_codec *owned_codec; /* codec, unless it was lent */
    struct tq_encoder *encoder;
    struct tq_device_encoder *device_encoder; /* NULL: none, or not asked for yet */
    bool device_asked;                        /* for one */
    struct tq_searcher *searcher;
    void *query_memory;
    float *scratch;  /* f32[5 * dim] for decoding and widening */
    uint8_t *record; /* one that its segment holds packed */
};

/* An index of the C library on a connection: one part and its engine. */
struct tq_access {
    struct tq_conn *conn; /* borrowed */
    struct tq_table *table;
    struct tq_engine *engine;
};

/* The kernels a handle uses: what the CPU has, or those of TQ_ISA. TQ_MISUSE for a name that is unknown or that the CPU
 * lacks. */
enum tq_status tq_kernels_from_environment(struct tq_kernels *kernels);
bool tq_netfs_allowed(void);           /* TQ_ALLOW_NETFS=1 */
const char *tq_temporary_folder(void); /* SQLITE_TMPDIR, TMPDIR or /tmp, as SQLite has it */

/* `codec` NULL: open one of its own. */
enum tq_status tq_engine_open(const struct tq_format *format, const struct tq_codec *codec, struct tq_engine **engine);
void tq_engine_close(struct tq_engine *engine);

/* Search a view, of whatever segments of this format, under any metric (format.norms; else the index's own, or cosine);
 * arguments as tq_search, checked there. */
enum tq_status tq_engine_search(struct tq_engine *engine, const struct tq_view *view, enum tq_metric metric,
                                const float *queries, size_t query_count, size_t k,
                                const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                                struct tq_search_stats *stats);
/* As tq_search_range. */
enum tq_status tq_engine_range(struct tq_engine *engine, const struct tq_view *view, enum tq_metric metric,
                               const float *query, double score, size_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats);
/* The vector of a segment's row, f32[dim]. */
enum tq_status tq_engine_vector(struct tq_engine *engine, struct tq_segment *segment, uint32_t row, float *vector);

/* The same on the connection's snapshot. `name` as the catalog has it. */
enum tq_status tq_access_open(struct tq_conn *conn, struct tq_env *env, const char *name, const struct tq_codec *codec,
                              struct tq_access **access);
void tq_access_close(struct tq_access *access);

enum tq_status tq_access_put(struct tq_access *access, int64_t id, const float *vector);
/* Rows that are put one after another from 0 on; a device that may (TQ_GPU) encodes many of them at once. */
struct tq_access_rows {
    const int64_t *ids;
    const float *vectors;
    size_t count;
    size_t first, end, again; /* what is encoded already, and from where on to try again; 0 at first */
};
enum tq_status tq_access_put_row(struct tq_access *access, struct tq_access_rows *rows, size_t at);
enum tq_status tq_access_search(struct tq_access *access, enum tq_metric metric, const float *queries,
                                size_t query_count, size_t k, const struct tq_search_options *options,
                                struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats);
enum tq_status tq_access_range(struct tq_access *access, const float *query, double score, size_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats);
enum tq_status tq_access_vector(struct tq_access *access, struct tq_segment *segment, uint32_t row, float *vector);
enum tq_status tq_access_get(struct tq_access *access, int64_t id, float *vector);

/* ---- What there is ---- */

struct tq_spread {
    uint64_t count;
    double least, most, sum;
};
/* Of living rows: |x|; 1 / <u, x_hat>, the scale of an estimate; tan of the angle between u and x_hat (none where codes
 * are packed). Rows of zeros have only the first. */
struct tq_scales {
    struct tq_spread norm, scale, error;
    uint64_t zeros;
};
/* Reads all codes of a view. TQ_INTERRUPTED, TQ_CORRUPT. */
enum tq_status tq_view_scales(const struct tq_format *format, const struct tq_view *view, struct tq_scales *scales);

/* Bytes a second of one thread, from `bytes` bytes of memory: by the kernel that scans the first plane, and by plain
 * loads, which is as fast as it could be. Takes half a second. */
struct tq_machine_speed {
    size_t bytes;
    double scan, read;
};
enum tq_status tq_machine_measure(const struct tq_kernels *kernels, struct tq_machine_speed *speed);

/* ---- Repair, for the library and for SQL ---- */

struct tq_repairer {
    enum tq_status (*lost)(void *context, int64_t id, uint32_t vector, const char *why);
    void (*note)(void *context, const char *text);
    void *context;
    struct tq_engine *engine; /* for codes made anew */
    float *vector;
};
/* As tq_table_repair. */
enum tq_status tq_repairer_run(struct tq_repairer *repairer, struct tq_conn *conn, struct tq_env *env, const char *name,
                               enum tq_repair_how how, uint32_t vectors);
/* Open the folder that TQ_REPAIR_ADOPT_EMPTY needs: made, if that at its place cannot be the table's, which is set
 * aside. TQ_MISUSE: the table's own is there. */
enum tq_status tq_repairer_empty(struct tq_repairer *repairer, struct tq_conn *conn, const char *folder,
                                 const char *name, struct tq_env **env);
/* Opening the folder has failed, with `failure` and its message: if LMDB cannot follow its data file, put one in its
 * place that has what can be read of it, and open that. Else the same failure. */
enum tq_status tq_repairer_rescue(struct tq_repairer *repairer, struct tq_conn *conn, const char *folder,
                                  const char *name, enum tq_status failure, struct tq_env **env);
void tq_repairer_clear(struct tq_repairer *repairer);
/* Whether anything was ever written to a folder, or begun. */
enum tq_status tq_folder_holds_values(struct tq_env *env, bool *holds);
/* Rename a file or folder to <path>.old-1, or -2 and so on: `target` has its new name. */
enum tq_status tq_set_aside(const char *path, char *target, size_t size);

/* Check what tq_search is given. */
enum tq_status tq_search_check(const struct tq_search_options *options, int64_t k);

#endif
