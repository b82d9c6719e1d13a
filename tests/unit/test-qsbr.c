/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "berth/qsbr.h"
#include "berth/thread.h"

#define N_READERS 3
#define N_SWAPS 3000

/* A published value; a freed one has lost its mark. */
typedef struct Value {
    QsbrNode node;
    int mark;
} Value;

typedef struct Shared {
    _Atomic(Value *) value;
    atomic_bool stop;
    atomic_int n_freed;
} Shared;

static Shared shared;

static Value *value_new(void)
{
    Value *value = g_new0(Value, 1);

    value->mark = 42;
    return value;
}

static void free_value(QsbrNode *node)
{
    Value *value = CONTAINER_OF(node, Value, node);

    value->mark = 0;
    g_free(value);
    atomic_fetch_add(&shared.n_freed, 1);
}

static void *read_values(void *opaque)
{
    for (unsigned i = 0; !atomic_load(&shared.stop); i++) {
        Value *value = atomic_load_explicit(&shared.value, memory_order_acquire);

        g_assert_cmpint(value->mark, ==, 42);
        if (i % 3 == 0) {
            qsbr_offline();
            qsbr_online();
        } else {
            qsbr_quiescent();
        }
    }
    return NULL;
}

static void replace_value(void)
{
    Value *old = atomic_exchange(&shared.value, value_new());

    qsbr_defer(&old->node, free_value);
}

static void test_readers_never_see_freed_memory(void)
{
    pthread_t readers[N_READERS];

    atomic_store(&shared.n_freed, 0);
    atomic_store(&shared.stop, false);
    atomic_store(&shared.value, value_new());
    for (int i = 0; i < N_READERS; i++)
        g_assert_true(thread_start(&readers[i], THREAD_IOTHREAD, "reader", read_values,
                                   NULL, NULL));
    for (int i = 0; i < N_SWAPS; i++) {
        replace_value();
        if (i % 100 == 0)
            qsbr_synchronize();
    }
    qsbr_synchronize();
    /* Readers may still be freeing what they have taken. */
    atomic_store(&shared.stop, true);
    for (int i = 0; i < N_READERS; i++)
        pthread_join(readers[i], NULL);
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, N_SWAPS);
    free_value(&atomic_load(&shared.value)->node);
}

static void test_online_reader_holds_back_until_it_is_quiescent(void)
{
    qsbr_register();
    atomic_store(&shared.n_freed, 0);
    atomic_store(&shared.value, value_new());

    replace_value();
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, 0);
    qsbr_quiescent();
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, 1);
    replace_value();
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, 1);
    qsbr_offline();
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, 2);
    replace_value();
    g_assert_cmpint(atomic_load(&shared.n_freed), ==, 3);
    qsbr_online();

    qsbr_unregister();
    free_value(&atomic_load(&shared.value)->node);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qsbr/online-reader-holds-back-until-it-is-quiescent",
                    test_online_reader_holds_back_until_it_is_quiescent);
    g_test_add_func("/qsbr/readers-never-see-freed-memory",
                    test_readers_never_see_freed_memory);
    return g_test_run();
}
