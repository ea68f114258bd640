#include "src/io/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/io/formats.h"

enum { BUFFER_BYTES = 1 << 18 };

enum tq_status tq_writer_fail(struct tq_writer *writer, int error) {
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    writer->error = error;
    return tq_fail(full ? TQ_FULL : TQ_IO, "%s: %s", writer->path, strerror(error));
}

enum tq_status tq_writer_bytes(struct tq_writer *writer, const void *bytes, size_t size) {
    if (fwrite(bytes, 1, size, writer->file) == size) return TQ_OK;
    return tq_writer_fail(writer, errno);
}

static enum tq_status find_format(const char *path, const char *name, const struct tq_format **format) {
    char list[256];
    tq_format_list(true, list, sizeof list);
    *format = name != NULL ? tq_format_named(name) : tq_format_of_path(path);
    if (*format != NULL && (*format)->writer != NULL) return TQ_OK;
    if (name != NULL) return tq_fail(TQ_MISUSE, "format \"%.40s\" is none of %s", name, list);
    return tq_fail(TQ_MISUSE, "%s: the name does not tell a format that can be written; name one of %s", path, list);
}

/* ---- Open ---- */

static enum tq_status copy_columns(struct tq_writer *writer, const struct tq_column *columns, size_t count) {
    writer->columns = tq_alloc_array(count, sizeof *columns);
    if (writer->columns == NULL) return TQ_NOMEM;
    for (; writer->column_count < count; writer->column_count++) {
        size_t bytes = strlen(columns[writer->column_count].name) + 1;
        char *name = tq_alloc(bytes);
        if (name == NULL) return TQ_NOMEM;
        memcpy(name, columns[writer->column_count].name, bytes);
        writer->columns[writer->column_count] = columns[writer->column_count];
        writer->columns[writer->column_count].name = name;
    }
    return TQ_OK;
}

static enum tq_status set_paths(struct tq_writer *writer, const char *path) {
    enum { SUFFIX_BYTES = 32 };
    struct stat info;
    char target[PATH_MAX];
    /* A link stays one: what it leads to is replaced. */
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && realpath(path, target) != NULL) path = target;
    size_t bytes = strlen(path) + 1;
    writer->path = tq_alloc(bytes);
    writer->unfinished = tq_alloc_zero(bytes + SUFFIX_BYTES);
    if (writer->path == NULL || writer->unfinished == NULL) return TQ_NOMEM;
    memcpy(writer->path, path, bytes);
    return TQ_OK;
}

/* Beside the place it will have, so that the rename cannot leave the file system. */
static int create_unfinished(struct tq_writer *writer) {
    enum { TRIES = 100 };
    size_t room = strlen(writer->path) + 32;
    int file = -1;
    for (int i = 0; file < 0 && i < TRIES; i++) {
        (void)snprintf(writer->unfinished, room, "%s.new-%ld-%d", writer->path, (long)getpid(), i);
        file = open(writer->unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST) break;
    }
    if (file < 0) writer->unfinished[0] = '\0'; /* not ours to remove */
    return file;
}

static enum tq_status open_file(struct tq_writer *writer, const char *path) {
    struct stat info;
    TQ_TRY(set_paths(writer, path));
    bool exists = stat(writer->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return tq_fail(TQ_MISUSE, "%s: a folder; name a file in it", path);
    /* A pipe or a device is written to as it is: a file in its place would be the end of /dev/null. */
    bool direct = exists && !S_ISREG(info.st_mode);
    int file = direct ? open(writer->path, O_WRONLY | O_CLOEXEC) : create_unfinished(writer);
    if (file < 0) return tq_writer_fail(writer, errno);
    if (exists && !direct) (void)fchmod(file, info.st_mode & 0777); /* what was for its owner alone stays so */
    writer->file = fdopen(file, "wb");
    if (writer->file == NULL) {
        int error = errno;
        (void)close(file);
        return tq_writer_fail(writer, error);
    }
    writer->buffer = tq_alloc(BUFFER_BYTES);
    if (writer->buffer == NULL) return TQ_NOMEM;
    (void)setvbuf(writer->file, writer->buffer, _IOFBF, BUFFER_BYTES);
    return TQ_OK;
}

enum tq_status tq_writer_open(const char *path, const char *format, const struct tq_column *columns,
                              size_t column_count, tq_writer **writer) {
    const struct tq_format *found = NULL;
    TQ_TRY(find_format(path, format, &found));
    struct tq_writer *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->ops = found->writer;
    made->format = found->name;
    enum tq_status status = copy_columns(made, columns, column_count);
    if (status == TQ_OK) status = open_file(made, path);
    if (status == TQ_OK) status = made->ops->open(made);
    if (status == TQ_OK)
        *writer = made;
    else
        tq_writer_abort(made);
    return status;
}

/* ---- Vectors ---- */

enum tq_status tq_writer_check_one_vector(struct tq_writer *writer) {
    const struct tq_column *column = NULL, *other = NULL;
    for (size_t i = 0; i < writer->column_count; i++) {
        const struct tq_column *this = &writer->columns[i];
        if (column == NULL && this->type == TQ_TYPE_VECTOR)
            column = this;
        else
            other = this;
    }
    if (other != NULL) {
        return tq_fail(TQ_MISUSE,
                       "%s: %s takes one vector column and nothing else, not %s; leave that out, or write csv",
                       writer->path, writer->format, other->name);
    }
    if (column == NULL) return tq_fail(TQ_MISUSE, "%s: no columns; name that of the vectors", writer->path);
    if (column->dim >= 1 && column->dim <= TQ_DIM_MAX) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s: column %s has %u dimensions; there must be 1 to %d", writer->path, column->name,
                   column->dim, TQ_DIM_MAX);
}

