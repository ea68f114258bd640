#include "src/base/decimal.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

/* Powers of ten that a double holds exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_POWER = 22 };

/* ---- Reading ---- */

struct decimal {
    bool minus;
    uint64_t mantissa;           /* the first digits, at most 19 */
    int64_t exponent;            /* of ten, for the mantissa */
    int64_t written_exponent;    /* behind the e */
    const char *digits, *behind; /* all digits, with their point */
};

/* Digits into the mantissa as long as they fit; returns how many there were, *dropped how many did not. */
static inline int64_t take_digits(const char **at, const char *end, uint64_t *mantissa, int64_t *dropped) {
    const char *first = *at, *c = first;
    for (; c < end && (unsigned char)(*c - '0') <= 9; c++) {
        if (*mantissa <= (UINT64_MAX - 9) / 10 && *dropped == 0)
            *mantissa = *mantissa * 10 + (uint64_t)(*c - '0');
        else
            ++*dropped;
    }
    *at = c;
    return c - first;
}

static bool is_digit(const char *at, const char *end) { return at < end && (unsigned char)(*at - '0') <= 9; }

/* An e without digits is an error in JSON; to strtod() it is what follows the number. */
static bool take_exponent(const char **at, const char *end, bool json, int64_t *exponent) {
    const int64_t most = 1000000000000; /* no text is so long that its digits make up for this */
    const char *c = *at;
    *exponent = 0;
    if (c == end || (*c != 'e' && *c != 'E')) return true;
    c++;
    bool minus = c < end && *c == '-';
    if (c < end && (*c == '-' || *c == '+')) c++;
    if (!is_digit(c, end)) {
        if (json) *at = c;
        return !json;
    }
    int64_t value = 0;
    for (; is_digit(c, end); c++) value = value < most ? value * 10 + (*c - '0') : value;
    *exponent = minus ? -value : value;
    *at = c;
    return true;
}

static inline bool take_decimal(const char **at, const char *end, bool json, struct decimal *number) {
    int64_t dropped = 0, fraction = 0;
    number->mantissa = 0;
    number->minus = *at < end && **at == '-';
    if (*at < end && (**at == '-' || (**at == '+' && !json))) ++*at;
    const char *first = number->digits = *at;
    int64_t whole = take_digits(at, end, &number->mantissa, &dropped), before = dropped;
    if (json && (whole == 0 || (whole > 1 && *first == '0'))) return false;
    if (*at < end && **at == '.') {
        ++*at;
        fraction = take_digits(at, end, &number->mantissa, &dropped);
        if (fraction == 0 && (json || whole == 0)) return false;
    } else if (whole == 0) {
        return false;
    }
    number->behind = *at;
    if (!take_exponent(at, end, json, &number->written_exponent)) return false;
    number->exponent = number->written_exponent + before - (fraction - (dropped - before));
    return true;
}

/* The same number for strtod() in at most SPELLED bytes, without a point, which is the locale's: more digits than a
 * halfway case between two doubles has do not matter, but for whether they are all zero. */
enum { SPELLED_DIGITS = 800, SPELLED = SPELLED_DIGITS + 32 };

static void spell(const struct decimal *number, char text[SPELLED]) {
    size_t used = 0;
    int64_t exponent = number->written_exponent;
    bool fraction = false, rest = false;
    for (const char *at = number->digits; at < number->behind; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        exponent -= fraction;
        if (used == 0 && *at == '0') continue;
        if (used < SPELLED_DIGITS) {
            text[used++] = *at;
        } else {
            exponent++;
            rest = rest || *at != '0';
        }
    }
    if (rest) {
        text[used++] = '1';
        exponent--;
    }
    (void)snprintf(text + used, SPELLED - used, "%se%lld", used == 0 ? "0" : "", (long long)exponent);
}

static double slow_f64(const struct decimal *number) {
    char text[SPELLED];
    spell(number, text);
    return strtod(text, NULL);
}

static float slow_f32(const struct decimal *number) {
    char text[SPELLED];
    spell(number, text);
    return strtof(text, NULL);
}

static inline double scaled(uint64_t mantissa, int64_t exponent) {
    double value = (double)mantissa;
    return exponent < 0 ? value / exact_powers[-exponent] : value * exact_powers[exponent];
}

/* A double that is at most NEAR units of its last place off, as a float: right, unless it lies that near to the middle
 * between two floats, or where floats are spaced otherwise. */
static inline bool rounds_to_f32(double value, float *single) {
    enum { NEAR = 4, MIDDLE = 1 << 28 };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int64_t from_middle = (int64_t)(bits & 0x1fffffff) - MIDDLE;
    if ((from_middle >= -NEAR && from_middle <= NEAR) || !(value >= FLT_MIN * 2.0 && value <= FLT_MAX / 2.0))
        return false;
    *single = (float)value;
    return true;
}

static inline float round_f32(const struct decimal *number) {
    float value = 0;
    bool exact = number->exponent >= -EXACT_POWER && number->exponent <= EXACT_POWER;
    if (number->mantissa != 0 && !(exact && rounds_to_f32(scaled(number->mantissa, number->exponent), &value)))
        value = slow_f32(number);
    return number->minus ? -value : value;
}

