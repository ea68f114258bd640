/* Words with vectors, as GloVe, word2vec and fastText write them: a line for each, "word v1 ... vd". word2vec and
 * fastText begin with "<rows> <dimensions>"; in word2vec's binary files, d floats follow the word and a blank. GloVe
 * has words with blanks in them: the last d fields are the numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"
#include "src/base/utf8.h"
#include "src/io/lines.h"
#include "src/io/read.h"

enum { WORD_MAX = 4096, SAMPLE_LINES = 100 };

struct words {
    struct tq_lines lines;
    uint32_t dim;
    bool counted, binary; /* counted: the file begins with the number of its rows */
    uint64_t claimed, found;
    bool with_word, with_vector;
    float *vector; /* f32[dim] */
    char word[WORD_MAX + 1];
};

/* ---- Lines ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static const char *pass_blanks(const char *at, const char *end) {
    while (at < end && is_blank(*at)) at++;
    return at;
}

static const char *pass_field(const char *at, const char *end) {
    while (at < end && !is_blank(*at)) at++;
    return at;
}

static size_t count_fields(const char *at, const char *end) {
    size_t count = 0;
    for (at = pass_blanks(at, end); at < end; count++) at = pass_blanks(pass_field(at, end), end);
    return count;
}

static bool is_number(const char *at, const char *end) {
    float value;
    return tq_decimal_f32(&at, end, TQ_DECIMAL_LOOSE, &value) && at == end;
}

/* `dim` numbers and nothing behind them; otherwise the place of what is wrong, or `end` where something is missing. */
static const char *take_numbers(const char *at, const char *end, uint32_t dim, float *vector) {
    for (uint32_t i = 0; i < dim; i++) {
        const char *field = at = pass_blanks(at, end);
        if (!tq_decimal_f32(&at, end, TQ_DECIMAL_LOOSE, &vector[i]) || (at < end && !is_blank(*at))) return field;
        if (!isfinite(vector[i])) return field;
    }
    at = pass_blanks(at, end);
    return at == end ? NULL : at;
}

/* Where the last `count` fields begin; NULL: there are not so many. */
static const char *last_fields(const char *begin, const char *end, size_t count) {
    const char *at = end;
    for (size_t i = 0; i < count; i++) {
        while (at > begin && is_blank(at[-1])) at--;
        if (at == begin) return NULL;
        while (at > begin && !is_blank(at[-1])) at--;
    }
    return at;
}

static enum tq_status fail_at(const struct words *words, const char *line, const char *at, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, line %llu, column %zu: %s", words->lines.path, (unsigned long long)words->lines.line,
                   tq_utf8_count(line, (size_t)(at - line)) + 1, what);
}

static enum tq_status fail_field(const struct words *words, const char *line, const char *field, const char *end) {
    char what[128];
    const char *behind = pass_field(field, end);
    bool number = is_number(field, behind);
    (void)snprintf(what, sizeof what, "%s %s", tq_quote(field, (size_t)(behind - field)).text,
                   number ? "is beyond the range of float32" : "is no number");
    return fail_at(words, line, field, what);
}

static enum tq_status fail_count(const struct words *words, const char *line, const char *end) {
    char what[96];
    size_t fields = count_fields(line, end);
    (void)snprintf(what, sizeof what, "%zu numbers behind the word; there must be %u", fields - (fields > 0),
                   words->dim);
    return fail_at(words, line, end, what);
}

static enum tq_status keep_word(struct words *words, const char *line, const char *word, size_t size) {
    char what[96];
    if (size == 0) return fail_at(words, line, word, "the word is empty");
    if (size > WORD_MAX) {
        (void)snprintf(what, sizeof what, "a word of %zu bytes; it may have %d", size, WORD_MAX);
        return fail_at(words, line, word, what);
    }
    size_t wrong = tq_utf8_check(word, size);
    if (wrong < size) {
        (void)snprintf(what, sizeof what, "byte 0x%02x is not UTF-8", (unsigned char)word[wrong]);
        return fail_at(words, line, word + wrong, what);
    }
    memcpy(words->word, word, size);
    words->word[size] = '\0';
    return TQ_OK;
}

