/* Filters as views: a vector column's rows with those that fail marked as dead. Kept with what they were made of. */
#include <string.h>

#include "sql/where.h"
#include "src/base/alloc.h"

enum { ENTRIES_MAX = 16, KEPT_BYTES_MAX = 64 << 20 };

struct tq_where_entry {
    struct tq_where_entry *next; /* used before this one */
    size_t vector;
    char *key; /* of the text and the values */
    size_t key_size;
    struct tq_where_notes notes;
    bool looked, made;
    uint64_t changes, own_changes; /* of others and of this connection, when it was last looked at */
    struct tq_sql_view source;     /* all rows of the partitions */
    struct tq_view view;
    struct tq_view_segment *segments;
    uint64_t *words;
    size_t word_count;
};

static void entry_free(struct tq_where_entry *entry) {
    tq_sql_view_free(&entry->source);
    tq_free(entry->segments);
    tq_free(entry->words);
    tq_free(entry->key);
    tq_free(entry);
}

void tq_where_forget(struct tq_sql_table *table) {
    while (table->filters != NULL) {
        struct tq_where_entry *entry = table->filters;
        table->filters = entry->next;
        entry_free(entry);
    }
}

/* ---- Finding ---- */

/* Text, then each value: its type, size and bytes; and what LIKE means now, which a pragma decides. */
static char *make_key(struct tq_sql_table *table, const struct tq_where *filter, size_t *size) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendall(out, filter->where);
    if (sqlite3_strglob("*[lL][iI][kK][eE]*", filter->where) == 0) {
        int64_t any_case = 0;
        (void)tq_sql_once(table, "SELECT 'a' LIKE 'A'", 0, NULL, &any_case);
        sqlite3_str_appendchar(out, 1, any_case != 0 ? 'a' : 'A');
    }
    for (size_t i = 0; i < filter->count; i++) {
        sqlite3_value *value = filter->values[i];
        int type = sqlite3_value_type(value);
        sqlite3_str_appendchar(out, 1, (char)('0' + type));
        if (type == SQLITE_INTEGER) {
            sqlite3_int64 number = sqlite3_value_int64(value);
            sqlite3_str_append(out, (const char *)&number, sizeof number);
        } else if (type == SQLITE_FLOAT) {
            double number = sqlite3_value_double(value);
            sqlite3_str_append(out, (const char *)&number, sizeof number);
        } else if (type != SQLITE_NULL) {
            const char *bytes = sqlite3_value_blob(value);
            int length = sqlite3_value_bytes(value);
            sqlite3_str_append(out, (const char *)&length, sizeof length);
            if (length > 0) sqlite3_str_append(out, bytes, length);
        }
    }
    *size = (size_t)sqlite3_str_length(out);
    return sqlite3_str_finish(out);
}

