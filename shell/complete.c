#include "shell/complete.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "shell/session.h"
#include "shell/tokens.h"

enum { MATCHES_MAX = 20000 };

/* ---- Matches ---- */

void shell_matches_clear(struct shell_matches *matches) {
    for (size_t i = 0; i < matches->count; i++) free(matches->texts[i]);
    free(matches->texts);
    matches->texts = NULL;
    matches->count = matches->capacity = 0;
}

/* A match that memory is too short for is left out. */
void shell_matches_offer(struct shell_matches *matches, const char *word, size_t size, const char *text,
                         const char *end) {
    if (strncasecmp(text, word, size) != 0 || matches->count == MATCHES_MAX) return;
    if (matches->count == matches->capacity) {
        size_t capacity = matches->capacity == 0 ? 32 : 2 * matches->capacity;
        char **grown = realloc(matches->texts, capacity * sizeof *grown);
        if (grown == NULL) return;
        matches->texts = grown;
        matches->capacity = capacity;
    }
    char *copy = NULL;
    if (asprintf(&copy, "%s%s", text, end) < 0) return;
    matches->texts[matches->count++] = copy;
}

static int compare(const void *a, const void *b) {
    const char *const *first = a, *const *second = b;
    int order = strcasecmp(*first, *second);
    return order != 0 ? order : strcmp(*first, *second);
}

static void sort(struct shell_matches *matches) {
    size_t kept = 0;
    if (matches->count > 0) qsort(matches->texts, matches->count, sizeof *matches->texts, compare);
    for (size_t i = 0; i < matches->count; i++) {
        if (kept > 0 && strcasecmp(matches->texts[kept - 1], matches->texts[i]) == 0)
            free(matches->texts[i]);
        else
            matches->texts[kept++] = matches->texts[i];
    }
    matches->count = kept;
}

size_t shell_matches_common(const struct shell_matches *matches) {
    if (matches->count == 0) return 0;
    size_t common = strlen(matches->texts[0]);
    for (size_t i = 1; i < matches->count; i++) {
        size_t same = 0;
        while (same < common && strncasecmp(matches->texts[0] + same, matches->texts[i] + same, 1) == 0) same++;
        common = same;
    }
    while (common > 0 && ((unsigned char)matches->texts[0][common] & 0xc0) == 0x80) common--; /* whole characters */
    return common;
}

/* ---- Files ---- */

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void offer_entry(struct shell_matches *matches, const char *word, size_t size, size_t folder, const char *name,
                        bool folders) {
    char path[4096];
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (name[0] == '.' && word[folder] != '.')) return;
    if (strncmp(name, word + folder, size - folder) != 0) return;
    int length = snprintf(path, sizeof path - 2, "%.*s%s", (int)folder, word, name);
    if (length < 0 || (size_t)length >= sizeof path - 2) return;
    bool inner = is_folder(path);
    if (folders && !inner) return;
    if (inner) (void)snprintf(path + length, sizeof path - (size_t)length, "/");
    bool quoted = strpbrk(path, " \t\"\\") != NULL && strchr(path, '\'') == NULL;
    char whole[sizeof path + 4];
    (void)snprintf(whole, sizeof whole, "%s%s%s", quoted ? "'" : "", path, quoted && !inner ? "'" : "");
    shell_matches_offer(matches, "", 0, whole, inner ? "" : " ");
}

void shell_complete_file(struct shell_matches *matches, const char *word, size_t size, bool folders) {
    char copy[4096], place[4096];
    if (size >= sizeof copy) return;
    memcpy(copy, word, size);
    copy[size] = '\0';
    const char *slash = strrchr(copy, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - copy) + 1;
    (void)snprintf(place, sizeof place, "%.*s", (int)folder, copy);
    DIR *dir = opendir(folder == 0 ? "." : place);
    if (dir == NULL) return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        offer_entry(matches, copy, size, folder, entry->d_name, folders);
    (void)closedir(dir);
}

/* ---- A line ---- */

void shell_complete(struct shell_session *session, const char *line, size_t cursor, struct shell_matches *matches) {
    *matches = (struct shell_matches){.start = cursor};
    (void)sqlite3_busy_timeout(session->db, 0);
    const char *first = shell_tokens_skip(line);
    if (session->pending == NULL && *first == '.' && (size_t)(first - line) < cursor)
        shell_complete_command(session, line, cursor, matches);
    else
        shell_complete_sql(session, line, cursor, matches);
    (void)sqlite3_busy_timeout(session->db, session->busy_ms);
    sort(matches);
}
