/* SPDX-License-Identifier: Apache-2.0 */

int symbols_of(int x);
int wrong_prefix(int x);

static int counter;
static _Thread_local int per_thread;
static const char *const names[] = { "one", "two" };

int symbols_of(int x)
{
    static int calls;

    return x + counter++ + per_thread++ + names[x & 1][0] + calls++;
}

int wrong_prefix(int x)
{
    return x;
}
