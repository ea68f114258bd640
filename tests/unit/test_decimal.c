/* Decimal text: whatever strtof() and strtod() make of a text, ours do; what is written comes back, as short as %g
 * can be; and the locale is nothing to either. */
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/decimal.h"
#include "src/base/json_vector.h"
#include "src/base/utf8.h"

static uint64_t seed = 88172645463325252u;

static uint64_t random_bits(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static uint64_t below(uint64_t limit) { return random_bits() % limit; }

/* To the last bit, and as far into the text. */
static void same_as_strtof(const char *text) {
    const char *end = text + strlen(text), *at = text, *wide_at = text;
    char *expected_end = NULL;
    float value = -1, expected = strtof(text, &expected_end);
    double wide = -1, expected_wide = strtod(text, NULL);
    bool number = expected_end != text;
    if (tq_decimal_f32(&at, end, TQ_DECIMAL_LOOSE, &value) != number ||
        tq_decimal_f64(&wide_at, end, TQ_DECIMAL_LOOSE, &wide) != number)
        fail_msg("\"%s\" is %s number", text, number ? "a" : "no");
    if (!number) return;
    if (at != expected_end || wide_at != expected_end) fail_msg("\"%s\" ends elsewhere", text);
    if (memcmp(&value, &expected, sizeof value) != 0)
        fail_msg("\"%s\" is %a, not %a", text, (double)expected, (double)value);
    if (memcmp(&wide, &expected_wide, sizeof wide) != 0) fail_msg("\"%s\" is %a, not %a", text, expected_wide, wide);
}

static void chosen_texts_are_strtof(void **state) {
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.0",
                                        "+1",
                                        ".5",
                                        "5.",
                                        "-.5e1",
                                        "007",
                                        "1e",
                                        "1e+",
                                        "1e5x",
                                        "1.5.2",
                                        "",
                                        "-",
                                        ".",
                                        "e5",
                                        "+-1",
                                        "x",
                                        "16777217",
                                        "16777219",
                                        "16777216.999999999",
                                        "33554435",
                                        "8388608.5",
                                        "8388609.5", /* middles of floats */
                                        "16777217.000000000000000000000000000000000000000000000000000000001",
                                        "16777216.99999999999999999999999999999999999",
                                        "9007199254740993",
                                        "9007199254740992.9999999999999999999999999999999999999999999",
                                        "9007199254740993.00000000000001",
                                        "1.17549435e-38",
                                        "1.17549428e-38",
                                        "1e-38",
                                        "1e-45",
                                        "7.006492321624085e-46",
                                        "7.0064923216240854e-46",
                                        "1e-46",
                                        "3.4028235e38",
                                        "3.4028235677973366e38",
                                        "3.40282356e38",
                                        "1e39",
                                        "-1e39",
                                        "1e400",
                                        "1e-400",
                                        "2.2250738585072011e-308",
                                        "1e999999999999999999999",
                                        "1e-999999999999999999999",
                                        "0e999999999999999999999",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "99999999999999999999",
                                        "0.00000000000000000000000000000000000000000000000000001e53",
                                        "100000000000000000000000000000000000000000000000000000e-53",
                                        "0.1",
                                        "0.30000001192092896",
                                        "1e22",
                                        "1e23",
                                        "1e-22"};
    for (size_t i = 0; i < TQ_COUNT(texts); i++) same_as_strtof(texts[i]);
    char text[2100];
    memset(text, '0', sizeof text);
    memcpy(text, "0.", 2); /* more digits than are spelled out */
    memcpy(text + 900, "16777217", 8);
    text[1900] = '1';
    memcpy(text + 2000, "e906", 5);
    same_as_strtof(text);
    text[1900] = '0';
    same_as_strtof(text);
}

static void random_texts_are_strtof(void **state) {
    (void)state;
    char text[96];
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        uint64_t wide_bits = random_bits();
        float value, next;
        double wide;
        memcpy(&value, &bits, sizeof value);
        memcpy(&wide, &wide_bits, sizeof wide);
        switch (i % 6) {
        case 0: (void)snprintf(text, sizeof text, "%.*f", (int)below(9), ((double)below(2000001) - 1e6) / 1e5); break;
        case 1: (void)snprintf(text, sizeof text, "%.*g", (int)below(20) + 1, (double)value); break;
        case 2: (void)snprintf(text, sizeof text, "%.*g", (int)below(20) + 1, wide); break;
        case 3:
            (void)snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)below(UINT32_MAX),
                           (unsigned long long)random_bits() >> below(64), (int)below(100) - 60);
            break;
        case 4: /* about the middle between two floats */
            next = nextafterf(value, INFINITY);
            (void)snprintf(text, sizeof text, "%.*e", (int)below(25), ((double)value + (double)next) / 2);
            break;
        default: (void)snprintf(text, sizeof text, "%.17g", (double)(float)(int64_t)below(1u << 26) / 64); break;
        }
        if (strpbrk(text, "in") == NULL) same_as_strtof(text);
    }
}

