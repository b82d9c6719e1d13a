/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: what they are made from, and what is refused.  Vectors by "openssl enc". */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/secret.h"

/* Bytes 0x00 to 0x1f. */
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
/* Bytes 0xf0 to 0xff. */
#define IV "8PHy8/T19vf4+fr7/P3+/w=="
#define CORRECT_HORSE "KYRpPd/bP32fGdDSFSnTiQ=="
#define TWO_BLOCKS "zZURRsx0BGpWyTow5KfNUOVkSxR0IMsJAinWx7kO1hY="
#define EMPTY "7a+eV9BFrIV/Aj+dwjixTg=="
#define NOT_PADDED "n2y63OcFa6nTHnm+BCob0Q=="

static bool try_add(ObjectSet *set, const char *pairs, GError **error)
{
    g_autofree char *text = g_strconcat("secret,", pairs, NULL);
    g_autoptr(ObjectOptions) options =
        qapi_parse_keyval(QAPI_TYPE_OBJECT_OPTIONS, text, "qom-type", error);

    return options && object_add(set, options, error);
}

static void assert_secret(ObjectSet *set, const char *id, const void *bytes, size_t size)
{
    g_autoptr(GError) error = NULL;
    size_t found_size;
    const uint8_t *found = secret_find(set, id, &found_size, &error);

    g_assert_no_error(error);
    g_assert_cmpmem(found, found_size, bytes, size);
    g_assert_cmpuint(found[found_size], ==, 0);
}

static ObjectSet *set_with_key(void)
{
    ObjectSet *set = object_set_new();

    g_assert_true(try_add(set, "id=key,format=base64,data=" KEY, NULL));
    return set;
}

static void test_plain_and_base64(void)
{
    g_autoptr(ObjectSet) set = object_set_new();

    g_assert_true(try_add(set, "id=a,data=pass word", NULL));
    g_assert_true(try_add(set, "id=b,data=cGFzc3dvcmQ=,format=base64", NULL));
    g_assert_true(try_add(set, "id=c,data=", NULL));
    g_assert_true(try_add(set, "id=d,data=AAE=,format=base64", NULL));

    assert_secret(set, "a", "pass word", 9);
    assert_secret(set, "b", "password", 8);
    assert_secret(set, "c", "", 0);
    assert_secret(set, "d", "\0\1", 2);
    g_assert_cmpstr(secret_find_text(set, "b", NULL), ==, "password");
}

static void test_encrypted(void)
{
    static const struct {
        const char *data;
        const char *plain;
    } cases[] = {
        { CORRECT_HORSE, "correct horse" },
        { TWO_BLOCKS, "0123456789abcdef" },
        { EMPTY, "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ObjectSet) set = set_with_key();
        g_autofree char *pairs = g_strdup_printf(
            "id=s,format=base64,keyid=key,iv=" IV ",data=%s", cases[i].data);

        g_assert_true(try_add(set, pairs, NULL));
        assert_secret(set, "s", cases[i].plain, strlen(cases[i].plain));
    }
}

static void test_files(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-secret-XXXXXX", NULL);
    g_autofree char *raw = g_build_filename(folder, "raw", NULL);
    g_autofree char *large = g_build_filename(folder, "large", NULL);
    g_autofree char *text = g_malloc0(SECRET_SIZE_MAX + 1);
    g_autofree char *pairs = g_strdup_printf("id=a,file=%s", raw);
    g_autofree char *large_pairs = g_strdup_printf("id=b,file=%s", large);
    g_autoptr(ObjectSet) set = object_set_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(raw, "a\0b\n", 4, NULL));
    g_assert_true(g_file_set_contents(large, text, SECRET_SIZE_MAX + 1, NULL));

    g_assert_true(try_add(set, pairs, NULL));
    assert_secret(set, "a", "a\0b\n", 4);
    g_assert_false(try_add(set, large_pairs, &error));
    g_assert_nonnull(strstr(error->message, large));
    g_assert_cmpint(truncate(large, SECRET_SIZE_MAX), ==, 0);
    g_assert_true(try_add(set, large_pairs, NULL));
    assert_secret(set, "b", text, SECRET_SIZE_MAX);

    unlink(raw);
    unlink(large);
    rmdir(folder);
}

