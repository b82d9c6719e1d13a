/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole command line: words, one a line, and behind a NUL a configuration file.  It
 * becomes a Cmdline or an error in one line; its secrets are made.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/cmdline.h"
#include "berth/secret.h"
#include "berth/thread.h"

#include "fuzz.h"

/* The path of a file with these bytes; *@ret_fd keeps it. */
static char *make_file(const uint8_t *data, size_t size, int *ret_fd)
{
    *ret_fd = memfd_create("config", MFD_CLOEXEC);
    g_assert_cmpint(write(*ret_fd, data, size), ==, (ssize_t)size);
    return g_strdup_printf("/proc/self/fd/%d", *ret_fd);
}

static void make_secrets(const Cmdline *cmdline)
{
    g_autoptr(ObjectSet) set = object_set_new();

    for (guint i = 0; i < cmdline->objects->len; i++) {
        const ObjectOptions *options = g_ptr_array_index(cmdline->objects, i);
        g_autoptr(GError) error = NULL;

        if (options->qom_type == OBJECT_TYPE_SECRET && !options->u.secret.file)
            g_assert_true(object_add(set, options, &error) == (error == NULL));
    }
}

static void check(GPtrArray *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        cmdline_parse((int)words->len, (char **)words->pdata, &error);

    g_assert_true((cmdline == NULL) == (error != NULL));
    if (cmdline && cmdline->action == CMDLINE_ACTION_RUN)
        make_secrets(cmdline);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, 0, size);
    size_t text_size = nul ? (size_t)(nul - data) : size;
    g_autofree char *text = g_strndup((const char *)data, text_size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 64);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autofree char *path = NULL;
    g_autofd int fd = -1;

    thread_set_role(THREAD_MAIN);
    g_ptr_array_add(words, (char *)"berth");
    for (char **line = lines; *line; line++) {
        /* Not any file of this machine. */
        if (strstr(*line, "readconfig"))
            return 0;
        g_ptr_array_add(words, *line);
    }
    if (nul) {
        path = make_file(nul + 1, size - text_size - 1, &fd);
        g_ptr_array_add(words, (char *)"-readconfig");
        g_ptr_array_add(words, path);
    }
    check(words);
    return 0;
}
