#include "shell/arguments.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

static enum tq_status fail_unknown(const struct shell_option *options, size_t option_count, const char *command,
                                   const char *word) {
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < option_count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", options[i].name);
    return tq_fail(TQ_MISUSE, "%s has no option %.40s; it has %s", command, word, option_count == 0 ? "none" : list);
}

static const char *without_dashes(const char *word) { return word + strspn(word, "-"); }

/* "-v" and "--skip", and as in sqlite3 "-skip"; "-" and "-1" are none. */
static bool is_option(const char *word) {
    const char *name = without_dashes(word);
    return strcmp(word, "--") == 0 ||
           (name != word && name - word <= 2 && (*name < '0' || *name > '9') && *name != '.' && *name != '\0');
}

enum tq_status shell_options_read(const struct shell_option *options, size_t option_count, int *count, char **words) {
    int kept = 1, at = 1;
    for (; at < *count; at++) {
        const struct shell_option *found = NULL;
        if (!is_option(words[at])) {
            words[kept++] = words[at];
            continue;
        }
        if (strcmp(words[at], "--") == 0) break;
        for (size_t i = 0; i < option_count; i++)
            if (strcmp(without_dashes(options[i].name), without_dashes(words[at])) == 0) found = &options[i];
        if (found == NULL) return fail_unknown(options, option_count, words[0], words[at]);
        if (found->given != NULL) *found->given = true;
        if (found->value == NULL) continue;
        if (++at == *count) return tq_fail(TQ_MISUSE, "%s: %s needs a value", words[0], found->name);
        *found->value = words[at];
    }
    for (at++; at < *count; at++) words[kept++] = words[at]; /* behind "--" */
    *count = kept;
    return TQ_OK;
}

enum tq_status shell_read_integer(const char *what, const char *text, int64_t least, int64_t most, int64_t *number) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be a whole number", what, text);
    }
    if (errno != 0 || value < least || value > most) {
        return tq_fail(TQ_MISUSE, "%s is %.40s; it must be %lld to %lld", what, text, (long long)least,
                       (long long)most);
    }
    *number = value;
    return TQ_OK;
}

enum tq_status shell_read_real(const char *what, const char *text, double least, double most, double *number) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || isnan(value)) {
        return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be a number", what, text);
    }
    if (value < least || value > most) {
        return tq_fail(TQ_MISUSE, "%s is %.40s; it must be %g to %g", what, text, least, most);
    }
    *number = value;
    return TQ_OK;
}

enum tq_status shell_check_device(const char *text) {
    if (sqlite3_stricmp(text, "cpu") == 0 || sqlite3_stricmp(text, "gpu") == 0 || sqlite3_stricmp(text, "auto") == 0)
        return TQ_OK;
    return tq_fail(TQ_MISUSE, "--device is \"%.40s\"; it must be cpu, gpu or auto", text);
}