/* A line whose word has blanks in it, or that is wrong. */
static enum tq_status read_odd_line(struct words *words, const char *line, const char *end, size_t *size) {
    const char *numbers = last_fields(line, end, words->dim), *word = pass_blanks(line, end), *behind = numbers;
    if (numbers == NULL) return fail_count(words, line, end);
    while (behind > word && is_blank(behind[-1])) behind--;
    if (numbers == word)
        return word > line ? fail_at(words, line, line, "the word is empty") : fail_count(words, line, end);
    const char *wrong = take_numbers(numbers, end, words->dim, words->vector);
    if (wrong != NULL) return fail_field(words, line, wrong, end);
    const char *last = last_fields(word, behind, 1), *carriage = memchr(word, '\r', (size_t)(behind - word));
    if (carriage != NULL)
        return fail_at(words, line, carriage, "a carriage return in the middle: lines must end with a newline");
    if (last > word && is_number(last, behind)) return fail_count(words, line, end);
    *size = (size_t)(behind - word);
    return keep_word(words, line, word, *size);
}

static enum tq_status read_line(struct words *words, const char *line, const char *end, size_t *size) {
    const char *behind = pass_field(line, end);
    *size = (size_t)(behind - line);
    if (*size > 0 && take_numbers(behind, end, words->dim, words->vector) == NULL)
        return keep_word(words, line, line, *size);
    return read_odd_line(words, line, end, size);
}

/* The next line with something in it; *line is NULL at the end. */
static enum tq_status next_line(struct words *words, const char **line, const char **end) {
    size_t size = 0;
    do {
        TQ_TRY(tq_lines_next(&words->lines, line, &size));
        if (*line == NULL) return TQ_OK;
        *end = *line + tq_line_trim(*line, size);
    } while (pass_blanks(*line, *end) == *end);
    return TQ_OK;
}

/* ---- Binary rows ---- */

static enum tq_status fail_cut_off(const struct words *words) {
    return tq_fail(TQ_FORMAT, "%s: the header says %llu rows, the file ends in row %llu: it is cut off?",
                   words->lines.path, (unsigned long long)words->claimed, (unsigned long long)words->found);
}

static enum tq_status fail_row(const struct words *words, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, row %llu: %s", words->lines.path, (unsigned long long)words->found - 1, what);
}

/* Words are set apart by the ends of lines that some programs write and others do not. */
static enum tq_status read_binary_row(struct words *words, size_t *size) {
    const char *bytes = NULL;
    size_t got = 0, vector_bytes = words->dim * sizeof(float);
    TQ_TRY(tq_lines_peek(&words->lines, 1, &bytes, &got));
    if (got == 1 && *bytes == '\n') tq_lines_take(&words->lines, 1);
    TQ_TRY(tq_lines_peek(&words->lines, WORD_MAX + 1, &bytes, &got));
    const char *blank = memchr(bytes, ' ', got);
    if (blank == NULL && got <= WORD_MAX) return fail_cut_off(words);
    if (blank == NULL) {
        return tq_fail(TQ_FORMAT, "%s, row %llu: no blank in the first %d bytes: not a binary file of word2vec",
                       words->lines.path, (unsigned long long)words->found, WORD_MAX);
    }
    *size = (size_t)(blank - bytes);
    memcpy(words->word, bytes, *size);
    words->word[*size] = '\0';
    tq_lines_take(&words->lines, *size + 1);
    TQ_TRY(tq_lines_peek(&words->lines, vector_bytes, &bytes, &got));
    if (got < vector_bytes) return fail_cut_off(words);
    memcpy(words->vector, bytes, vector_bytes);
    tq_lines_take(&words->lines, vector_bytes);
    words->found++;
    if (*size == 0) return fail_row(words, "the word is empty");
    if (tq_utf8_check(words->word, *size) < *size) return fail_row(words, "the word is not UTF-8");
    return TQ_OK;
}

/* ---- Rows ---- */

/* At the end, or at a row behind those that were announced. */
static enum tq_status check_count(const struct words *words, bool end) {
    if (!words->counted || (end ? words->claimed == words->found : words->found < words->claimed)) return TQ_OK;
    if (!end) {
        return tq_fail(TQ_FORMAT, "%s, line %llu: the header says %llu rows, the file has more", words->lines.path,
                       (unsigned long long)words->lines.line, (unsigned long long)words->claimed);
    }
    return tq_fail(TQ_FORMAT, "%s: the header says %llu rows, the file has %llu: it is cut off?", words->lines.path,
                   (unsigned long long)words->claimed, (unsigned long long)words->found);
}

