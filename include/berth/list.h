/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one intrusive list: circular, doubly linked, a head is a node linked to itself.
 * The caller owns every node and serialises every access.
 */
#pragma once

#include "berth/base.h"

typedef struct ListNode {
    struct ListNode *prev;
    struct ListNode *next;
} ListNode;

static inline void list_init(ListNode *node)
{
    node->prev = node;
    node->next = node;
}

static inline bool list_is_empty(const ListNode *head)
{
    return head->next == head;
}

/* True of an initialised node that is on a list. */
static inline bool list_is_linked(const ListNode *node)
{
    return node->next != node;
}

static inline void list_insert_before(ListNode *at, ListNode *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_append(ListNode *head, ListNode *node)
{
    list_insert_before(head, node);
}

static inline void list_prepend(ListNode *head, ListNode *node)
{
    list_insert_before(head->next, node);
}

/* Takes @node off its list and leaves it initialised; no effect on one that is
 * on none. */
static inline void list_remove(ListNode *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, or NULL. */
static inline ListNode *list_first(const ListNode *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

/* Walks @head; the body may remove @node, and nothing else. */
#define LIST_FOREACH(node, head)                                                         \
    for (ListNode *node = (head)->next, *node##_next = node->next; node != (head);       \
         node = node##_next, node##_next = node->next)

/* Whether @node, which may be anything by now, is one of @head's. */
static inline bool list_has(const ListNode *head, const ListNode *node)
{
    LIST_FOREACH(at, head) {
        if (at == node)
            return true;
    }
    return false;
}
