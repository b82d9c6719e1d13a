/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/keyval.h"

typedef struct KeyvalCase {
    const char *text;
    const char *implied;
    const char *result;         /* JSON, or the error */
} KeyvalCase;

static const KeyvalCase good[] = {
    { "", NULL, "{}" },
    { "a=b", NULL, "{\"a\": \"b\"}" },
    { "a=b,", NULL, "{\"a\": \"b\"}" },
    { "a=b,,c,,,,d,e=f", NULL, "{\"a\": \"b,c,,d\", \"e\": \"f\"}" },
    { "a=,b=", NULL, "{\"a\": \"\", \"b\": \"\"}" },
    { "a=b=c", NULL, "{\"a\": \"b=c\"}" },
    { "a,b", NULL, "{\"a\": \"on\", \"b\": \"on\"}" },
    { "x,b", "a", "{\"a\": \"x\", \"b\": \"on\"}" },
    { "x,,y,b=1", "a", "{\"a\": \"x,y\", \"b\": \"1\"}" },
    { "a=1,a=2", NULL, "{\"a\": \"2\"}" },
    { "a.b=1,a.c.d=2", NULL, "{\"a\": {\"b\": \"1\", \"c\": {\"d\": \"2\"}}}" },
    { "a.1=y,a.0=x", NULL, "{\"a\": [\"x\", \"y\"]}" },
    { "a.0.b=x", NULL, "{\"a\": [{\"b\": \"x\"}]}" },
    { "0=x,1.0=y", NULL, "{\"0\": \"x\", \"1\": [\"y\"]}" },
    { "a=\xc3\xa4", NULL, "{\"a\": \"\\u00E4\"}" },
};

static const KeyvalCase bad[] = {
    { "=x", NULL, "Invalid parameter ''" },
    { ",a=b", NULL, "Invalid parameter ''" },
    { "a!=x", NULL, "Invalid parameter 'a!'" },
    { "a..b=x", NULL, "Invalid parameter 'a..b'" },
    { ".a=x", NULL, "Invalid parameter '.a'" },
    { "a.=x", NULL, "Invalid parameter 'a.'" },
    { "a b=x", NULL, "Invalid parameter 'a b'" },
    { "a=1,a.b=2", NULL, "Parameter 'a' is used with and without members" },
    { "a.b=2,a=1", NULL, "Parameter 'a' is used with and without members" },
    { "a.0=x,a.2=y", NULL, "in 'a': Parameter '1' of a list is missing" },
    { "a.0=x,a.b=y", NULL, "in 'a': Parameter 'b' is among elements of a list" },
    { "a.00=x", NULL, "in 'a': Parameter '0' of a list is missing" },
    { "a.4294967296=x", NULL, "in 'a': Parameter '0' of a list is missing" },
};

static void test_good_texts(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) json =
            keyval_parse(good[i].text, good[i].implied, NULL, &error);
        g_autofree char *text = NULL;

        g_assert_no_error(error);
        text = json_to_text(json);
        g_assert_cmpstr(text, ==, good[i].result);
    }
}

static void test_keys_of_lists_are_repeated(void)
{
    static const char *const lists[] = { "a", "o.l", NULL };
    static const KeyvalCase cases[] = {
        { "a=1", NULL, "{\"a\": [\"1\"]}" },
        { "a=1,b=x,a=2,,3,b=y", NULL, "{\"a\": [\"1\", \"2,3\"], \"b\": \"y\"}" },
        { "x,a=", "a", "{\"a\": [\"x\", \"\"]}" },
        { "a.1=y,a.0=x", NULL, "{\"a\": [\"x\", \"y\"]}" },
        { "o.l=1,o.l=2", NULL, "{\"o\": {\"l\": [\"1\", \"2\"]}}" },
        { "a=1,a.0=x", NULL, NULL },
        { "a.0=x,a=1", NULL, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) json = keyval_parse_lists(cases[i].text, cases[i].implied,
                                                       lists, NULL, &error);
        g_autofree char *text = json ? json_to_text(json) : NULL;

        g_assert_true(!json == !!error);
        g_assert_cmpstr(text, ==, cases[i].result);
    }
}

static void test_bad_texts(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        if (keyval_parse(bad[i].text, bad[i].implied, NULL, &error))
            g_error("'%s' was accepted", bad[i].text);
        g_assert_cmpstr(error->message, ==, bad[i].result);
    }
}

static void test_help_is_asked_for_by_its_own_word(void)
{
    static const KeyvalCase cases[] = {
        { "help", "driver", "yes" },       { "?", NULL, "yes" },
        { "x,help", "driver", "yes" },     { "help=on", NULL, "no" },
        { "driver=help", "driver", "no" }, { "helpme", "driver", "no" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool help;
        g_autoptr(JsonValue) json =
            keyval_parse(cases[i].text, cases[i].implied, &help, NULL);

        g_assert_nonnull(json);
        g_assert_cmpint(help, ==, strcmp(cases[i].result, "yes") == 0);
    }
}

static void test_number_of_pairs_is_limited(void)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i <= KEYVAL_MAX_PAIRS; i++)
        g_string_append(text, "a=b,");

    g_assert_null(keyval_parse(text->str, NULL, NULL, &error));
    g_assert_nonnull(strstr(error->message, "more than"));
    g_string_free(text, TRUE);
}

static void test_depth_is_limited(void)
{
    GString *text = g_string_new("a");
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < KEYVAL_MAX_DEPTH; i++)
        g_string_append(text, ".a");
    g_string_append(text, "=b");

    g_assert_null(keyval_parse(text->str, NULL, NULL, &error));
    g_assert_nonnull(strstr(error->message, "nested too deep"));
    g_string_free(text, TRUE);
}

static void test_merge_adds_and_replaces(void)
{
    g_autoptr(JsonValue) object = keyval_parse("a=1,b.x=1", NULL, NULL, NULL);
    g_autofree char *text = NULL;

    keyval_merge(object, keyval_parse("a=2,b.y=2,c=3", NULL, NULL, NULL));

    text = json_to_text(object);
    g_assert_cmpstr(text, ==,
                    "{\"a\": \"2\", \"b\": {\"x\": \"1\", \"y\": \"2\"}, \"c\": \"3\"}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/good-texts", test_good_texts);
    g_test_add_func("/keyval/bad-texts", test_bad_texts);
    g_test_add_func("/keyval/keys-of-lists-are-repeated",
                    test_keys_of_lists_are_repeated);
    g_test_add_func("/keyval/help", test_help_is_asked_for_by_its_own_word);
    g_test_add_func("/keyval/pairs-limit", test_number_of_pairs_is_limited);
    g_test_add_func("/keyval/depth-limit", test_depth_is_limited);
    g_test_add_func("/keyval/merge", test_merge_adds_and_replaces);
    return g_test_run();
}