/* The next line that is a row; *line is NULL at the end. */
static enum tq_status next_row_line(struct words *words, const char **line, const char **end) {
    enum tq_status status = next_line(words, line, end);
    if (status != TQ_OK && status != TQ_MISUSE) return status;
    bool at_end = status == TQ_OK && *line == NULL;
    TQ_TRY(check_count(words, at_end));
    words->found += !at_end;
    return status;
}

static enum tq_status read_row(struct words *words, size_t *size, bool *end) {
    const char *line = NULL, *line_end = NULL;
    if (words->binary) {
        *end = words->found == words->claimed;
        return *end ? TQ_OK : read_binary_row(words, size);
    }
    TQ_TRY(next_row_line(words, &line, &line_end));
    *end = line == NULL;
    return *end ? TQ_OK : read_line(words, line, line_end, size);
}

static enum tq_status words_next(struct tq_reader *reader, bool *end) {
    struct words *words = reader->state;
    struct tq_value *value = reader->values;
    size_t size = 0;
    TQ_TRY(read_row(words, &size, end));
    if (words->with_word) *value++ = (struct tq_value){.type = TQ_TYPE_TEXT, .size = size, .text = words->word};
    if (words->with_vector)
        *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = words->dim, .vector = words->vector};
    return TQ_OK;
}

static enum tq_status words_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    struct words *words = reader->state;
    for (; *skipped < count; ++*skipped) {
        const char *line = NULL, *line_end = NULL;
        size_t size = 0;
        if (words->binary && words->found == words->claimed) return TQ_OK;
        enum tq_status status = words->binary ? read_binary_row(words, &size) : next_row_line(words, &line, &line_end);
        if (status != TQ_OK && status != TQ_MISUSE) return status;
        if (status == TQ_OK && !words->binary && line == NULL) return TQ_OK;
    }
    return TQ_OK;
}

/* ---- Open ---- */

/* "<rows> <dimensions>" and nothing else. */
static bool read_header(const char *at, const char *end, uint64_t *rows, uint64_t *dim) {
    uint64_t *const numbers[] = {rows, dim};
    for (size_t i = 0; i < 2; i++) {
        const char *first = at;
        *numbers[i] = 0;
        for (; at < end && *at >= '0' && *at <= '9' && at - first < 18; at++)
            *numbers[i] = *numbers[i] * 10 + (uint64_t)(*at - '0');
        if (at == first || (at < end && !is_blank(*at))) return false;
        at = pass_blanks(at, end);
    }
    return at == end;
}

/* Numbers behind the last field that is none, or behind the first field. */
static size_t count_numbers(const char *line, const char *end) {
    size_t count = 0;
    const char *word_end = pass_field(pass_blanks(line, end), end), *at = end;
    for (;; count++) {
        const char *behind = at;
        while (behind > word_end && is_blank(behind[-1])) behind--;
        if (behind == word_end) return count;
        at = behind;
        while (at > word_end && !is_blank(at[-1])) at--;
        if (!is_number(at, behind)) return count;
    }
}

/* The dimension that most of the first lines have: some have words with blanks, or mistakes. */
static enum tq_status guess_dim(struct words *words, uint64_t *dim) {
    size_t counts[SAMPLE_LINES], lines = 0, most = 0;
    const uint64_t offset = tq_lines_offset(&words->lines), number = words->lines.line;
    while (lines < SAMPLE_LINES) {
        const char *line = NULL, *end = NULL;
        enum tq_status status = next_line(words, &line, &end);
        if (status == TQ_MISUSE) continue;
        TQ_TRY(status);
        if (line == NULL) break;
        counts[lines++] = count_numbers(line, end);
    }
    tq_lines_seek(&words->lines, offset, number);
    *dim = 0;
    for (size_t i = 0; i < lines; i++) {
        size_t same = 0;
        for (size_t j = 0; j < lines; j++) same += counts[j] == counts[i];
        if (counts[i] > 0 && same > most) *dim = counts[i], most = same;
    }
    if (*dim > 0) return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: none of the first %zu lines is a word with numbers behind it", words->lines.path,
                   lines);
}

