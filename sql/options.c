#include "sql/options.h"

#include <limits.h>
#include <math.h>
#include <sqlite3ext.h>
#include <string.h>

#include "src/base/alloc.h"

SQLITE_EXTENSION_INIT3

/* Text that ends where it ends, not with a zero. */
struct word {
    const char *text;
    size_t size;
};

static bool word_is(struct word word, const char *name) {
    return word.size == strlen(name) && sqlite3_strnicmp(word.text, name, (int)word.size) == 0;
}

/* ---- Values ---- */

static bool is_digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

/* "e-3", up to the end. */
static bool read_exponent(const char *at, const char *end, int *exponent) {
    int value = 0;
    if (at == end) return true;
    if (*at != 'e' && *at != 'E') return false;
    at++;
    bool minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (!is_digit(at, end)) return false;
    for (; is_digit(at, end); at++) value = value < 1000 ? value * 10 + (*at - '0') : value;
    *exponent += minus ? -value : value;
    return at == end;
}

/* strtod() obeys the locale, and takes "inf" and hexadecimal numbers. */
static bool read_number(struct word word, double *number) {
    enum { LONGEST = 40 };
    const char *at = word.text, *end = at + word.size;
    long double mantissa = 0;
    int digits = 0, exponent = 0;
    bool minus = at < end && *at == '-';
    if (word.size > LONGEST) return false;
    for (at += minus; is_digit(at, end); at++, digits++) mantissa = mantissa * 10 + (*at - '0');
    if (at < end && *at == '.') {
        for (at++; is_digit(at, end); at++, digits++, exponent--) mantissa = mantissa * 10 + (*at - '0');
    }
    if (digits == 0 || !read_exponent(at, end, &exponent)) return false;
    long double value = exponent < 0 ? mantissa / powl(10, -exponent) : mantissa * powl(10, exponent);
    *number = (double)(minus ? -value : value);
    return true;
}

static bool read_switch(struct word word, bool *on) {
    *on = word_is(word, "on") || word_is(word, "true") || word_is(word, "1");
    return *on || word_is(word, "off") || word_is(word, "false") || word_is(word, "0");
}

static bool set_confidence(struct word value, struct tq_search_options *options) {
    if (word_is(value, "exact")) {
        options->confidence = TQ_EXACT;
        return true;
    }
    if (!read_number(value, &options->confidence)) return false;
    options->confidence = fmin(options->confidence, TQ_EXACT);
    return true;
}

static bool set_exact(struct word value, struct tq_search_options *options) {
    bool on = false;
    if (!read_switch(value, &on)) return false;
    options->confidence = on ? TQ_EXACT : tq_search_defaults().confidence;
    return true;
}

static bool set_oversample(struct word value, struct tq_search_options *options) {
    return read_number(value, &options->oversample);
}

static bool set_rerank(struct word value, struct tq_search_options *options) {
    bool on = word_is(value, "on");
    if (!on && !word_is(value, "off")) return read_number(value, &options->oversample) && options->oversample >= 1;
    options->oversample = on ? 0 : 1;
    return true;
}

static bool read_whole(struct word value, int *whole) {
    double number = 0;
    if (!read_number(value, &number) || !(fabs(number) <= INT_MAX) || number != floor(number)) return false;
    *whole = (int)number;
    return true;
}

static bool set_threads(struct word value, struct tq_search_options *options) {
    return read_whole(value, &options->threads);
}

static bool set_timeout(struct word value, struct tq_search_options *options) {
    return read_whole(value, &options->timeout_ms);
}

static const char *const device_names[] = {[TQ_DEVICE_CPU] = "cpu", [TQ_DEVICE_AUTO] = "auto", [TQ_DEVICE_GPU] = "gpu"};

const char *tq_options_device(enum tq_device device) { return device_names[device]; }

static bool set_device(struct word value, struct tq_search_options *options) {
    for (size_t i = 0; i < TQ_COUNT(device_names); i++) {
        if (!word_is(value, device_names[i])) continue;
        options->device = (enum tq_device)i;
        return true;
    }
    return false;
}

/* ---- Settings ---- */

enum field { FIELD_CONFIDENCE, FIELD_OVERSAMPLE, FIELD_THREADS, FIELD_TIMEOUT, FIELD_DEVICE, FIELD_COUNT };
static const char *const field_names[FIELD_COUNT] = {"confidence", "oversample", "threads", "timeout_ms", "device"};

struct setting {
    const char *key;
    enum field field;
    bool (*set)(struct word, struct tq_search_options *); /* false: the value is none of its kind */
    const char *range;
};
static const struct setting settings[] = {
    {"confidence", FIELD_CONFIDENCE, set_confidence, "a number above 0, or exact"},
    {"exact", FIELD_CONFIDENCE, set_exact, "on or off"},
    {"oversample", FIELD_OVERSAMPLE, set_oversample, "0, or 1 to 1000000"},
    {"rerank", FIELD_OVERSAMPLE, set_rerank, "on, off, or 1 to 1000000"},
    {"threads", FIELD_THREADS, set_threads, "a whole number, 1 to 256"},
    {"timeout_ms", FIELD_TIMEOUT, set_timeout, "a whole number of milliseconds, or 0 for none"},
    {"device", FIELD_DEVICE, set_device, "cpu, gpu or auto"},
};

/* How much of a text a message shows. */
static int shown(struct word word) { return (int)tq_min_size(word.size, 40); }