static void test_pipe_of_the_parent(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    g_autofree char *pairs = NULL;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_assert_cmpint(write(fds[1], "piped", 5), ==, 5);
    close(fds[1]);
    pairs = g_strdup_printf("id=a,file=/dev/fd/%d", fds[0]);

    g_assert_true(try_add(set, pairs, NULL));
    assert_secret(set, "a", "piped", 5);
    close(fds[0]);
}

static void test_faulty_ones_are_refused(void)
{
    static const struct {
        const char *pairs;
        const char *words;
    } cases[] = {
        { "id=x", "'data' and 'file'" },
        { "id=x,data=a,file=b", "'data' and 'file'" },
        { "id=x,file=absent/file", "absent/file" },
        { "id=x,file=/", "'/'" },
        { "id=x,data=a,format=hex", "format" },
        { "id=x,format=base64,data=cGFz=c3", "'data' is not valid base64" },
        { "id=x,format=base64,data=cGFzcw", "'data' is not valid base64" },
        { "id=x,format=base64,data=cGF!", "'data' is not valid base64" },
        { "id=x,data=a,keyid=nothing,iv=" IV, "'nothing'" },
        { "id=x,data=a,keyid=x,iv=" IV, "'x'" },
        { "id=x,data=a,keyid=io,iv=" IV, "'io'" },
        { "id=x,data=a,keyid=short,iv=" IV, "32" },
        { "id=x,data=a,keyid=key", "'iv'" },
        { "id=x,data=a,keyid=key,iv=AAA=", "'iv' has 2 bytes" },
        { "id=x,data=a,keyid=key,iv=a", "'iv' is not valid base64" },
        { "id=x,data=a,iv=" IV, "'iv'" },
        { "id=x,data=123456789,keyid=key,iv=" IV, "9 bytes" },
        { "id=x,data=,keyid=key,iv=" IV, "0 bytes" },
        { "id=x,format=base64,keyid=key,iv=" IV ",data=" NOT_PADDED, "padding" },
        { "id=key,data=a", "'key' already" },
    };
    g_autoptr(ObjectSet) set = set_with_key();
    g_autoptr(GError) io_error = NULL;
    g_autoptr(ObjectOptions) io = qapi_parse_keyval(QAPI_TYPE_OBJECT_OPTIONS,
                                                    "rng-builtin,id=io", "qom-type",
                                                    &io_error);

    g_assert_true(object_add(set, io, NULL));
    g_assert_true(try_add(set, "id=short,data=abc", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(try_add(set, cases[i].pairs, &error));
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
        g_assert_null(object_find(set, "x"));
    }
}

static void test_what_a_client_reads_does_not_show_it(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    g_autoptr(JsonValue) options = NULL;

    g_assert_true(try_add(set, "id=a,data=hidden", NULL));
    options = qapi_emit(QAPI_TYPE_OBJECT_OPTIONS, object_find(set, "a")->options);

    g_assert_null(json_member(options, "data"));
    g_assert_nonnull(json_member(options, "format"));
}

static void test_text_is_utf8(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(try_add(set, "id=a,data=/w==,format=base64", NULL));
    g_assert_null(secret_find_text(set, "a", &error));
    g_assert_nonnull(strstr(error->message, "'a'"));
    g_clear_error(&error);
    g_assert_null(secret_find_text(set, "b", &error));
    g_assert_nonnull(strstr(error->message, "'b'"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secret/plain-and-base64", test_plain_and_base64);
    g_test_add_func("/secret/encrypted", test_encrypted);
    g_test_add_func("/secret/files", test_files);
    g_test_add_func("/secret/pipe-of-the-parent", test_pipe_of_the_parent);
    g_test_add_func("/secret/faulty-ones-are-refused", test_faulty_ones_are_refused);
    g_test_add_func("/secret/what-a-client-reads-does-not-show-it",
                    test_what_a_client_reads_does_not_show_it);
    g_test_add_func("/secret/text-is-utf8", test_text_is_utf8);
    return g_test_run();
}
