#include "src/io/csv_rows.h"

#ifdef TQ_HAVE_CSV
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"

/* No row that can be read has more. */
enum { CELLS_MAX = 2 * TQ_DIM_MAX };

/* ---- What libcsv calls ---- */

static bool reserve_text(struct tq_csv_rows *rows, size_t size) {
    if (size <= rows->text_capacity) return true;
    size_t capacity = tq_max_size(size, 2 * rows->text_capacity);
    char *grown = tq_realloc(rows->text, rows->text_size, capacity);
    if (grown == NULL) return false;
    rows->text = grown;
    rows->text_capacity = capacity;
    return true;
}

static bool reserve_cells(struct tq_csv_rows *rows, size_t count) {
    if (count <= rows->cell_capacity) return true;
    size_t capacity = tq_max_size(256, 2 * rows->cell_capacity);
    size_t *begins = tq_realloc(rows->begins, rows->cell_count * sizeof *begins, capacity * sizeof *begins);
    if (begins == NULL) return false;
    rows->begins = begins;
    struct tq_csv_cell *cells = tq_alloc_array(capacity, sizeof *cells);
    if (cells == NULL) return false;
    tq_free(rows->cells);
    rows->cells = cells;
    rows->cell_capacity = capacity;
    return true;
}

/* text: NULL: an empty cell without quotes. */
static void add_cell(void *text, size_t size, void *context) {
    struct tq_csv_rows *rows = context;
    if (rows->cell_count == CELLS_MAX) rows->too_many = true;
    if (rows->ended) rows->split = true;
    if (rows->out_of_memory || rows->too_many) return;
    if (!reserve_cells(rows, rows->cell_count + 1) || !reserve_text(rows, rows->text_size + size + 1)) {
        rows->out_of_memory = true;
        return;
    }
    rows->begins[rows->cell_count++] = text == NULL ? SIZE_MAX : rows->text_size;
    if (text == NULL) return;
    memcpy(rows->text + rows->text_size, text, size);
    rows->text_size += size;
    rows->text[rows->text_size++] = '\0';
}

static void end_row(int terminator, void *context) {
    (void)terminator;
    ((struct tq_csv_rows *)context)->ended = true;
}

/* ---- Open ---- */

static enum tq_status reset_parser(struct tq_csv_rows *rows) {
    enum { GROWTH = 64 << 10 };
    if (rows->has_parser) csv_free(&rows->parser);
    rows->has_parser = csv_init(&rows->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) == 0;
    if (!rows->has_parser) return tq_fail(TQ_NOMEM, "out of memory");
    csv_set_delim(&rows->parser, (unsigned char)rows->separator);
    csv_set_blk_size(&rows->parser, GROWTH); /* 128 bytes at a time would be too slow for the longest rows */
    return TQ_OK;
}

static char guess_separator(const char *path, const char *text, size_t size) {
    static const char separators[] = ",\t;";
    size_t counts[3] = {0}, length = strlen(path), most = 0;
    bool quoted = false;
    if (length >= 4 && strcasecmp(path + length - 4, ".tsv") == 0) return '\t';
    for (size_t i = 0; i < size && (quoted || text[i] != '\n'); i++) {
        quoted ^= text[i] == '"';
        const char *found = quoted || text[i] == '\0' ? NULL : strchr(separators, text[i]);
        if (found != NULL) counts[found - separators]++;
    }
    for (size_t i = 1; i < TQ_COUNT(counts); i++)
        if (counts[i] > counts[most]) most = i;
    return separators[most];
}

enum tq_status tq_csv_open(struct tq_csv_rows *rows, const char *path, char separator) {
    enum { HEAD = 64 << 10 };
    const char *head = NULL;
    size_t size = 0;
    *rows = (struct tq_csv_rows){.separator = separator};
    if (separator == '"' || separator == '\n' || separator == '\r')
        return tq_fail(TQ_MISUSE, "%s: quotes and ends of lines cannot separate cells", path);
    TQ_TRY(tq_lines_open(&rows->lines, path));
    TQ_TRY(tq_lines_peek(&rows->lines, HEAD, &head, &size));
    if (size == 0) return tq_fail(TQ_FORMAT, "%s: the file is empty", path);
    if (tq_is_binary(head, size)) return tq_fail(TQ_FORMAT, "%s: binary, not CSV", path);
    if (separator == 0) rows->separator = guess_separator(path, head, size);
    return reset_parser(rows);
}