bool tq_decimal_f32(const char **at, const char *end, enum tq_decimal_kind kind, float *value) {
    struct decimal number;
    if (kind == TQ_DECIMAL_JSON ? !take_decimal(at, end, true, &number) : !take_decimal(at, end, false, &number))
        return false;
    *value = round_f32(&number);
    return true;
}

bool tq_decimal_f64(const char **at, const char *end, enum tq_decimal_kind kind, double *value) {
    struct decimal number;
    if (!take_decimal(at, end, kind == TQ_DECIMAL_JSON, &number)) return false;
    bool exact = number.mantissa <= (uint64_t)1 << DBL_MANT_DIG && number.exponent >= -EXACT_POWER &&
                 number.exponent <= EXACT_POWER;
    double magnitude = exact ? scaled(number.mantissa, number.exponent) : slow_f64(&number);
    *value = number.minus ? -magnitude : magnitude;
    return true;
}

/* ---- Writing ---- */

/* value * 10^power, off by a few units of the last place. */
static double times_power(double value, int power) {
    for (; power > EXACT_POWER; power -= EXACT_POWER) value *= exact_powers[EXACT_POWER];
    for (; power < -EXACT_POWER; power += EXACT_POWER) value /= exact_powers[EXACT_POWER];
    return power < 0 ? value / exact_powers[-power] : value * exact_powers[power];
}

/* What tq_decimal_f32() makes of digits * 10^exponent. */
static float read_back(uint64_t digits, int exponent) {
    float value = 0;
    if (exponent >= -EXACT_POWER && exponent <= EXACT_POWER && rounds_to_f32(scaled(digits, exponent), &value))
        return value;
    char text[24];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)digits);
    const struct decimal number = {
        .mantissa = digits, .written_exponent = exponent, .digits = text, .behind = text + size};
    return slow_f32(&number);
}

/* The number digits[0].digits[1]... * 10^exponent as %.<precision>g has it; digits end in no zero. */
static size_t lay_out(char *text, bool minus, const char *digits, int count, int exponent, int precision) {
    char *at = text;
    if (minus) *at++ = '-';
    if (exponent < -4 || exponent >= precision) {
        *at++ = digits[0];
        if (count > 1) *at++ = '.';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
        return (size_t)(at - text) + (size_t)snprintf(at, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        memcpy(at, "0.000", 5);
        at += 1 - exponent;
        memcpy(at, digits, (size_t)count);
        at += count;
    } else {
        int whole = exponent + 1, there = count < whole ? count : whole;
        memcpy(at, digits, (size_t)there);
        memset(at + there, '0', (size_t)(whole - there));
        at += whole;
        if (count > whole) {
            *at++ = '.';
            memcpy(at, digits + whole, (size_t)(count - whole));
            at += count - whole;
        }
    }
    *at = '\0';
    return (size_t)(at - text);
}

size_t tq_decimal_write_f32(char text[TQ_DECIMAL_BYTES], float value) {
    enum { LEAST = 6, MOST = 9 };
    const double magnitude = fabs((double)value);
    if (magnitude == 0 || !isfinite(value)) return (size_t)snprintf(text, TQ_DECIMAL_BYTES, "%.0f", (double)value);
    int binary = 0;
    (void)frexp(magnitude, &binary);
    int exponent = (int)floor((binary - 1) * 0.30103);
    if (times_power(magnitude, MOST - 1 - exponent) >= exact_powers[MOST]) exponent++;
    uint64_t found = 0;
    int precision = LEAST;
    for (;; precision++) {
        found = (uint64_t)(times_power(magnitude, precision - 1 - exponent) + 0.5);
        if (precision == MOST || read_back(found, exponent - precision + 1) == (float)magnitude) break;
    }
    if (found == (uint64_t)exact_powers[precision]) exponent++; /* 9.99999996 is 10.0 */
    char digits[24];
    int count = 0, size = 0;
    for (; found % 10 == 0; found /= 10) {
    }
    for (uint64_t rest = found; rest > 0; rest /= 10) size++;
    for (count = size; count > 0; found /= 10) digits[--count] = (char)('0' + found % 10);
    return lay_out(text, value < 0, digits, size, exponent, precision);
}

size_t tq_decimal_write_f64(char text[TQ_DECIMAL_BYTES], double value) {
    size_t size = 0;
    for (int precision = 15; precision <= 17; precision++) {
        size = (size_t)snprintf(text, TQ_DECIMAL_BYTES, "%.*g", precision, value);
        char *point = text + strspn(text, "-0123456789"); /* the locale's: a character of any number of bytes */
        size_t bytes = strcspn(point, "0123456789eainf");
        if (bytes > 0) {
            *point = '.';
            memmove(point + 1, point + bytes, size - (size_t)(point - text) - bytes + 1);
            size -= bytes - 1;
        }
        const char *at = text;
        double back = 0;
        if (tq_decimal_f64(&at, text + size, TQ_DECIMAL_LOOSE, &back) && back == value) break;
    }
    return size;
}
