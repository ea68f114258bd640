#include "src/io/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/io/formats.h"
#include "src/io/lines.h"

struct tq_reader_options tq_reader_defaults(void) {
    return (struct tq_reader_options){.header = -1};
}

/* ---- Columns ---- */

const char *tq_next_name(const char *list, const char **name, size_t *size) {
    list += strspn(list, ", ");
    *name = *list == '\0' ? NULL : list;
    list += *size = strcspn(list, ",");
    while (*size > 0 && (*name)[*size - 1] == ' ') --*size;
    return list;
}

static bool is_name(const char *name, const char *text, size_t size) {
    return strlen(name) == size && strncmp(name, text, size) == 0;
}

bool tq_reader_wants(const struct tq_reader *reader, const char *name) {
    const char *wanted = NULL, *list = reader->options.columns;
    size_t size = 0;
    if (list == NULL) return true;
    for (list = tq_next_name(list, &wanted, &size); wanted != NULL; list = tq_next_name(list, &wanted, &size))
        if (is_name(name, wanted, size)) return true;
    return false;
}

static enum tq_status check_dim(const struct tq_reader *reader, const char *name, uint64_t dim) {
    if (dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s: column %s has %llu dimensions; there must be 1 to %d", reader->path, name,
                       (unsigned long long)dim, TQ_DIM_MAX);
    }
    if (reader->options.dim != 0 && dim != reader->options.dim) {
        return tq_fail(TQ_FORMAT, "%s: column %s has %llu dimensions, not %u", reader->path, name,
                       (unsigned long long)dim, reader->options.dim);
    }
    return TQ_OK;
}

static enum tq_status grow_columns(struct tq_reader *reader) {
    size_t count = reader->info.column_count, more = count == 0 ? 8 : 2 * count;
    if ((count & (count - 1)) != 0 || (count != 0 && count < 8)) return TQ_OK; /* room up to the next power of two */
    struct tq_column *columns = tq_realloc(reader->columns, count * sizeof *columns, more * sizeof *columns);
    if (columns == NULL) return TQ_NOMEM;
    reader->columns = columns;
    struct tq_value *values = tq_realloc(reader->values, count * sizeof *values, more * sizeof *values);
    if (values == NULL) return TQ_NOMEM;
    reader->values = values;
    return TQ_OK;
}

enum tq_status tq_reader_column(struct tq_reader *reader, const char *name, enum tq_type type, uint64_t dim, bool key) {
    struct tq_reader_info *info = &reader->info;
    if (type == TQ_TYPE_VECTOR) TQ_TRY(check_dim(reader, name, dim));
    if (info->column_count == TQ_COLUMNS_MAX) {
        return tq_fail(TQ_FORMAT, "%s: more than %d columns", reader->path, TQ_COLUMNS_MAX);
    }
    TQ_TRY(grow_columns(reader));
    size_t bytes = strlen(name) + 1;
    char *copy = tq_alloc(bytes);
    if (copy == NULL) return TQ_NOMEM;
    memcpy(copy, name, bytes);
    uint32_t dimensions = type == TQ_TYPE_VECTOR ? (uint32_t)dim : 0;
    reader->values[info->column_count] = (struct tq_value){.type = TQ_TYPE_NULL};
    reader->columns[info->column_count++] = (struct tq_column){copy, type, dimensions, key};
    return TQ_OK;
}

static void note_vector(struct tq_reader_info *info) {
    for (info->vector = 0; info->vector < info->column_count; info->vector++)
        if (info->columns[info->vector].type == TQ_TYPE_VECTOR) return;
}

static struct tq_column *find_column(const struct tq_reader *reader, const char *name, size_t size) {
    for (size_t i = 0; i < reader->info.column_count; i++)
        if (is_name(reader->columns[i].name, name, size)) return &reader->columns[i];
    return NULL;
}

/* Tells which ones there are: a reader that wants them all has their names. */
static enum tq_status fail_column(const struct tq_reader *reader, const char *name, size_t size) {
    struct tq_reader_options all = reader->options;
    char list[256] = "";
    size_t used = 0;
    tq_reader *other = NULL;
    all.columns = all.key = all.vector = NULL;
    if (tq_reader_open(reader->path, &all, &other) == TQ_OK) {
        for (size_t i = 0; i < other->info.column_count && used < sizeof list; i++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                                     other->columns[i].name);
        tq_reader_close(other);
    }
    return tq_fail(TQ_NOT_FOUND, "%s: no column \"%.*s\"; it has %s%s", reader->path, (int)tq_min_size(size, 80), name,
                   list, used < sizeof list ? "" : "...");
}

