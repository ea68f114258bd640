/* Commands about how the shell shows and does things. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "src/base/base.h"

enum { WIDEST = 10000 };

enum tq_status shell_cmd_bail(struct shell_session *session, int count, char **words) {
    (void)count;
    TQ_TRY(shell_read_switch(words[0], words[1], &session->bail));
    session->bail_typed &= session->bail;
    return TQ_OK;
}

enum tq_status shell_cmd_changes(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_read_switch(words[0], words[1], &session->changes);
}

enum tq_status shell_cmd_echo(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_read_switch(words[0], words[1], &session->echo);
}

enum tq_status shell_cmd_eqp(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_read_switch(words[0], words[1], &session->plan);
}

enum tq_status shell_cmd_timer(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_read_switch(words[0], words[1], &session->timer);
}

enum tq_status shell_cmd_headers(struct shell_session *session, int count, char **words) {
    bool on = false;
    (void)count;
    TQ_TRY(shell_read_switch(words[0], words[1], &on));
    session->look.headers = on ? SHELL_HEADERS_ON : SHELL_HEADERS_OFF;
    return TQ_OK;
}

/* A copy of `text` takes the place of *kept; NULL: nothing does. */
static enum tq_status keep(char **kept, const char *text) {
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    free(*kept);
    *kept = copy;
    return TQ_OK;
}

enum tq_status shell_cmd_nullvalue(struct shell_session *session, int count, char **words) {
    (void)count;
    return keep(&session->look.null, words[1]);
}

enum tq_status shell_cmd_separator(struct shell_session *session, int count, char **words) {
    TQ_TRY(keep(&session->look.column_separator, words[1]));
    return count > 2 ? keep(&session->look.row_separator, words[2]) : TQ_OK;
}

static enum tq_status show_mode(struct shell_session *session) {
    (void)fprintf(session->out, "%s", shell_mode_names[session->look.mode]);
    if (session->look.mode == SHELL_INSERT && session->look.table != NULL)
        (void)fprintf(session->out, " %s", session->look.table);
    if (session->look.wrap > 0) (void)fprintf(session->out, " --wrap %d", session->look.wrap);
    (void)fputc('\n', session->out);
    return TQ_OK;
}

static enum tq_status fail_mode(const char *name) {
    char list[200] = "";
    size_t used = 0;
    for (int i = 0; i < SHELL_MODES; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i == 0                 ? ""
                                 : i + 1 == SHELL_MODES ? " or "
                                                        : ", ",
                                 shell_mode_names[i]);
    return tq_fail(TQ_MISUSE, "mode is \"%.40s\"; it must be %s", name, list);
}

/* A name, or the only one that begins so. */
static bool find_mode(const char *name, enum shell_mode *mode) {
    int fits = 0;
    if (shell_mode_find(name, mode)) return true;
    for (int i = 0; i < SHELL_MODES; i++) {
        if (strncmp(shell_mode_names[i], name, strlen(name)) != 0) continue;
        *mode = (enum shell_mode)i;
        fits++;
    }
    return fits == 1;
}

enum tq_status shell_cmd_mode(struct shell_session *session, int count, char **words) {
    const char *wrap = NULL;
    const struct shell_option options[] = {{"--wrap", &wrap, NULL}};
    enum shell_mode mode = session->look.mode;
    int64_t width = 0;
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (wrap != NULL) TQ_TRY(shell_read_integer("--wrap", wrap, 0, WIDEST, &width));
    if (count == 1 && wrap == NULL) return show_mode(session);
    if (count > 1 && !find_mode(words[1], &mode)) return fail_mode(words[1]);
    if (count > 2 && mode != SHELL_INSERT) return shell_command_usage(words[0]);
    if (count > 1) {
        TQ_TRY(keep(&session->look.table, count > 2 ? words[2] : NULL));
        TQ_TRY(keep(&session->look.column_separator, NULL));
        TQ_TRY(keep(&session->look.row_separator, NULL));
    }
    session->look.mode = mode;
    session->look.wrap = (int)width;
    return TQ_OK;
}