/* A first line of two integers is a header, unless the lines that follow have one number each, too. */
static enum tq_status look(struct words *words, uint64_t *dim) {
    enum { HEAD = 4096 };
    const char *line = NULL, *end = NULL;
    size_t size = 0, got = 0;
    uint64_t guessed = 0;
    TQ_TRY(tq_lines_peek(&words->lines, HEAD, &line, &got));
    if (got == 0) return tq_fail(TQ_FORMAT, "%s: the file is empty", words->lines.path);
    const uint64_t begin = tq_lines_offset(&words->lines);
    const char *first = memchr(line, '\n', got);
    const bool binary = tq_is_binary(line, got);
    end = first == NULL ? line + got : line + tq_line_trim(line, (size_t)(first - line));
    words->counted = read_header(line, end, &words->claimed, dim);
    if (binary && !words->counted)
        return tq_fail(TQ_FORMAT, "%s: binary, not a text of words and numbers", words->lines.path);
    if (words->counted) TQ_TRY(tq_lines_next(&words->lines, &line, &size));
    words->binary = binary;
    if (binary || (words->counted && tq_lines_offset(&words->lines) == words->lines.size)) return TQ_OK;
    enum tq_status status = guess_dim(words, &guessed);
    if (words->counted && status == TQ_OK && guessed == 1 && *dim != 1) {
        words->counted = false;
        tq_lines_seek(&words->lines, begin, 0);
    }
    if (words->counted) return TQ_OK;
    *dim = guessed;
    return status;
}

static enum tq_status check_claim(const struct words *words, uint64_t dim) {
    uint64_t least = words->binary ? 1 + 4 * dim : 1 + 2 * dim; /* bytes of a row: "a 1 2" or "a " and floats */
    if (!words->counted || words->claimed <= words->lines.size / least) return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: the header says %llu rows of %llu numbers, the file has %llu bytes: it is cut off?",
                   words->lines.path, (unsigned long long)words->claimed, (unsigned long long)dim,
                   (unsigned long long)words->lines.size);
}

static enum tq_status words_open(struct tq_reader *reader) {
    uint64_t dim = 0;
    struct words *words = reader->state = tq_alloc_zero(sizeof *words);
    if (words == NULL) return TQ_NOMEM;
    TQ_TRY(tq_lines_open(&words->lines, reader->path));
    TQ_TRY(look(words, &dim));
    words->with_word = tq_reader_wants(reader, "word");
    words->with_vector = tq_reader_wants(reader, "embedding");
    if (words->with_word) TQ_TRY(tq_reader_column(reader, "word", TQ_TYPE_TEXT, 0, true));
    if (words->with_vector) TQ_TRY(tq_reader_column(reader, "embedding", TQ_TYPE_VECTOR, dim, false));
    if (dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s: %llu dimensions; there must be 1 to %d", reader->path, (unsigned long long)dim,
                       TQ_DIM_MAX);
    }
    TQ_TRY(check_claim(words, dim));
    if (words->counted) reader->info.rows = words->claimed;
    words->dim = (uint32_t)dim;
    words->vector = tq_alloc_array(dim, sizeof *words->vector);
    return words->vector == NULL ? TQ_NOMEM : TQ_OK;
}

static void words_close(struct tq_reader *reader) {
    struct words *words = reader->state;
    if (words == NULL) return;
    tq_lines_close(&words->lines);
    tq_free(words->vector);
    tq_free(words);
}

static double words_progress(const struct tq_reader *reader) {
    const struct words *words = reader->state;
    return tq_lines_progress(&words->lines);
}

static void words_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct words *words = reader->state;
    if (words->binary)
        (void)snprintf(text, size, "%s, row %llu", reader->path,
                       (unsigned long long)(words->found == 0 ? 0 : words->found - 1));
    else
        (void)snprintf(text, size, "%s, line %llu", reader->path, (unsigned long long)words->lines.line);
}

bool tq_is_words(const uint8_t *head, size_t size) {
    const char *line = (const char *)head, *newline = memchr(line, '\n', size);
    const char *end = newline == NULL ? line + size : line + tq_line_trim(line, (size_t)(newline - line));
    uint64_t rows = 0, dim = 0;
    if (newline != NULL && newline + 1 < line + size && read_header(line, end, &rows, &dim)) return dim >= 2;
    if (tq_is_binary(head, size)) return false;
    if (newline == NULL) /* the last field may be cut off */
        while (end > line && !is_blank(end[-1])) end--;
    const char *word_end = pass_field(line, end);
    return word_end > line && !is_number(line, word_end) && count_numbers(line, end) >= 2;
}

const struct tq_reader_ops tq_read_words = {.open = words_open,
                                            .close = words_close,
                                            .next = words_next,
                                            .skip = words_skip,
                                            .progress = words_progress,
                                            .place = words_place};