static enum tq_status check_columns(const struct tq_reader *reader) {
    const char *name = NULL, *list = reader->options.columns;
    size_t size = 0;
    if (list == NULL) return TQ_OK;
    list = tq_next_name(list, &name, &size);
    if (name == NULL) return tq_fail(TQ_MISUSE, "%s: columns is \"\"; it must name one", reader->path);
    for (; name != NULL; list = tq_next_name(list, &name, &size))
        if (find_column(reader, name, size) == NULL) return fail_column(reader, name, size);
    return TQ_OK;
}

/* The column that options.key names is the only key. */
static enum tq_status mark_key(struct tq_reader *reader) {
    const char *name = reader->options.key;
    if (name == NULL) return TQ_OK;
    struct tq_column *key = find_column(reader, name, strlen(name));
    if (key == NULL && *name != '\0') {
        if (tq_reader_wants(reader, name)) return fail_column(reader, name, strlen(name));
        return tq_fail(TQ_MISUSE, "%s: key \"%.80s\" is none of the columns \"%.80s\"", reader->path, name,
                       reader->options.columns);
    }
    if (key != NULL && key->type == TQ_TYPE_VECTOR) {
        return tq_fail(TQ_MISUSE, "%s: column %.80s holds vectors; it cannot be the key", reader->path, name);
    }
    for (size_t i = 0; i < reader->info.column_count; i++) reader->columns[i].key = &reader->columns[i] == key;
    return TQ_OK;
}

/* A vector column that was named is there, also in formats that have no choice. "first..last" is several columns. */
static enum tq_status check_vector(const struct tq_reader *reader) {
    const char *name = reader->options.vector;
    if (name == NULL || *name == '\0' || strstr(name, "..") != NULL || !tq_reader_wants(reader, name)) return TQ_OK;
    const struct tq_column *column = find_column(reader, name, strlen(name));
    if (column == NULL) return fail_column(reader, name, strlen(name));
    if (column->type == TQ_TYPE_VECTOR) return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: column %.80s holds no vectors", reader->path, name);
}

/* ---- Which format ---- */

/* The first bytes of a file, as many as there are. Readers go back and look at the end: a pipe is none. */
static enum tq_status read_head(const char *path, uint8_t *head, size_t *size) {
    struct stat info;
    *size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return tq_fail(errno == ENOENT ? TQ_NOT_FOUND : TQ_IO, "%s: %s", path, strerror(errno));
    ssize_t got = fstat(file, &info) == 0 && S_ISREG(info.st_mode) ? pread(file, head, TQ_HEAD_BYTES, 0) : 0;
    int error = got < 0 ? errno : 0;
    (void)close(file);
    if (error != 0) return tq_fail(TQ_IO, "%s: %s", path, strerror(error));
    if (S_ISDIR(info.st_mode)) return tq_fail(TQ_FORMAT, "%s: a folder; name a file", path);
    if (!S_ISREG(info.st_mode)) return tq_fail(TQ_FORMAT, "%s: not a regular file; save what it gives to one", path);
    *size = (size_t)got;
    return TQ_OK;
}

static const struct tq_format *recognise(const char *path, const uint8_t *head, size_t size) {
    const struct tq_format *named = tq_format_of_path(path);
    if (named != NULL && (named->recognise == NULL || named->recognise(head, size))) return named;
    for (size_t i = 0; i < tq_format_count; i++)
        if (tq_formats[i].recognise != NULL && tq_formats[i].recognise(head, size)) return &tq_formats[i];
    return named;
}

static enum tq_status find_format(const char *path, const struct tq_reader_options *options,
                                  const struct tq_format **format) {
    uint8_t head[TQ_HEAD_BYTES] = {0};
    size_t size = 0, mark = 0;
    char list[256];
    tq_format_list(false, list, sizeof list);
    TQ_TRY(read_head(path, head, &size));
    *format = options->format != NULL ? tq_format_named(options->format) : recognise(path, head, size);
    if (*format == NULL && options->format == NULL) {
        TQ_TRY(tq_text_begin(path, head, size, &mark));
        *format = recognise(path, head + mark, size - mark);
    }
    if (*format == NULL && options->format != NULL) {
        return tq_fail(TQ_MISUSE, "format \"%.40s\" is none of %s", options->format, list);
    }
    if (*format == NULL) {
        return tq_fail(TQ_FORMAT, "%s: neither name nor contents tell the format; name one of %s", path, list);
    }
    if ((*format)->reader != NULL) return TQ_OK;
    return tq_fail(TQ_UNSUPPORTED, "%s: this build cannot read %s: it was made without %s", path, (*format)->name,
                   (*format)->needs);
}

/* ---- Life ---- */