void tq_csv_close(struct tq_csv_rows *rows) {
    tq_lines_close(&rows->lines);
    if (rows->has_parser) csv_free(&rows->parser);
    tq_free(rows->cells);
    tq_free(rows->begins);
    tq_free(rows->text);
}

/* ---- Rows ---- */

static enum tq_status fail_row(const struct tq_csv_rows *rows, size_t column, const char *what) {
    const char *path = rows->lines.path;
    if (column == 0) return tq_fail(TQ_MISUSE, "%s, line %llu: %s", path, (unsigned long long)rows->row_line, what);
    return tq_fail(TQ_MISUSE, "%s, line %llu, column %zu: %s", path, (unsigned long long)rows->lines.line, column,
                   what);
}

/* A line, or at the end of the file what is left within the parser. */
static enum tq_status feed(struct tq_csv_rows *rows, const char *line, size_t size) {
    size_t taken = size;
    int failed = 0;
    if (line != NULL)
        taken = csv_parse(&rows->parser, line, size, add_cell, end_row, rows);
    else
        failed = csv_fini(&rows->parser, add_cell, end_row, rows);
    int error = csv_error(&rows->parser);
    if (rows->out_of_memory || ((failed || taken < size) && error != CSV_EPARSE))
        return tq_fail(TQ_NOMEM, "out of memory");
    if (failed) return fail_row(rows, 0, "a quote that is opened here is not closed");
    if (taken < size) {
        return fail_row(rows, taken + 1,
                        "a quote within a cell: cells that have quotes stand in quotes, and theirs are doubled");
    }
    if (rows->too_many) return fail_row(rows, 0, "too many cells");
    if (rows->split) return fail_row(rows, 0, "a carriage return in the middle: lines must end with a newline");
    return TQ_OK;
}

/* `rest` says where the reading goes on if the row is bad: behind its first line. */
static enum tq_status read_row(struct tq_csv_rows *rows, uint64_t *rest, bool *end) {
    size_t bytes = 0, size = 0;
    const char *line = NULL;
    while (!rows->ended) {
        TQ_TRY(tq_lines_next(&rows->lines, &line, &size));
        bool begun = bytes > 0;
        if (line == NULL) {
            if (begun) TQ_TRY(feed(rows, NULL, 0));
            *end = !rows->ended;
            return TQ_OK;
        }
        if (!begun) {
            rows->row_line = rows->lines.line;
            *rest = tq_lines_offset(&rows->lines);
        }
        bool newline = line[size] == '\n';
        TQ_TRY(feed(rows, line, size + newline));
        bytes += size + 1;
        if (!begun && !rows->ended && newline && memchr(line, '"', size) == NULL) bytes = 0; /* a blank line */
        if (bytes > TQ_LINE_MAX) return fail_row(rows, 0, "a quote that is opened here is not closed");
    }
    return TQ_OK;
}

/* Where the texts lie is known once no more are added. */
static void point_to_cells(struct tq_csv_rows *rows) {
    size_t behind = rows->text_size;
    for (size_t i = rows->cell_count; i-- > 0;) {
        size_t begin = rows->begins[i];
        rows->cells[i] = (struct tq_csv_cell){0};
        if (begin == SIZE_MAX) continue;
        rows->cells[i] = (struct tq_csv_cell){rows->text + begin, behind - begin - 1};
        behind = begin;
    }
}

enum tq_status tq_csv_next(struct tq_csv_rows *rows, bool *end) {
    uint64_t rest = 0;
    rows->cell_count = rows->text_size = 0;
    rows->ended = rows->split = rows->too_many = *end = false;
    enum tq_status status = read_row(rows, &rest, end);
    if (status != TQ_OK) TQ_TRY(reset_parser(rows));
    if (status == TQ_MISUSE && rest > 0) tq_lines_seek(&rows->lines, rest, rows->row_line);
    if (status == TQ_OK) point_to_cells(rows);
    return status;
}
#endif
