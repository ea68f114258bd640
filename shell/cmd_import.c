/* .import: a file of any format that libtq_io reads into a table, all of it or nothing, or in batches. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/import.h"
#include "shell/interrupt.h"
#include "src/base/base.h"

const char shell_import_details[] =
    "  --format F        npy, csv, ...; else the file's name and first bytes tell\n"
    "  --part P          which array of a .npz, dataset of HDF5, table of a database\n"
    "  --columns A,B     only these\n"
    "  --vector C        the column of vectors; \"\": there is none; FIRST..LAST: one column for each dimension\n"
    "  --key C           the column whose values name the rows; \"\": there is none\n"
    "  --header, --no-header, --separator C, --csv\n"
    "                    of CSV; --csv is --format csv\n"
    "  --first-id N      rowids are N, N+1, ... from 0, where the file has no whole numbers for keys\n"
    "  --skip N          pass over the first N rows\n"
    "  --limit N         no more than N rows\n"
    "  --skip-bad        count bad rows, tell of the first ones, and pass over them\n"
    "  --batch N         commit every N rows; else all or nothing\n"
    "  --metric M, --bits B, --rows R, --aux A,B\n"
    "                    of the tq table that is made: its options, and columns stored apart\n"
    "  --no-queries      leave out the queries of an ann-benchmarks file\n"
    "  --schema S        the table is in this database\n"
    "  -v                print the statements\n";

/* ---- Options ---- */

static enum tq_status read_numbers(struct import_options *options) {
    options->limit = INT64_MAX;
    if (options->first_id_text != NULL)
        TQ_TRY(shell_read_integer("--first-id", options->first_id_text, INT64_MIN, INT64_MAX, &options->first_id));
    if (options->skip_text != NULL)
        TQ_TRY(shell_read_integer("--skip", options->skip_text, 0, INT64_MAX, &options->skip));
    if (options->limit_text != NULL)
        TQ_TRY(shell_read_integer("--limit", options->limit_text, 0, INT64_MAX, &options->limit));
    if (options->batch_text != NULL)
        TQ_TRY(shell_read_integer("--batch", options->batch_text, 1, INT64_MAX, &options->batch));
    return TQ_OK;
}

static enum tq_status check_options(const struct import_options *options) {
    if (options->header && options->no_header) return tq_fail(TQ_MISUSE, "--header and --no-header exclude each other");
    if (options->csv && options->format != NULL) return tq_fail(TQ_MISUSE, "--csv and --format exclude each other");
    if (options->separator != NULL && (strlen(options->separator) != 1 && strcmp(options->separator, "\\t") != 0)) {
        return tq_fail(TQ_MISUSE, "--separator is \"%.40s\"; it must be one character, or \\t", options->separator);
    }
    return TQ_OK;
}

static enum tq_status read_options(struct import_options *o, int *count, char **words) {
    const struct shell_option list[] = {{"--format", &o->format, NULL},
                                        {"--part", &o->part, NULL},
                                        {"--columns", &o->columns, NULL},
                                        {"--vector", &o->vector, NULL},
                                        {"--key", &o->key, NULL},
                                        {"--header", NULL, &o->header},
                                        {"--no-header", NULL, &o->no_header},
                                        {"--separator", &o->separator, NULL},
                                        {"--first-id", &o->first_id_text, NULL},
                                        {"--skip-bad", NULL, &o->skip_bad},
                                        {"--batch", &o->batch_text, NULL},
                                        {"--skip", &o->skip_text, NULL},
                                        {"--limit", &o->limit_text, NULL},
                                        {"--aux", &o->auxiliary, NULL},
                                        {"--metric", &o->metric, NULL},
                                        {"--bits", &o->bits, NULL},
                                        {"--rows", &o->kept, NULL},
                                        {"--no-queries", NULL, &o->no_queries},
                                        {"--csv", NULL, &o->csv},
                                        {"--schema", &o->schema, NULL},
                                        {"-v", NULL, &o->verbose}};
    TQ_TRY(shell_options_read(list, TQ_COUNT(list), count, words));
    if (*count != 3) return shell_command_usage(".import");
    TQ_TRY(read_numbers(o));
    return check_options(o);
}

/* ---- Reader and table ---- */

static struct tq_reader_options reader_options(const struct import *import) {
    const struct import_options *o = &import->options;
    struct tq_reader_options options = tq_reader_defaults();
    options.format = o->csv ? "csv" : o->format;
    options.part = o->part;
    options.columns = o->columns;
    options.vector = o->vector;
    options.key = o->key;
    if (o->header || (o->csv && import->table.kind == SHELL_TABLE_MISSING)) options.header = 1;
    if (o->no_header) options.header = 0;
    if (o->separator != NULL) options.separator = o->separator[0] == '\\' ? '\t' : o->separator[0];
    return options;
}

/* People who know sqlite3 expect that a CSV file has one cell for each column of an ordinary table, in its order, and
 * no header. */