/* What JSON does not take, and where the mistake is. */
static void json_is_strict(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int wrong_at; /* -1: it is a number */
    } cases[] = {{"1", -1}, {"-0.5e-3", -1}, {"0", -1},  {"1E+2", -1}, {"+1", 0}, {".5", 0}, {"01", 2},
                 {"5.", 2}, {"1e", 2},       {"1e+", 3}, {"-", 1},     {"", 0},   {"nan", 0}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        const char *at = cases[i].text;
        float value = 0;
        bool number = tq_decimal_f32(&at, at + strlen(at), TQ_DECIMAL_JSON, &value);
        assert_int_equal(number, cases[i].wrong_at < 0);
        if (number)
            assert_true(value == strtof(cases[i].text, NULL));
        else
            assert_int_equal(at - cases[i].text, cases[i].wrong_at);
    }
}

/* But for where two texts are as near: printf takes the even one. */
static void written_like_printf(float value) {
    char text[TQ_DECIMAL_BYTES], expected[64];
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(expected, sizeof expected, "%.*g", digits, (double)value);
        if (strtof(expected, NULL) == value) break;
    }
    size_t size = tq_decimal_write_f32(text, value);
    assert_int_equal(size, strlen(text));
    assert_int_equal(size, strlen(expected));
    assert_int_equal(signbit(strtof(text, NULL)), signbit(value));
    assert_true(strtof(text, NULL) == value);
    if (fabs(strtod(text, NULL) - value) < fabs(strtod(expected, NULL) - value) * (1 + 1e-9)) return;
    assert_string_equal(text, expected);
}

static void floats_are_written_short(void **state) {
    (void)state;
    static const float values[] = {0.0f,        -0.0f,     1,          -1,       0.1f,    1e6f,    999999, 1000001,
                                   9999999,     1e9f,      0.0001f,    0.00001f, FLT_MAX, FLT_MIN, 1e-45f, 16777216,
                                   0.99999994f, 9.999999f, 8388607.5f, 1e10f,    1e22f,   1e23f,   3e-39f, 0x1p-24f};
    for (size_t i = 0; i < TQ_COUNT(values); i++) written_like_printf(values[i]);
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        float value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) written_like_printf(value);
        written_like_printf((float)(((double)below(4000001) - 2e6) / (i % 2 == 0 ? 1e5 : 1e6)));
    }
    for (float power = 1e-44f; isfinite(power); power *= 2) written_like_printf(power);
}

static void doubles_come_back(void **state) {
    (void)state;
    char text[TQ_DECIMAL_BYTES];
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_bits();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0) value = (double)(int64_t)below(2000000) / 1000;
        if (!isfinite(value)) continue;
        size_t size = tq_decimal_write_f64(text, value);
        assert_int_equal(size, strlen(text));
        assert_true(strtod(text, NULL) == value);
        if (i % 2 == 0) assert_true(size <= 8);
    }
    assert_int_equal(tq_decimal_write_f64(text, 0.1), 3);
    assert_string_equal(text, "0.1");
}

/* A comma for a point, as in German. */
static void locales_do_not_matter(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8", "de_DE"};
    const char *set = NULL;
    for (size_t i = 0; i < TQ_COUNT(names) && set == NULL; i++) set = setlocale(LC_NUMERIC, names[i]);
    if (set == NULL) skip();
    char text[TQ_DECIMAL_BYTES];
    const char *at = "1.5e-30", *long_text = "16777217.0000000000000000000000001";
    float value = 0;
    double wide = 0;
    assert_true(tq_decimal_f32(&at, at + 7, TQ_DECIMAL_LOOSE, &value));
    assert_true(value == 1.5e-30f);
    assert_true(tq_decimal_f32(&long_text, long_text + strlen(long_text), TQ_DECIMAL_LOOSE, &value));
    assert_true(value == 16777218.0f);
    at = "1.5e-300";
    assert_true(tq_decimal_f64(&at, at + 8, TQ_DECIMAL_LOOSE, &wide));
    assert_true(wide == 1.5e-300);
    assert_int_equal(tq_decimal_write_f64(text, 0.1), 3);
    assert_string_equal(text, "0.1");
    assert_int_equal(tq_decimal_write_f64(text, 1.25e-7), 8);
    assert_string_equal(text, "1.25e-07");
    assert_int_equal(tq_decimal_write_f32(text, 0.1f), 3);
    assert_string_equal(text, "0.1");
    (void)setlocale(LC_NUMERIC, "C");
}

static void bad_utf8_is_found(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t place;
    } cases[] = {{"abc", 3},
                 {"", 0},
                 {"gr\xc3\xbc\xc3\x9f"
                  "e \xe2\x82\xac \xf0\x9f\x98\x80",
                  16},
                 {"\xc3", 0},
                 {"ab\xff", 2},
                 {"12345678\x80", 8},
                 {"\xc0\x80", 0},
                 {"\xe0\x9f\xbf", 0},
                 {"\xed\xa0\x80", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\xf4\x90\x80\x80", 0},
                 {"a\xe2\x82", 1}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++)
        assert_int_equal(tq_utf8_check(cases[i].text, strlen(cases[i].text)), cases[i].place);
    assert_int_equal(tq_utf8_count("gr\xc3\xbc\xc3\x9f", 6), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_texts_are_strtof), cmocka_unit_test(random_texts_are_strtof),
        cmocka_unit_test(json_is_strict),          cmocka_unit_test(floats_are_written_short),
        cmocka_unit_test(doubles_come_back),       cmocka_unit_test(locales_do_not_matter),
        cmocka_unit_test(bad_utf8_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