static enum tq_status copy_text(const char **text) {
    if (*text == NULL) return TQ_OK;
    size_t bytes = strlen(*text) + 1;
    char *copy = tq_alloc(bytes);
    if (copy != NULL) memcpy(copy, *text, bytes);
    *text = copy;
    return copy == NULL ? TQ_NOMEM : TQ_OK;
}

static enum tq_status copy_options(struct tq_reader *reader, const char *path,
                                   const struct tq_reader_options *options) {
    struct tq_reader_options *mine = &reader->options;
    const char **texts[] = {&mine->format, &mine->part, &mine->columns, &mine->vector, &mine->key};
    const char *copy = path;
    TQ_TRY(copy_text(&copy));
    reader->path = (char *)copy;
    const struct tq_reader_options given = *options;
    *mine = given;
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < TQ_COUNT(texts); i++) {
        if (status == TQ_OK)
            status = copy_text(texts[i]);
        else
            *texts[i] = NULL;
    }
    return status;
}

enum tq_status tq_reader_open(const char *path, const struct tq_reader_options *options, tq_reader **reader) {
    const struct tq_reader_options defaults = tq_reader_defaults();
    const struct tq_format *format = NULL;
    if (options == NULL) options = &defaults;
    TQ_TRY(find_format(path, options, &format));
    if (options->part != NULL && !format->parts) {
        return tq_fail(TQ_MISUSE, "%s: %s files have no parts; part is \"%.80s\"", path, format->name, options->part);
    }
    struct tq_reader *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->ops = format->reader;
    made->info = (struct tq_reader_info){.format = format->name, .rows = UINT64_MAX};
    enum tq_status status = copy_options(made, path, options);
    if (status == TQ_OK) status = made->ops->open(made);
    if (status == TQ_OK) status = check_columns(made);
    if (status == TQ_OK) status = check_vector(made);
    if (status == TQ_OK) status = mark_key(made);
    if (status != TQ_OK) {
        tq_reader_close(made);
        return status;
    }
    made->info.columns = made->columns;
    note_vector(&made->info);
    *reader = made;
    return TQ_OK;
}

void tq_reader_close(tq_reader *reader) {
    if (reader == NULL) return;
    struct tq_reader_options *mine = &reader->options;
    const char *texts[] = {mine->format, mine->part, mine->columns, mine->vector, mine->key, reader->path};
    reader->ops->close(reader);
    for (size_t i = 0; i < reader->info.column_count; i++) tq_free((void *)reader->columns[i].name);
    for (size_t i = 0; i < TQ_COUNT(texts); i++) tq_free((void *)texts[i]);
    tq_free(reader->columns);
    tq_free(reader->values);
    tq_free(reader);
}

const struct tq_reader_info *tq_reader_get_info(const tq_reader *reader) { return &reader->info; }

/* ---- Rows ---- */

/* Bad rows apart, what went wrong once stays so: the reader does not know where it is any more. */
static enum tq_status note_failure(struct tq_reader *reader, enum tq_status status) {
    if (status == TQ_OK || status == TQ_MISUSE) return status;
    reader->failed = status;
    (void)snprintf(reader->failure, sizeof reader->failure, "%s", tq_message());
    return status;
}

enum tq_status tq_reader_next(tq_reader *reader, const struct tq_value **row) {
    bool end = reader->ended;
    *row = NULL;
    if (reader->failed != TQ_OK) return tq_fail(reader->failed, "%s", reader->failure);
    if (end) return TQ_OK;
    reader->row++;
    enum tq_status status = note_failure(reader, reader->ops->next(reader, &end));
    if (end) reader->row--;
    if (status == TQ_OK && !end) *row = reader->values;
    reader->ended = status == TQ_OK && end;
    return status;
}

enum tq_status tq_reader_skip(tq_reader *reader, uint64_t count) {
    uint64_t skipped = 0;
    if (reader->failed != TQ_OK) return tq_fail(reader->failed, "%s", reader->failure);
    if (reader->ops->skip != NULL) {
        enum tq_status status = note_failure(reader, reader->ops->skip(reader, count, &skipped));
        reader->row += skipped;
        return status;
    }
    const struct tq_value *row = NULL;
    for (; skipped < count; skipped++) {
        enum tq_status status = tq_reader_next(reader, &row);
        if (status != TQ_OK && status != TQ_MISUSE) return status;
        if (status == TQ_OK && row == NULL) break;
    }
    return TQ_OK;
}

const char *tq_reader_place(tq_reader *reader) {
    if (reader->ops->place != NULL)
        reader->ops->place(reader, reader->place, sizeof reader->place);
    else
        (void)snprintf(reader->place, sizeof reader->place, "%s, row %llu", reader->path,
                       (unsigned long long)(reader->row == 0 ? 0 : reader->row - 1));
    return reader->place;
}

double tq_reader_progress(const tq_reader *reader) { return reader->ops->progress(reader); }
