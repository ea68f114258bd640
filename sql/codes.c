/* tq_encode() and tq_decode(): the code of one vector as a blob that needs no table to be read.
 *
 * It is the record of a table with rows=none, behind a header that says how it was made; the metric is not in it,
 * because decoding does not ask for it. Codes come from anywhere: no byte is trusted. */
#include <float.h>
#include <string.h>

#include "sql/functions.h"
#include "sql/index_options.h"
#include "sql/value.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"

/* Host order is little-endian everywhere this library runs. */
struct header {
    uint8_t magic[3], version;
    uint8_t bits, qjl;
    uint16_t last; /* dim - 1 */
    uint64_t seed;
};
_Static_assert(sizeof(struct header) == 16, "written to blobs as it is");

static const uint8_t magic[3] = {'T', 'Q', 'C'};
enum { VERSION = 1 };

/* ---- Codecs in use ---- */

/* One holds the rotations of its dimension and seed, which take longer to make than a code. */
struct coder {
    struct tq_codec *codec;
    struct tq_encoder *encoder;
    float *scratch; /* f32[4 * dim] */
};

enum { CODERS = 4 };

/* The functions' client data; `refs` of them, each of which SQLite drops by itself. */
struct coders {
    unsigned refs;
    struct tq_kernels kernels;
    struct coder recent[CODERS]; /* the last used one first */
};

static void close_coder(struct coder *coder) {
    tq_encoder_close(coder->encoder);
    tq_codec_close(coder->codec);
    tq_free(coder->scratch);
    *coder = (struct coder){NULL, NULL, NULL};
}

static void release(void *memory) {
    struct coders *coders = memory;
    if (--coders->refs > 0) return;
    for (int i = 0; i < CODERS; i++) close_coder(&coders->recent[i]);
    tq_free(coders);
}

static enum tq_status open_coder(const struct coders *coders, const struct tq_format *format, struct coder *coder) {
    TQ_TRY(tq_codec_open(format, &coders->kernels, &coder->codec));
    TQ_TRY(tq_encoder_open(coder->codec, &coder->encoder));
    coder->scratch = tq_alloc_array(4 * (size_t)format->dim, sizeof *coder->scratch);
    return coder->scratch == NULL ? TQ_NOMEM : TQ_OK;
}

/* What a codec is made of. */
static bool fits(const struct tq_codec *codec, const struct tq_format *format) {
    const struct tq_format *has = &codec->format;
    return has->dim == format->dim && has->bits == format->bits && has->qjl == format->qjl && has->seed == format->seed;
}

/* Valid until the next call. */
static enum tq_status find_coder(struct coders *coders, const struct tq_format *format, struct coder **coder) {
    struct coder found = {NULL, NULL, NULL}, *recent = coders->recent;
    size_t at = 0;
    while (at < CODERS - 1 && recent[at].codec != NULL && !fits(recent[at].codec, format)) at++;
    if (recent[at].codec != NULL && fits(recent[at].codec, format)) {
        found = recent[at];
    } else {
        enum tq_status status = open_coder(coders, format, &found);
        if (status != TQ_OK) {
            close_coder(&found);
            return status;
        }
        close_coder(&recent[at]);
    }
    memmove(recent + 1, recent, at * sizeof *recent);
    recent[0] = found;
    /* The metric, and with it how a norm is rounded, is of this call. */
    recent[0].codec->format = *format;
    *coder = recent;
    return TQ_OK;
}

/* ---- 'bits=4, qjl=1' ---- */

#define BLANKS " \t\r\n"

/* The word at `at`; returns what follows it and its blanks, or NULL if there is none. */
static const char *take_word(const char *at, char *word, size_t size) {
    size_t length = strcspn(at, BLANKS ",=");
    if (length == 0 || length >= size) return NULL;
    memcpy(word, at, length);
    word[length] = 0;
    at += length;
    return at + strspn(at, BLANKS);
}

/* Those that a code depends on; rows are none. */
static const char *const option_names[] = {"bits", "qjl", "metric", "seed"};

static size_t find_option(const char *key) {
    size_t option = 0;
    while (option < TQ_COUNT(option_names) && sqlite3_stricmp(key, option_names[option]) != 0) option++;
    return option;
}

/* Commas or blanks between options, as in tq_query(). */
static enum tq_status read_options(sqlite3_value *value, struct tq_index_options *options) {
    bool said[TQ_COUNT(option_names)] = {false};
    char key[64], word[64];
    if (sqlite3_value_type(value) != SQLITE_TEXT) {
        return tq_fail(TQ_MISUSE, "options are a text such as 'bits=4, qjl=1', not %s", tq_value_type_name(value));
    }
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    for (text += strspn(text, BLANKS ","); *text != 0; text += strspn(text, BLANKS ",")) {
        const char *at = take_word(text, key, sizeof key);
        if (at != NULL) at = *at == '=' ? take_word(at + 1 + strspn(at + 1, BLANKS), word, sizeof word) : NULL;
        if (at == NULL) return tq_fail(TQ_MISUSE, "\"%.60s\": an option is written as bits=4", text);
        size_t option = find_option(key);
        if (option == TQ_COUNT(option_names)) {
            return tq_fail(TQ_MISUSE, "unknown option \"%.40s\"; there are bits, qjl, metric and seed", key);
        }
        if (said[option]) return tq_fail(TQ_MISUSE, "%s is given twice", option_names[option]);
        said[option] = true;
        TQ_TRY(tq_index_option_set(key, word, options));
        text = at;
    }
    return TQ_OK;
}

/* ---- Encoding ---- */