enum tq_status shell_cmd_width(struct shell_session *session, int count, char **words) {
    short widths[SHELL_WIDTHS_MAX] = {0};
    if (count - 1 > SHELL_WIDTHS_MAX) return tq_fail(TQ_MISUSE, "more than %d widths", SHELL_WIDTHS_MAX);
    for (int i = 1; i < count; i++) {
        int64_t width = 0;
        TQ_TRY(shell_read_integer("width", words[i], -WIDEST, WIDEST, &width));
        widths[i - 1] = (short)width;
    }
    memcpy(session->look.widths, widths, sizeof widths);
    return TQ_OK;
}

enum tq_status shell_cmd_prompt(struct shell_session *session, int count, char **words) {
    for (int i = 0; i < 2; i++) {
        const char *text = i + 1 < count ? words[i + 1] : "";
        size_t size = strlen(text);
        if (size >= sizeof session->prompts[i]) {
            return tq_fail(TQ_MISUSE, "the prompt has %zu bytes; at most %zu", size, sizeof session->prompts[i] - 1);
        }
    }
    for (int i = 0; i < 2; i++)
        (void)snprintf(session->prompts[i], sizeof session->prompts[i], "%s", i + 1 < count ? words[i + 1] : "");
    return TQ_OK;
}

enum tq_status shell_cmd_pager(struct shell_session *session, int count, char **words) {
    bool on = false;
    if (count == 1) {
        (void)fprintf(session->out, "%s\n", session->output.pager == NULL ? "off" : session->output.pager);
        return TQ_OK;
    }
    if (strcmp(words[1], "on") != 0 && strcmp(words[1], "off") != 0) {
        if (session->reach == SHELL_REACH_PROGRAMS) return keep(&session->output.pager, words[1]);
        return tq_fail(TQ_MISUSE, "programs are not allowed here: %s", words[1]);
    }
    TQ_TRY(shell_read_switch(words[0], words[1], &on));
    TQ_TRY(keep(&session->output.pager, NULL));
    if (on && session->reach == SHELL_REACH_PROGRAMS) shell_pager_default(session);
    return TQ_OK;
}

static const char *on_or_off(bool on) { return on ? "on" : "off"; }

static void show_text(FILE *out, const char *name, const char *text) {
    (void)fprintf(out, "%12s: \"", name);
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '\n' || *text == '\t' || *text == '\r')
            (void)fputs(*text == '\n' ? "\\n" : *text == '\t' ? "\\t" : "\\r", out);
        else
            (void)fputc(*text, out);
    }
    (void)fputs("\"\n", out);
}

enum tq_status shell_cmd_show(struct shell_session *session, int count, char **words) {
    static const char *const headers[] = {"auto", "off", "on"};
    const struct shell_look *look = &session->look;
    FILE *out = session->out;
    int last = SHELL_WIDTHS_MAX;
    (void)count, (void)words;
    (void)fprintf(out, "%12s: %s\n", "bail", on_or_off(session->bail));
    (void)fprintf(out, "%12s: %s\n", "changes", on_or_off(session->changes));
    (void)fprintf(out, "%12s: %s\n", "database", session->path);
    (void)fprintf(out, "%12s: %s\n", "echo", on_or_off(session->echo));
    (void)fprintf(out, "%12s: %s\n", "eqp", on_or_off(session->plan));
    (void)fprintf(out, "%12s: %s\n", "headers", headers[look->headers]);
    (void)fprintf(out, "%12s: ", "mode");
    (void)show_mode(session);
    if (look->null != NULL) show_text(out, "nullvalue", look->null);
    (void)fprintf(out, "%12s: %s\n", "output", session->output.target == NULL ? "stdout" : session->output.target);
    (void)fprintf(out, "%12s: %s\n", "pager", session->output.pager == NULL ? "off" : session->output.pager);
    (void)fprintf(out, "%12s: %s\n", "readonly", on_or_off(session->readonly));
    if (look->column_separator != NULL) show_text(out, "separator", look->column_separator);
    if (look->row_separator != NULL) show_text(out, "row end", look->row_separator);
    (void)fprintf(out, "%12s: %d ms\n", "timeout", session->busy_ms);
    (void)fprintf(out, "%12s: %s\n", "timer", on_or_off(session->timer));
    while (last > 0 && look->widths[last - 1] == 0) last--;
    (void)fprintf(out, "%12s:", "width");
    for (int i = 0; i < last; i++) (void)fprintf(out, " %d", look->widths[i]);
    (void)fputc('\n', out);
    return TQ_OK;
}
