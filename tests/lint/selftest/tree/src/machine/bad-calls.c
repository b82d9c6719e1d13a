/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/base.h"

#define RETURN_IF(x) \
    if (x)           \
        return

/* exit(1) and goto out in a comment are not calls. */
static const char text[] = "exit(1); goto out";

__attribute__((constructor)) static void register_it(void)
{
}

static int stop(int x, int (*on_exit)(int))
{
    if (x == 1)
        exit(1);
    if (x == 2)
        goto out;
    if (x == 3)
        goto fail;
    thing.exit(2);
    g_error("no");
    strcpy(a, b);
    pthread_create(&a, 0, on_exit, 0);
out:
fail:
    return on_exit(x);
}

static void do_things(void)
{
}
