/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to a loop: a stack that any thread pushes to with one compare-and-exchange,
 * taken whole and turned round by the loop.  Messages of one thread keep their order.
 *
 * `pending` goes up before the push and down just before the function is called, when
 * the loop has read `next` for the last time: from then on the message may be pushed
 * again, by the function or by another thread.
 */
#include "loop-private.h"

void mailbox_init(Mailbox *mailbox)
{
    atomic_init(&mailbox->pushed, NULL);
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
}

bool mailbox_push(Mailbox *mailbox, LoopMessage *message)
{
    LoopMessage *head;

    if (atomic_exchange(&message->pending, true))
        return false;
    head = atomic_load_explicit(&mailbox->pushed, memory_order_relaxed);
    do {
        message->next = head;
    } while (!atomic_compare_exchange_weak(&mailbox->pushed, &head, message));
    return true;
}

bool mailbox_is_empty(Mailbox *mailbox)
{
    return !mailbox->first && !atomic_load(&mailbox->pushed);
}

/*
 * Moves what was pushed behind what was taken before; returns how many there are in
 * all.
 */
static size_t take_pushed(Mailbox *mailbox)
{
    LoopMessage *newest = atomic_exchange(&mailbox->pushed, NULL);
    LoopMessage **last = mailbox->last;
    LoopMessage *oldest = NULL;
    size_t n_messages = 0;

    if (newest)
        mailbox->last = &newest->next;
    while (newest) {
        LoopMessage *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    *last = oldest;
    for (LoopMessage *at = mailbox->first; at; at = at->next)
        n_messages++;
    return n_messages;
}

static LoopMessage *take_first(Mailbox *mailbox)
{
    LoopMessage *message = mailbox->first;

    mailbox->first = message->next;
    if (!mailbox->first)
        mailbox->last = &mailbox->first;
    return message;
}

void mailbox_run(Mailbox *mailbox)
{
    size_t n_messages = take_pushed(mailbox);

    /* A nested turn or a cancel in a function may have emptied the list. */
    while (n_messages-- > 0 && mailbox->first) {
        LoopMessage *message = take_first(mailbox);
        LoopFn *fn = message->fn;
        void *opaque = message->opaque;

        atomic_store(&message->pending, false);
        fn(opaque);
    }
}

void mailbox_cancel(Mailbox *mailbox, LoopMessage *message)
{
    LoopMessage **at = &mailbox->first;

    if (!atomic_load(&message->pending))
        return;
    take_pushed(mailbox);
    while (*at && *at != message)
        at = &(*at)->next;
    g_assert(*at);
    *at = message->next;
    if (!*at)
        mailbox->last = at;
    atomic_store(&message->pending, false);
}
