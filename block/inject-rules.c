/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which operations a rule is for, and on which of those it acts.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"

#include "inject-rules.h"

#define MAX_RULES 1024u
#define MAX_ERRNO 4095
#define BIT(op) (1u << INJECT_OP_##op)
#define TRANSFERS (BIT(READ) | BIT(WRITE) | BIT(DISCARD) | BIT(ZERO))
#define REQUESTS (TRANSFERS | BIT(FLUSH))
#define ANY ((1u << INJECT_OP__MAX) - 1)

typedef struct Rule {
    uint32_t ops;               /* bits of InjectOp */
    uint64_t begin;             /* of the range; all from 0 on is no range */
    uint64_t end;
    uint64_t first;
    uint64_t every;
    uint64_t times;             /* 0: no end */
    InjectVerdict verdict;
    uint64_t n_matched;
    uint64_t n_acted;
} Rule;

struct InjectRules {
    unsigned n;
    Rule rules[];
};

static bool parse_errno(const InjectErrno *error_name, int *ret_errnum, GError **error)
{
    const char *name;

    if (error_name->type == QAPI_KIND_INT) {
        int64_t number = error_name->u.number;

        if (number > 0 && number <= MAX_ERRNO) {
            *ret_errnum = (int)number;
            return true;
        }
        error_set(error, "parameter 'errno' expects a number from 1 to %d", MAX_ERRNO);
        return false;
    }
    name = error_name->u.name;
    for (int i = 1; i <= MAX_ERRNO; i++) {
        const char *known = strerrorname_np(i);

        if (known && strcmp(known, name) == 0) {
            *ret_errnum = i;
            return true;
        }
    }
    error_set(error, "parameter 'errno': there is no error '%s'", name);
    return false;
}

static uint32_t parse_ops(const InjectOpList *ops, bool has_range)
{
    uint32_t bits = 0;

    if (!ops)
        return has_range ? TRANSFERS : REQUESTS;
    for (size_t i = 0; i < ops->n; i++)
        bits |= 1u << ops->items[i];
    return bits;
}

static bool check_rule(const InjectRule *options, bool has_range, uint32_t ops,
                       GError **error)
{
    if (!options->q_errno && !options->has_delay_ns && !options->has_tear)
        error_set(error, "one of 'errno', 'delay-ns' and 'tear' is needed");
    else if (ops == 0)
        error_set(error, "parameter 'ops' names nothing");
    else if (has_range && ops & ~TRANSFERS)
        error_set(error, "parameters 'offset' and 'size' are for read, write, discard "
                  "and zero");
    else if (has_range && options->has_size && options->size == 0)
        error_set(error, "parameter 'size' is 0");
    else if (options->has_delay_ns && ops & ~REQUESTS)
        error_set(error, "parameter 'delay-ns' is for read, write, flush, discard and "
                  "zero");
    else
        return true;
    return false;
}

static bool parse_rule(const InjectRule *options, Rule *rule, GError **error)
{
    bool has_range = options->has_offset || options->has_size;

    *rule = (Rule) {
        .ops = parse_ops(options->ops, has_range),
        .begin = options->offset,
        .end = UINT64_MAX,
        .first = options->first,
        .every = options->every,
        .times = options->times,
        .verdict = {
            .errnum = options->has_tear ? EIO : 0,
            .delay_ns = (int64_t)MIN(options->delay_ns, (uint64_t)INT64_MAX),
            .tears = options->has_tear,
            .tear = options->tear,
        },
    };
    if (!check_rule(options, has_range, rule->ops, error))
        return false;
    if (options->has_size && options->size <= UINT64_MAX - rule->begin)
        rule->end = rule->begin + options->size;
    return !options->q_errno ||
        parse_errno(options->q_errno, &rule->verdict.errnum, error);
}

static InjectRules *alloc_rules(unsigned n)
{
    InjectRules *rules = g_malloc0(sizeof(InjectRules) + n * sizeof(Rule));

    rules->n = n;
    return rules;
}

InjectRules *inject_rules_new(const InjectRuleList *list, GError **error)
{
    g_autoptr(InjectRules) rules = NULL;

    if (list && list->n > MAX_RULES) {
        error_set(error, "parameter 'rules' has more than %u", MAX_RULES);
        return NULL;
    }
    rules = alloc_rules(list ? (unsigned)list->n : 0);
    for (unsigned i = 0; i < rules->n; i++) {
        if (!parse_rule(list->items[i], &rules->rules[i], error)) {
            g_prefix_error(error, "parameter 'rules[%u]': ", i);
            return NULL;
        }
    }
    return g_steal_pointer(&rules);
}

InjectRules *inject_rules_new_nth(uint64_t n, int errnum)
{
    InjectRules *rules = alloc_rules(n > 0);

    if (n > 0)
        rules->rules[0] = (Rule) {
            .ops = ANY, .end = UINT64_MAX, .first = n, .every = 1, .times = 1,
            .verdict.errnum = errnum,
        };
    return rules;
}

void inject_rules_free(InjectRules *rules)
{
    g_free(rules);
}

unsigned inject_rules_count(const InjectRules *rules)
{
    return rules->n;
}

static bool matches(const Rule *rule, const InjectEvent *event)
{
    if (!(rule->ops >> event->op & 1))
        return false;
    if (rule->begin == 0 && rule->end == UINT64_MAX)
        return true;
    return event->offset < rule->end && event->bytes > 0 &&
        (event->offset >= rule->begin || event->bytes > rule->begin - event->offset);
}

/* Of an operation that matches and is counted. */
static bool is_due(const Rule *rule)
{
    return rule->n_matched >= rule->first &&
        (rule->n_matched - rule->first) % rule->every == 0 &&
        (rule->times == 0 || rule->n_acted < rule->times);
}

bool inject_rules_judge(InjectRules *rules, const InjectEvent *event,
                        InjectVerdict *ret_verdict)
{
    bool acts = false;

    for (unsigned i = 0; i < rules->n; i++) {
        Rule *rule = &rules->rules[i];

        if (!matches(rule, event))
            continue;
        rule->n_matched++;
        if (acts || !is_due(rule))
            continue;
        rule->n_acted++;
        *ret_verdict = rule->verdict;
        acts = true;
    }
    return acts;
}

uint64_t inject_rules_acted(const InjectRules *rules)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < rules->n; i++)
        n += rules->rules[i].n_acted;
    return n;
}

InjectRuleInfoList *inject_rules_query(const InjectRules *rules)
{
    InjectRuleInfoList *list = InjectRuleInfoList_new();

    for (unsigned i = 0; i < rules->n; i++) {
        InjectRuleInfo *info = g_new0(InjectRuleInfo, 1);

        info->matched = rules->rules[i].n_matched;
        info->acted = rules->rules[i].n_acted;
        InjectRuleInfoList_append(list, info);
    }
    return list;
}
