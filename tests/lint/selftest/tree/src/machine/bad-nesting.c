/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/base.h"

typedef struct BadManager {
    int x;
} BadManager;

static int four_deep(int a)
{
    for (;;) {
        while (a) {
            if (a) {
                switch (a) {
                case 1:
                    return call(a,
                                    b);
                }
            }
        }
    }
}

static int five_deep(int a)
{
    for (;;) {
        while (a) {
            if (a) {
                switch (a) {
                case 1:
                    if (a)
                        return a;
                }
            }
        }
    }
}

static void six(int a, int b, int c, int d, int e,
                void (*fn)(int a, int b, int c, int d))
{
}

static char *seven(int a, int b, int c, int d, int e, int f,
                   int g)
{
}

int helper_of_many(void)
{
}

static uint16_t read_common_cfg(void)
{
}