static enum tq_status find_setting(struct word key, const struct setting **setting) {
    for (size_t i = 0; i < TQ_COUNT(settings); i++) {
        *setting = &settings[i];
        if (word_is(key, settings[i].key)) return TQ_OK;
    }
    return tq_fail(TQ_MISUSE,
                   "unknown setting \"%.*s\"; there are confidence, exact, oversample, rerank, threads, timeout_ms and"
                   " device",
                   shown(key), key.text);
}

static enum tq_status apply(const struct setting *setting, struct word value, struct tq_search_options *options) {
    struct tq_search_options changed = *options;
    if (!setting->set(value, &changed)) {
        return tq_fail(TQ_MISUSE, "%s is \"%.*s\"; it must be %s", setting->key, shown(value), value.text,
                       setting->range);
    }
    TQ_TRY(tq_search_check(&changed, 1));
    *options = changed;
    return TQ_OK;
}

enum tq_status tq_options_set(const char *key, const char *text, size_t size, struct tq_search_options *options) {
    const struct setting *setting = NULL;
    TQ_TRY(find_setting((struct word){key, strlen(key)}, &setting));
    return apply(setting, (struct word){text, size}, options);
}

/* ---- Text ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_blank(*at)) at++;
    return at;
}

static struct word take_word(const char *at, const char *end) {
    struct word word = {at, 0};
    for (; at < end && !is_blank(*at) && *at != ',' && *at != ';' && *at != '='; at++) word.size++;
    return word;
}

/* "threads=2" at *at, which moves past it. */
static enum tq_status take_setting(const char **at, const char *end, bool said[FIELD_COUNT],
                                   struct tq_search_options *options) {
    const struct setting *setting = NULL;
    struct word key = take_word(*at, end), value = {end, 0};
    TQ_TRY(find_setting(key, &setting));
    const char *equals = skip_blanks(key.text + key.size, end);
    if (equals < end && *equals == '=') value = take_word(skip_blanks(equals + 1, end), end);
    if (value.size == 0) {
        return tq_fail(TQ_MISUSE, "%s has no value; a setting is written %s=value", setting->key, setting->key);
    }
    if (said[setting->field]) {
        return tq_fail(TQ_MISUSE, "%s=%.*s: %s is set already", setting->key, shown(value), value.text,
                       field_names[setting->field]);
    }
    said[setting->field] = true;
    *at = value.text + value.size;
    return apply(setting, value, options);
}

enum tq_status tq_options_read(const char *text, size_t size, struct tq_search_options *options) {
    struct tq_search_options read = *options;
    bool said[FIELD_COUNT] = {false};
    const char *at = text, *end = text + size;
    while (at < end) {
        if (*at == ';') memset(said, 0, sizeof said);
        if (*at == ';' || *at == ',' || is_blank(*at))
            at++;
        else
            TQ_TRY(take_setting(&at, end, said, &read));
    }
    *options = read;
    return TQ_OK;
}

/* ---- A query with options ---- */

/* Followed by the text, zeros up to a multiple of 4, and the vector. */
struct head {
    uint32_t mark[3]; /* the last one is the version of this layout */
    uint32_t text_size;
};
static const uint32_t mark[3] = {0x7fc07471, 0x7fc07175, 1}; /* two NaN */

static size_t padded(size_t text_size) { return tq_round_up(text_size, sizeof(float)); }

bool tq_options_unwrap(const void *bytes, size_t size, const void **vector, size_t *vector_size, const char **text,
                       size_t *text_size) {
    struct head head;
    if (size < sizeof head) return false;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.mark, mark, sizeof mark) != 0 || head.text_size > TQ_OPTIONS_TEXT_MAX) return false;
    size_t before = sizeof head + padded(head.text_size);
    if (before > size) return false;
    *text = (const char *)bytes + sizeof head;
    *text_size = head.text_size;
    *vector = (const char *)bytes + before;
    *vector_size = size - before;
    return true;
}

enum tq_status tq_options_wrap(const void *vector, size_t vector_size, const char *text, size_t text_size,
                               void **wrapped, size_t *wrapped_size) {
    const char *inner = "";
    size_t inner_size = 0;
    struct tq_search_options ignored = tq_search_defaults();
    (void)tq_options_unwrap(vector, vector_size, &vector, &vector_size, &inner, &inner_size);
    size_t all = inner_size + (inner_size > 0 ? 1 : 0) + text_size;
    if (text_size > TQ_OPTIONS_TEXT_MAX || all > TQ_OPTIONS_TEXT_MAX) {
        return tq_fail(TQ_MISUSE, "options have %zu bytes; %d are possible", all, TQ_OPTIONS_TEXT_MAX);
    }
    struct head head = {{mark[0], mark[1], mark[2]}, (uint32_t)all};
    size_t before = sizeof head + padded(all);
    char *made = tq_alloc(before + vector_size);
    if (made == NULL) return TQ_NOMEM;
    memset(made, 0, before);
    memcpy(made, &head, sizeof head);
    char *at = made + sizeof head;
    memcpy(at, inner, inner_size);
    if (inner_size > 0) at[inner_size++] = ';';
    memcpy(at + inner_size, text, text_size);
    if (vector_size > 0) memcpy(made + before, vector, vector_size); /* of an empty blob, SQLite gives NULL */
    enum tq_status status = tq_options_read(at, all, &ignored);
    if (status != TQ_OK) {
        tq_free(made);
        return status;
    }
    *wrapped = made;
    *wrapped_size = before + vector_size;
    return TQ_OK;
}
