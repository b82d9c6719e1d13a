/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of inject.
 */
#pragma once

#include "berth/base.h"
#include "qapi-types.h"

typedef struct InjectRules InjectRules;

/* An operation; @offset and @bytes are of read, write, discard and zero, else 0. */
typedef struct InjectEvent {
    InjectOp op;
    uint64_t offset;
    uint64_t bytes;
} InjectEvent;

/* What is to be done with an operation. */
typedef struct InjectVerdict {
    int errnum;                 /* 0: it does not fail */
    int64_t delay_ns;
    bool tears;
    uint64_t tear;              /* bytes that are done before it fails */
} InjectVerdict;

/* NULL @list: none.  NULL with @error. */
InjectRules *inject_rules_new(const InjectRuleList *list, GError **error);
/* The @n-th operation of any kind fails, once. */
InjectRules *inject_rules_new_nth(uint64_t n, int errnum);
/* Accepts NULL. */
void inject_rules_free(InjectRules *rules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InjectRules, inject_rules_free)

/* The caller serialises these. */

unsigned inject_rules_count(const InjectRules *rules);
/* Counts @event; true when a rule acts on it. */
bool inject_rules_judge(InjectRules *rules, const InjectEvent *event,
                        InjectVerdict *ret_verdict);
uint64_t inject_rules_acted(const InjectRules *rules);
InjectRuleInfoList *inject_rules_query(const InjectRules *rules);