static void drop_oldest(struct tq_sql_table *table) {
    size_t count = 0, words = 0;
    for (struct tq_where_entry **link = &table->filters; *link != NULL;) {
        struct tq_where_entry *entry = *link;
        words += entry->word_count;
        if (++count == 1 || (count <= ENTRIES_MAX && words * sizeof(uint64_t) <= KEPT_BYTES_MAX)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry_free(entry);
    }
}

/* The entry of a filter, moved to the front; made if it is not there. */
static enum tq_status find_entry(struct tq_sql_table *table, size_t vector, const struct tq_where *filter,
                                 struct tq_where_entry **out) {
    size_t size = 0;
    char *key = make_key(table, filter, &size);
    if (key == NULL) return TQ_NOMEM;
    struct tq_where_entry **link = &table->filters, *entry = NULL;
    for (; *link != NULL; link = &(*link)->next) {
        entry = *link;
        if (entry->vector == vector && entry->key_size == size && memcmp(entry->key, key, size) == 0) break;
    }
    if (*link != NULL) {
        *link = entry->next;
    } else {
        entry = tq_alloc_zero(sizeof *entry);
        if (entry != NULL) entry->key = tq_alloc(size + 1);
        if (entry == NULL || entry->key == NULL) {
            tq_free(entry);
            sqlite3_free(key);
            return TQ_NOMEM;
        }
        memcpy(entry->key, key, size);
        entry->key_size = size;
        entry->vector = vector;
    }
    sqlite3_free(key);
    entry->next = table->filters;
    table->filters = *out = entry;
    return TQ_OK;
}

enum tq_status tq_where_notes(struct tq_sql_table *table, size_t vector, const struct tq_where *filter,
                              struct tq_where_notes **notes) {
    struct tq_where_entry *entry = NULL;
    TQ_TRY(find_entry(table, vector, filter, &entry));
    *notes = &entry->notes;
    return TQ_OK;
}

/* ---- Making ---- */

/* All rows dead, as far as this view goes. */
static enum tq_status begin_bitmap(struct tq_where_entry *entry) {
    const struct tq_view *from = &entry->source.view;
    size_t words = 0;
    for (size_t i = 0; i < from->count; i++) words += (tq_segment_row_count(from->segments[i].segment) + 63) / 64;
    tq_free(entry->words);
    tq_free(entry->segments);
    entry->words = tq_alloc_array(tq_max_size(words, 1), sizeof *entry->words);
    entry->segments = tq_alloc_array(tq_max_size(from->count, 1), sizeof *entry->segments);
    entry->word_count = words;
    if (entry->words == NULL || entry->segments == NULL) return TQ_NOMEM;
    memset(entry->words, 0xff, words * sizeof *entry->words);
    uint64_t *at = entry->words;
    for (size_t i = 0; i < from->count; i++) {
        uint32_t rows = tq_segment_row_count(from->segments[i].segment);
        entry->segments[i] = (struct tq_view_segment){from->segments[i].segment, at, rows};
        at += (rows + 63) / 64;
    }
    return TQ_OK;
}

/* Where slots are looked for: slots that follow each other mostly lie in one segment, and if that has a row for every
 * slot, their rows are known. */
struct place {
    size_t segment;
    uint64_t slot_first, slot_end; /* of a segment without gaps; else nothing */
};

static void pass_row(struct tq_where_entry *entry, size_t at, uint32_t row) {
    struct tq_view_segment *segment = &entry->segments[at];
    /* The words belong to the entry; as part of a view they are for reading. */
    uint64_t *word = entry->words + (segment->dead - entry->words) + row / 64, bit = UINT64_C(1) << row % 64;
    segment->dead_count -= (*word & bit) != 0;
    *word &= ~bit;
}

static enum tq_status pass_slot(struct tq_where_entry *entry, uint64_t slot, struct place *place) {
    uint32_t row = 0;
    if (slot >= place->slot_first && slot < place->slot_end) {
        pass_row(entry, place->segment, (uint32_t)(slot - place->slot_first));
        return TQ_OK;
    }
    size_t count = entry->source.view.count, at = tq_sql_view_find(entry->segments, count, slot, place->segment);
    if (at == count) return TQ_OK; /* of a partition that is not asked for */
    struct tq_segment *segment = entry->segments[at].segment;
    uint64_t first = tq_segment_slot_first(segment), end = tq_segment_slot_end(segment);
    bool whole = end - first == tq_segment_row_count(segment);
    *place = (struct place){.segment = at, .slot_first = first, .slot_end = whole ? end : first};
    enum tq_status status = tq_segment_find(segment, slot, &row);
    if (status == TQ_OK) pass_row(entry, at, row);
    return status == TQ_NOT_FOUND ? TQ_OK : status;
}

/* ---- SELECT tq_slots(?, slot): an aggregate for our own use; its pointer cannot be had from SQL ---- */

static const char pointer_type[] = "tq_where_collector";

struct collector {
    struct tq_where_entry *entry;
    struct place place;
    uint64_t passed;
    enum tq_status status;
};

/* A row of a statement that is stepped costs half as much again. */
static void collect(sqlite3_context *context, int count, sqlite3_value **values) {
    struct collector *collector = sqlite3_value_pointer(values[0], pointer_type);
    (void)count;
    if (collector == NULL) {
        sqlite3_result_error(context, "tq_slots: not for use in statements", -1);
        return;
    }
    collector->passed++;
    if (sqlite3_value_type(values[1]) != SQLITE_INTEGER) return; /* a row without a vector */
    collector->status = pass_slot(collector->entry, (uint64_t)sqlite3_value_int64(values[1]), &collector->place);
    if (collector->status != TQ_OK) sqlite3_result_error_code(context, SQLITE_ABORT);
}

static void collected(sqlite3_context *context) { (void)context; }

int tq_where_register(struct tq_sql *sql) {
    return sqlite3_create_function_v2(sql->db, "tq_slots", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL, NULL, collect,
                                      collected, NULL);
}

static enum tq_status run_slots(struct tq_sql_table *table, const struct tq_where *filter, sqlite3_stmt *statement,
                                struct collector *collector) {
    enum tq_status status = TQ_OK;
    int pointer = sqlite3_bind_parameter_count(statement);
    for (size_t at = 0; status == TQ_OK; at += filter->run) {
        tq_where_bind(filter, statement, at);
        (void)sqlite3_bind_pointer(statement, pointer, collector, pointer_type, NULL);
        int rc = sqlite3_step(statement);
        status = collector->status;
        if (status == TQ_OK && rc != SQLITE_ROW && rc != SQLITE_DONE) {
            status = tq_sql_fail(table->sql->db, rc, "filtering rows");
        }
        (void)sqlite3_reset(statement);
        if (at + filter->run >= filter->long_count) break;
    }
    return status;
}

/* With a budget one row more, to know that there are more. */
static char *filter_text(const struct tq_sql_table *table, const struct tq_where *filter, size_t vector,
                         uint64_t budget) {
    int pointer = (int)(filter->count - filter->long_count + filter->run) + 1;
    const char *slot = tq_declaration_vector(&table->declaration, vector)->stored;
    if (budget == UINT64_MAX) {
        return sqlite3_mprintf("SELECT tq_slots(?%d, %s) FROM \"%w\".\"%w_rows\" WHERE %s", pointer, slot,
                               table->schema, table->name, filter->where);
    }
    return sqlite3_mprintf("SELECT tq_slots(?%d, %s) FROM (SELECT %s FROM \"%w\".\"%w_rows\" WHERE %s LIMIT %lld)",
                           pointer, slot, slot, table->schema, table->name, filter->where, (long long)budget + 1);
}

/* *over: more than budget rows pass. */
static enum tq_status run_filter(struct tq_sql_table *table, const struct tq_where *filter,
                                 struct tq_where_entry *entry, uint64_t budget, bool *over) {
    sqlite3_stmt *statement = NULL;
    struct collector collector = {.entry = entry};
    char *text = filter_text(table, filter, entry->vector, budget);
    enum tq_status status = text == NULL ? TQ_NOMEM : tq_sql_take(table, text, &statement);
    if (status == TQ_OK) {
        status = run_slots(table, filter, statement, &collector);
        (void)sqlite3_clear_bindings(statement);
        tq_sql_give(table, text, statement);
    }
    sqlite3_free(text);
    *over = collector.passed > budget;
    return status;
}

/* Without the segments that have no row left. */
static void end_bitmap(struct tq_where_entry *entry) {
    const struct tq_view *from = &entry->source.view;
    size_t kept = 0;
    entry->view = (struct tq_view){.segments = entry->segments, .version = from->version};
    for (size_t i = 0; i < from->count; i++) {
        uint32_t rows = tq_segment_row_count(entry->segments[i].segment);
        if (entry->segments[i].dead_count == rows) continue;
        entry->view.live += rows - entry->segments[i].dead_count;
        entry->segments[kept++] = entry->segments[i];
    }
    entry->view.count = kept;
}

static enum tq_status make(struct tq_sql_table *table, const struct tq_where *filter, struct tq_where_entry *entry,
                           uint64_t budget) {
    if (filter->partitions_only) {
        entry->view = entry->source.view;
        entry->made = true;
        return TQ_OK;
    }
    bool over = false;
    TQ_TRY(begin_bitmap(entry));
    TQ_TRY(run_filter(table, filter, entry, budget, &over));
    if (over) return TQ_OK;
    end_bitmap(entry);
    entry->made = true;
    return TQ_OK;
}

/* The rows that the filter is about, and whether they are those that it was made of. */
static enum tq_status look_at_source(struct tq_sql_table *table, const struct tq_where *filter,
                                     struct tq_where_entry *entry) {
    struct tq_sql_part *first = NULL;
    uint64_t changes = 0, before = entry->source.stamp;
    TQ_TRY(tq_sql_part(table, 0, &first));
    TQ_TRY(tq_table_changes(first->table, &changes));
    /* A new partition counts as a change. */
    if (entry->looked && entry->changes == changes && entry->own_changes == table->changes) {
        TQ_TRY(tq_sql_view_again(table, &entry->source));
    } else {
        TQ_TRY(tq_sql_view(table, entry->vector, filter->partitions, filter->values, filter->count, &entry->source));
    }
    if (entry->source.stamp != before || entry->changes != changes) {
        entry->made = false;
        entry->notes.share = 0;
        entry->notes.sampled_well = false;
    }
    entry->changes = changes;
    entry->own_changes = table->changes;
    entry->looked = true;
    return TQ_OK;
}

enum tq_status tq_where_view(struct tq_sql_table *table, size_t vector, const struct tq_where *filter, uint64_t budget,
                             const struct tq_view **view) {
    struct tq_where_entry *entry = NULL;
    *view = NULL;
    TQ_TRY(find_entry(table, vector, filter, &entry));
    TQ_TRY(look_at_source(table, filter, entry));
    if (filter->partitions_only || (!entry->made && budget > 0)) {
        TQ_TRY(make(table, filter, entry, budget));
        drop_oldest(table);
    }
    if (entry->made) *view = &entry->view;
    return TQ_OK;
}
