/* Completion behind a point: commands, and what the table says about their arguments. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shell/commands.h"
#include "shell/complete.h"

enum { WORDS_MAX = 32, WORD_MAX = 60 };

/* The words of a line up to the cursor, the last one perhaps empty. */
struct words {
    const char *start[WORDS_MAX]; /* without the quote */
    size_t size[WORDS_MAX];
    size_t place; /* of the last one in the line, with its quote */
    int count;
};

static void split(const char *line, size_t cursor, struct words *words) {
    const char *at = line, *end = line + cursor;
    for (words->count = 0; words->count < WORDS_MAX;) {
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        const char *from = at;
        char quote = at < end && (*at == '\'' || *at == '"') ? *at : '\0';
        if (quote != '\0') at++;
        words->place = (size_t)(from - line);
        words->start[words->count] = at;
        while (at < end && (quote != '\0' ? *at != quote : *at != ' ' && *at != '\t')) at++;
        words->size[words->count] = (size_t)(at - words->start[words->count]);
        words->count++;
        if (at == end) return;
        at++;
    }
}

/* A word of `arguments`, without the brackets and points around it. Returns what follows it. */
static const char *next_argument(const char *at, char *word) {
    size_t size = 0;
    at += strspn(at, " ");
    while (*at != '\0' && *at != ' ') {
        if (size + 1 < WORD_MAX * 4 && strchr("[].", *at) == NULL) word[size++] = *at;
        at++;
    }
    word[size] = '\0';
    return at;
}

typedef char argument[WORD_MAX * 4];

/* a|b|c, or what stands for names. */
static void offer_kind(struct shell_session *session, struct shell_matches *matches, const char *kind, const char *word,
                       size_t size) {
    argument copy;
    char *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", kind);
    for (char *one = strtok_r(copy, "|", &rest); one != NULL; one = strtok_r(NULL, "|", &rest)) {
        if (strcmp(one, "TABLE") == 0)
            shell_complete_tables(session, matches, word, size);
        else if (strcmp(one, "FILE") == 0 || strcmp(one, "DIR") == 0)
            shell_complete_file(matches, word, size, strcmp(one, "DIR") == 0);
        else if (strcmp(one, "COMMAND") == 0)
            for (size_t i = 0; i < shell_command_count; i++)
                shell_matches_offer(matches, word, size, shell_commands[i].name + (word[0] != '.'), " ");
        else if (islower((unsigned char)one[0]))
            shell_matches_offer(matches, word, size, one, " ");
    }
}

static void offer_options(struct shell_matches *matches, const char *text, const char *word, size_t size) {
    for (const char *at = text == NULL ? NULL : strstr(text, "--"); at != NULL; at = strstr(at + 2, "--")) {
        argument option;
        size_t length = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (length == 2 || length >= sizeof option || (at > text && isalnum((unsigned char)at[-1]))) continue;
        (void)snprintf(option, sizeof option, "%.*s", (int)length, at);
        shell_matches_offer(matches, word, size, option, " ");
    }
}

/* Behind an option: the name of its value, or the words that it may be, a|b. */
static bool is_value(const char *word) {
    return isupper((unsigned char)word[0]) || (word[0] != '|' && strchr(word, '|') != NULL);
}

/* Whether `text` is the option, and what its value is called: "" if it has none. */
static bool find_value(const struct shell_command *command, const char *option, size_t size, char *kind) {
    argument word;
    for (const char *at = next_argument(command->arguments, word); word[0] != '\0'; at = next_argument(at, word)) {
        if (strncmp(word, option, size) != 0 || word[size] != '\0') continue;
        (void)next_argument(at, kind);
        if (!is_value(kind)) kind[0] = '\0';
        return true;
    }
    return false;
}

static bool is_option(const char *word, size_t size) { return size >= 2 && strncmp(word, "--", 2) == 0; }

/* How many of the words before the last one are arguments by their place. */
static int place_of(const struct shell_command *command, const struct words *words) {
    int place = 0;
    for (int i = 1; i + 1 < words->count; i++) {
        argument kind = "";
        if (!is_option(words->start[i], words->size[i]))
            place++;
        else if (find_value(command, words->start[i], words->size[i], kind) && kind[0] != '\0')
            i++;
    }
    return place;
}

/* Alternatives of several words are set apart by " | ": what stands at this place in any of them. */
static void offer_place(struct shell_session *session, const struct shell_command *command, const struct words *words,
                        struct shell_matches *matches) {
    const char *last = words->start[words->count - 1];
    size_t size = words->size[words->count - 1];
    int want = place_of(command, words), place = 0;
    bool repeats = strstr(command->arguments, "...") != NULL, valued = false;
    argument word;
    const char *at = next_argument(command->arguments, word);
    for (; word[0] != '\0'; at = next_argument(at, word)) {
        bool bar = strcmp(word, "|") == 0, option = is_option(word, strlen(word));
        bool value = valued && is_value(word);
        valued = option;
        if (bar) place = 0;
        if (bar || option || value) continue;
        if (place == want || (repeats && place <= want)) offer_kind(session, matches, word, last, size);
        place++;
    }
}

void shell_complete_command(struct shell_session *session, const char *line, size_t cursor,
                            struct shell_matches *matches) {
    const struct shell_command *command = NULL;
    struct words words;
    argument name, kind = "";
    split(line, cursor, &words);
    const char *last = words.start[words.count - 1];
    size_t size = words.size[words.count - 1];
    matches->start = words.place;
    if (words.count == 1) {
        for (size_t i = 0; i < shell_command_count; i++)
            shell_matches_offer(matches, last, size, shell_commands[i].name,
                                shell_commands[i].arguments[0] == '\0' ? "" : " ");
        return;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)words.size[0], words.start[0]);
    if (words.count == WORDS_MAX || shell_command_find(name, &command) != TQ_OK) return;
    const char *before = words.start[words.count - 2];
    size_t before_size = words.size[words.count - 2];
    if (words.count > 2 && is_option(before, before_size) && find_value(command, before, before_size, kind) &&
        kind[0] != '\0') {
        offer_kind(session, matches, kind, last, size);
    } else if (size > 0 && last[0] == '-') {
        offer_options(matches, command->arguments, last, size);
        offer_options(matches, command->details, last, size);
    } else {
        offer_place(session, command, &words, matches);
    }
}
