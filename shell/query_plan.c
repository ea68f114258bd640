#include "shell/query_plan.h"

#include <stdlib.h>
#include <string.h>

#include "shell/session.h"
#include "src/base/base.h"

struct node {
    int id, parent;
    char *text;
};

struct tree {
    struct node *nodes;
    size_t count, capacity;
};

static bool append(struct tree *tree, int id, int parent, const char *text) {
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity == 0 ? 16 : 2 * tree->capacity;
        struct node *grown = realloc(tree->nodes, capacity * sizeof *grown);
        if (grown == NULL) return false;
        tree->nodes = grown;
        tree->capacity = capacity;
    }
    char *copy = strdup(text == NULL ? "" : text);
    if (copy == NULL) return false;
    tree->nodes[tree->count++] = (struct node){id, parent, copy};
    return true;
}

static const struct node *next_child(const struct tree *tree, int parent, const struct node *after) {
    for (size_t i = after == NULL ? 0 : (size_t)(after - tree->nodes) + 1; i < tree->count; i++) {
        if (tree->nodes[i].parent == parent) return &tree->nodes[i];
    }
    return NULL;
}

/* indent: what stands before each line of this level. */
static void print_level(const struct tree *tree, int parent, const char *indent, FILE *out) {
    char inner[200];
    const struct node *next = NULL;
    for (const struct node *at = next_child(tree, parent, NULL); at != NULL; at = next) {
        next = next_child(tree, parent, at);
        (void)fprintf(out, "%s%s%s\n", indent, next == NULL ? "`--" : "|--", at->text);
        if (at->id == parent || strlen(indent) + 4 > sizeof inner) continue;
        (void)snprintf(inner, sizeof inner, "%s%s", indent, next == NULL ? "   " : "|  ");
        print_level(tree, at->id, inner, out);
    }
}

enum tq_status shell_plan_show(struct shell_session *session, sqlite3_stmt *explain) {
    struct tree tree = {0};
    int rc = SQLITE_DONE;
    bool fits = true;
    while (fits && (rc = sqlite3_step(explain)) == SQLITE_ROW) {
        fits = append(&tree, sqlite3_column_int(explain, 0), sqlite3_column_int(explain, 1),
                      (const char *)sqlite3_column_text(explain, 3));
    }
    enum tq_status status = !fits               ? tq_fail(TQ_NOMEM, "out of memory")
                            : rc == SQLITE_DONE ? TQ_OK
                                                : shell_session_fail(session, rc);
    if (status == TQ_OK && tree.count > 0) {
        (void)fputs("QUERY PLAN\n", session->out);
        print_level(&tree, 0, "", session->out);
    }
    for (size_t i = 0; i < tree.count; i++) free(tree.nodes[i].text);
    free(tree.nodes);
    return status == TQ_OK ? shell_output_flush(session->out) : status;
}

enum tq_status shell_plan_of(struct shell_session *session, sqlite3_stmt *statement) {
    sqlite3_stmt *explain = NULL;
    if (sqlite3_stmt_isexplain(statement) != 0) return TQ_OK;
    char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(statement));
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(session->db, sql, -1, &explain, NULL);
    sqlite3_free(sql);
    enum tq_status status = rc == SQLITE_OK ? shell_plan_show(session, explain) : shell_session_fail(session, rc);
    (void)sqlite3_finalize(explain);
    return status;
}