static enum tq_status open_reader(struct import *import) {
    struct tq_reader_options options = reader_options(import);
    TQ_TRY(shell_session_refuse_own(import->session, import->path));
    TQ_TRY(tq_reader_open(import->path, &options, &import->reader));
    import->info = tq_reader_get_info(import->reader);
    import->by_place = import->table.kind == SHELL_TABLE_OTHER && strcmp(import->info->format, "csv") == 0 &&
                       !import->options.header && import->options.columns == NULL;
    if (!import->by_place) return TQ_OK;
    tq_reader_close(import->reader);
    import->reader = NULL;
    options.header = 0;
    options.texts = true; /* the table's columns decide what becomes a number */
    if (options.vector == NULL) options.vector = "";
    if (options.key == NULL) options.key = "";
    TQ_TRY(tq_reader_open(import->path, &options, &import->reader));
    import->info = tq_reader_get_info(import->reader);
    return TQ_OK;
}

static enum tq_status find_table(struct import *import, const char *word) {
    const char *schema = import->options.schema;
    if (schema == NULL) return shell_table_find(import->session, word, &import->table);
    char *full = sqlite3_mprintf("%s.%s", schema, word);
    if (full == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_table_find(import->session, full, &import->table);
    sqlite3_free(full);
    if (status != TQ_OK || sqlite3_stricmp(import->table.schema, schema) == 0) return status;
    return tq_fail(TQ_MISUSE, "--schema: there is no database \"%s\"; .databases lists them", schema);
}

static enum tq_status check_made(const struct import *import) {
    const struct import_options *o = &import->options;
    const char *given = o->metric != NULL      ? "--metric"
                        : o->bits != NULL      ? "--bits"
                        : o->kept != NULL      ? "--rows"
                        : o->auxiliary != NULL ? "--aux"
                                               : NULL;
    if (given == NULL) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s is for a table that is made; %s is there already", given, import->table.name);
}

static enum tq_status prepare(struct import *import, const char *word) {
    TQ_TRY(find_table(import, word));
    TQ_TRY(open_reader(import));
    if (import->options.batch > 0 && sqlite3_get_autocommit(import->session->db) == 0) {
        return tq_fail(TQ_MISUSE, "--batch commits, but a transaction is open");
    }
    size_t bytes = (import->info->column_count + 1) * sizeof *import->names;
    import->names = sqlite3_malloc64(bytes);
    if (import->names == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    memset(import->names, 0, bytes);
    if (import->table.kind == SHELL_TABLE_MISSING) return TQ_OK;
    TQ_TRY(check_made(import));
    return shell_import_match(import);
}

/* ---- The transaction ---- */

static enum tq_status put_all(struct import *import) {
    bool part = import->options.part != NULL || import->options.limit != INT64_MAX;
    if (import->table.kind == SHELL_TABLE_MISSING) TQ_TRY(shell_import_make(import));
    TQ_TRY(shell_import_rows(import));
    if (import->info->queries == NULL || import->options.no_queries || part) return TQ_OK;
    return shell_import_queries(import);
}

static void undo(struct import *import) {
    sqlite3 *db = import->session->db;
    if (sqlite3_get_autocommit(db)) return; /* SQLite has rolled back already */
    (void)sqlite3_exec(db, import->own ? "ROLLBACK" : "ROLLBACK TO tqshell_import; RELEASE tqshell_import", NULL, NULL,
                       NULL);
}

static enum tq_status put_whole(struct import *import) {
    import->own = sqlite3_get_autocommit(import->session->db) != 0;
    TQ_TRY(shell_import_begin(import));
    enum tq_status status = put_all(import);
    (void)sqlite3_finalize(import->insert);
    if (status == TQ_OK) status = shell_import_commit(import);
    if (status != TQ_OK) undo(import);
    return status;
}

/* ---- What is said about it ---- */

/* As it may be typed again. */
static void append_word(sqlite3_str *out, const char *word) {
    bool plain = *word != '\0' && strpbrk(word, " \t;'\"\\") == NULL;
    const char *quote = plain ? "" : strchr(word, '\'') == NULL ? "'" : "\"";
    sqlite3_str_appendf(out, "%s%s%s%s", sqlite3_str_length(out) > 0 ? " " : "", quote, word, quote);
}

/* Without what the next command has otherwise, or what is for a table that is made. */
static char *lasting_words(int count, char **words) {
    static const char *const others[] = {"skip", "limit", "metric", "bits", "rows", "aux"};
    sqlite3_str *out = sqlite3_str_new(NULL);
    for (int i = 0; i < count; i++) {
        bool dropped = false;
        for (size_t o = 0; o < TQ_COUNT(others) && words[i][0] == '-'; o++)
            dropped = dropped || strcmp(words[i] + strspn(words[i], "-"), others[o]) == 0;
        if (dropped)
            i++;
        else
            append_word(out, words[i]);
    }
    return sqlite3_str_finish(out);
}

static const char *grouped(uint64_t number, char text[32]) {
    return sqlite3_snprintf(32, text, "%,llu", (unsigned long long)number);
}

/* An ordinary table that was made has its columns by their names, and must have the others so, too: by places, the line
 * of names would be a row. */
static void append_columns(const struct import *import, sqlite3_str *out) {
    bool by_name = import->made && import->info->vector == import->info->column_count;
    if (!by_name || import->options.columns != NULL || strcmp(import->info->format, "csv") != 0) return;
    if (import->options.csv && !import->options.no_header) {
        sqlite3_str_appendall(out, " --header");
        return;
    }
    sqlite3_str *list = sqlite3_str_new(NULL);
    for (size_t i = 0; i < import->info->column_count; i++)
        sqlite3_str_appendf(list, "%s%s", i > 0 ? "," : "", import->info->columns[i].name);
    char *names = sqlite3_str_finish(list);
    sqlite3_str_appendall(out, " --columns");
    append_word(out, names == NULL ? "" : names);
    sqlite3_free(names);
}

static void tell_rest(const struct import *import) {
    char rows[32];
    if (import->options.batch == 0 || import->kept_rows == 0) return;
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "%s: %s rows are in. To go on: %s --skip %lld", import->table.name,
                        grouped(import->kept_rows, rows), import->again == NULL ? ".import" : import->again,
                        (long long)import->kept_row);
    if (import->options.limit != INT64_MAX)
        sqlite3_str_appendf(out, " --limit %lld", (long long)(import->options.limit - (int64_t)import->kept_rows));
    append_columns(import, out);
    char *text = sqlite3_str_finish(out);
    (void)fprintf(stderr, "%s\n", text == NULL ? "" : text);
    sqlite3_free(text);
}

/* Of a tq table. */
static const char *key_name(const struct import *import) {
    const struct tq_reader_info *info = import->info;
    for (size_t i = 0; i < info->column_count && info->vector < info->column_count; i++)
        if (info->columns[i].key) return import->names[i];
    return NULL;
}

static void append_what(const struct import *import, sqlite3_str *out) {
    const struct tq_reader_info *info = import->info;
    char text[32];
    sqlite3_str_appendf(out, "%s: %s%s row%s", import->table.name, import->made ? "table made, " : "",
                        grouped(import->rows, text), import->rows == 1 ? "" : "s");
    const char *before = " of";
    for (size_t i = 0; i < info->column_count; i++) {
        if (info->columns[i].type != TQ_TYPE_VECTOR) continue;
        sqlite3_str_appendf(out, "%s %u", before, info->columns[i].dim);
        before = " and";
    }
    if (info->vector < info->column_count) sqlite3_str_appendall(out, " dimensions");
    const char *key = key_name(import);
    if (key != NULL) sqlite3_str_appendf(out, ", key %s", key);
    if (key == NULL && import->row_ids && import->rows > 0) {
        sqlite3_str_appendf(out, ", rowids %lld to %lld", import->options.first_id + import->options.skip,
                            import->options.first_id + (import->row - 1));
    }
    if (import->bad > 0)
        sqlite3_str_appendf(out, ", %s bad row%s skipped", grouped(import->bad, text), import->bad == 1 ? "" : "s");
    if (import->queries > 0)
        sqlite3_str_appendf(out, ", %s queries in %s_queries", grouped(import->queries, text), import->table.name);
}

/* Bytes a second where all of the file was read. */
static void append_rates(const struct import *import, sqlite3_str *out) {
    double seconds = shell_seconds() - import->progress.start;
    struct stat file;
    bool whole = import->options.skip == 0 && import->options.limit == INT64_MAX;
    char text[32];
    double rate = (double)import->rows / (seconds > 0 ? seconds : 1e-9);
    sqlite3_str_appendf(out, ", %.2f s (%s/s", seconds, grouped((uint64_t)rate, text));
    if (whole && stat(import->path, &file) == 0 && file.st_size >= 1000000)
        sqlite3_str_appendf(out, ", %.0f MB/s", (double)file.st_size / 1e6 / seconds);
    sqlite3_str_appendall(out, ")");
}

static void tell(const struct import *import) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    append_what(import, out);
    append_rates(import, out);
    char *text = sqlite3_str_finish(out);
    (void)fprintf(stderr, "%s\n", text == NULL ? import->table.name : text);
    sqlite3_free(text);
}

static void clear(struct import *import) {
    for (size_t i = 0; import->names != NULL && i < import->info->column_count; i++) sqlite3_free(import->names[i]);
    sqlite3_free(import->names);
    tq_reader_close(import->reader);
    shell_table_clear(&import->table);
    sqlite3_free(import->again);
}

enum tq_status shell_cmd_import(struct shell_session *session, int count, char **words) {
    struct import import = {.session = session, .again = lasting_words(count, words)};
    enum tq_status status = read_options(&import.options, &count, words);
    import.path = words[1];
    /* A statement that SQLite interrupts takes the user's whole transaction with it: between rows we look ourselves. */
    shell_interrupt_watch(NULL);
    if (status == TQ_OK) status = prepare(&import, words[2]);
    shell_progress_begin(&import.progress, status == TQ_OK ? import.table.name : "", "rows");
    if (status == TQ_OK) status = put_whole(&import);
    shell_progress_end(&import.progress);
    shell_interrupt_watch(session->db);
    if (status == TQ_OK)
        tell(&import);
    else if (import.reader != NULL)
        tell_rest(&import);
    clear(&import);
    return status;
}