enum tq_status tq_writer_one_vector(const struct tq_writer *writer, const struct tq_value *row, const float **vector) {
    if (row->type != TQ_TYPE_VECTOR) {
        return tq_fail(
            TQ_MISUSE,
            "%s, row %llu: column %s is no vector; %s has one in every row: leave the others out (WHERE %s IS"
            " NOT NULL), or write csv",
            writer->path, (unsigned long long)writer->rows, writer->columns->name, writer->format,
            writer->columns->name);
    }
    *vector = row->vector;
    return TQ_OK;
}

static enum tq_status check_dimensions(const struct tq_writer *writer, const struct tq_value *row) {
    for (size_t i = 0; i < writer->column_count; i++) {
        const struct tq_column *column = &writer->columns[i];
        if (column->type != TQ_TYPE_VECTOR || row[i].type != TQ_TYPE_VECTOR || row[i].size == column->dim) continue;
        if (column->dim == 0) continue;
        return tq_fail(TQ_MISUSE, "%s, row %llu: column %s has %zu dimensions, not %u", writer->path,
                       (unsigned long long)writer->rows, column->name, row[i].size, column->dim);
    }
    return TQ_OK;
}

/* ---- Rows and the end ---- */

enum tq_status tq_writer_put(tq_writer *writer, const struct tq_value *row) {
    if (writer->error != 0) return tq_writer_fail(writer, writer->error);
    TQ_TRY(check_dimensions(writer, row));
    TQ_TRY(writer->ops->put(writer, row));
    writer->rows++;
    return TQ_OK;
}

/* The name is durable once its folder is; a folder that cannot be opened is no reason to lose the file. */
static void sync_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) slash[slash == path] = '\0';
    int folder = open(slash == NULL ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) (void)fsync(folder);
    if (folder >= 0) (void)close(folder);
}

static enum tq_status finish_file(struct tq_writer *writer) {
    if (writer->error != 0) return tq_writer_fail(writer, writer->error);
    if (writer->ops->finish != NULL) TQ_TRY(writer->ops->finish(writer));
    if (fflush(writer->file) != 0) return tq_writer_fail(writer, errno);
    if (writer->unfinished[0] == '\0') return TQ_OK;
    if (fsync(fileno(writer->file)) != 0 || rename(writer->unfinished, writer->path) != 0) {
        return tq_writer_fail(writer, errno);
    }
    writer->unfinished[0] = '\0';
    sync_folder(writer->path);
    return TQ_OK;
}

enum tq_status tq_writer_close(tq_writer *writer) {
    enum tq_status status = finish_file(writer);
    tq_writer_abort(writer);
    return status;
}

void tq_writer_abort(tq_writer *writer) {
    if (writer == NULL) return;
    if (writer->ops->close != NULL) writer->ops->close(writer);
    if (writer->file != NULL) (void)fclose(writer->file);
    if (writer->unfinished != NULL && writer->unfinished[0] != '\0') (void)unlink(writer->unfinished);
    for (size_t i = 0; i < writer->column_count; i++) tq_free((void *)writer->columns[i].name);
    tq_free(writer->columns);
    tq_free(writer->buffer);
    tq_free(writer->unfinished);
    tq_free(writer->path);
    tq_free(writer);
}