static enum tq_status encode(struct coders *coders, int count, sqlite3_value **values, struct tq_floats *floats,
                             uint8_t **blob, size_t *size) {
    const float *vector = NULL;
    struct coder *coder = NULL;
    struct tq_format format;
    struct tq_row row;
    size_t dim = 0;
    TQ_TRY(tq_value_vector(values[0], floats, &vector, &dim));
    struct tq_index_options options = tq_index_defaults((uint32_t)dim);
    if (count > 1) TQ_TRY(read_options(values[1], &options));
    options.rows = TQ_ROWS_NONE;
    TQ_TRY(tq_format_init(&format, &options));
    TQ_TRY(find_coder(coders, &format, &coder));
    TQ_TRY(tq_encode(coder->encoder, vector, &row));
    struct header header = {.version = VERSION,
                            .bits = (uint8_t)format.bits,
                            .qjl = format.qjl,
                            .last = (uint16_t)(dim - 1),
                            .seed = format.seed};
    memcpy(header.magic, magic, sizeof magic);
    *size = sizeof header + format.record_bytes;
    *blob = tq_alloc(*size);
    if (*blob == NULL) return TQ_NOMEM;
    memcpy(*blob, &header, sizeof header);
    memcpy(*blob + sizeof header, row.record, format.record_bytes);
    return TQ_OK;
}

static void run_encode(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_floats floats = {0};
    uint8_t *blob = NULL;
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        if (sqlite3_value_type(values[i]) == SQLITE_NULL) return;
    }
    enum tq_status status = encode(sqlite3_user_data(context), count, values, &floats, &blob, &size);
    if (status == TQ_OK)
        sqlite3_result_blob64(context, blob, size, tq_free);
    else
        tq_function_fail(context, "tq_encode", status);
    tq_free(floats.data);
}

/* ---- Decoding ---- */

static enum tq_status read_header(const uint8_t *blob, size_t size, struct tq_format *format) {
    struct header header;
    if (size < sizeof header || memcmp(blob, magic, sizeof magic) != 0) {
        return tq_fail(TQ_MISUSE, "the blob of %zu bytes is no code of tq_encode", size);
    }
    memcpy(&header, blob, sizeof header);
    if (header.version != VERSION) {
        return tq_fail(TQ_MISUSE, "the code has version %d; this library reads version %d", header.version, VERSION);
    }
    if (header.bits < 1 || header.qjl > 1) {
        return tq_fail(TQ_MISUSE, "the code is damaged: bits is %d, qjl is %d", header.bits, header.qjl);
    }
    struct tq_index_options options = {
        .dim = header.last + 1u, .bits = header.bits, .qjl = header.qjl, .rows = TQ_ROWS_NONE, .seed = header.seed};
    TQ_TRY(tq_format_init(format, &options));
    if (size == sizeof header + format->record_bytes) return TQ_OK;
    return tq_fail(TQ_MISUSE, "the blob has %zu bytes; a code of %u dimensions and %u bits has %zu", size, format->dim,
                   format->bits, sizeof header + format->record_bytes);
}

static enum tq_status check_tail(const struct tq_format *format, const uint8_t *record) {
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    float gamma = tq_f32_from_f16(tail.gamma);
    bool good = tail.scale >= 0 && tail.scale <= FLT_MAX && tail.norm >= 0 && tail.norm <= FLT_MAX && gamma >= 0 &&
                gamma <= FLT_MAX;
    if (!good) {
        return tq_fail(TQ_MISUSE, "the code is damaged: its scale is %g, its norm %g, its residual %g",
                       (double)tail.scale, (double)tail.norm, (double)gamma);
    }
    if (tail.error == 0) return TQ_OK;
    return tq_fail(TQ_MISUSE, "the code is damaged: its last two bytes are %d, not 0", tail.error);
}

static enum tq_status decode(struct coders *coders, sqlite3_value *value, float **vector, size_t *dim) {
    struct coder *coder = NULL;
    struct tq_format format;
    if (sqlite3_value_type(value) != SQLITE_BLOB) {
        return tq_fail(TQ_MISUSE, "a code is a blob, not %s", tq_value_type_name(value));
    }
    const uint8_t *blob = sqlite3_value_blob(value);
    TQ_TRY(read_header(blob, (size_t)sqlite3_value_bytes(value), &format));
    TQ_TRY(check_tail(&format, blob + sizeof(struct header)));
    TQ_TRY(find_coder(coders, &format, &coder));
    *dim = format.dim;
    *vector = tq_alloc_array(format.dim, sizeof **vector);
    if (*vector == NULL) return TQ_NOMEM;
    tq_decode(coder->codec, blob + sizeof(struct header), *vector, coder->scratch);
    return TQ_OK;
}

static void run_decode(sqlite3_context *context, int count, sqlite3_value **values) {
    float *vector = NULL;
    size_t dim = 0;
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    enum tq_status status = decode(sqlite3_user_data(context), values[0], &vector, &dim);
    tq_function_return(context, "tq_decode", status, vector, dim);
}

int tq_codes_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_encode", 1, TQ_FN_PURE, run_encode},
        {"tq_encode", 2, TQ_FN_PURE, run_encode},
        {"tq_decode", 1, TQ_FN_PURE, run_decode},
    };
    struct coders *coders = tq_alloc_zero(sizeof *coders);
    int rc = SQLITE_OK;
    if (coders == NULL) return SQLITE_NOMEM;
    coders->kernels = sql->plain->kernels;
    coders->refs = 1; /* ours, until all are registered */
    for (size_t i = 0; i < TQ_COUNT(functions) && rc == SQLITE_OK; i++) {
        const struct tq_sql_function *f = &functions[i];
        coders->refs++; /* SQLite calls release() also if this fails */
        rc = sqlite3_create_function_v2(sql->db, f->name, f->arguments, SQLITE_UTF8 | f->flags, coders, f->run, NULL,
                                        NULL, release);
    }
    release(coders);
    return rc;
}
