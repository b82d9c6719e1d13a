/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: a filter that fails, delays or tears operations, by rules.
 *
 * Without rules an operation is counted and passed on.  With rules they are looked at
 * under a lock, on whatever thread the operation is; what they say is copied out of it.
 *
 * A request that is delayed has a timer of its loop, or its worker waits.  A change of
 * the rules begins a new era and ends the waits of those before: workers are woken, each
 * queue gets a message.
 */
#include <errno.h>

#include "berth/block-driver.h"
#include "berth/error.h"
#include "berth/inject.h"
#include "berth/iov.h"
#include "berth/timer.h"

#include "block-reopen.h"
#include "inject-rules.h"

typedef struct Inject {
    BlockNode node;
    BlockNode *file;
    const InjectWatch *watch;
    bool has_rules;             /* atomic */
    uint64_t counts[INJECT_OP__MAX];    /* atomic */
    GMutex lock;                /* a leaf */
    GCond changed;              /* of era */

    /* Under the lock. */
    InjectRules *rules;
    unsigned era;
    ListNode queues;            /* of InjectQueue */
} Inject;

typedef struct InjectQueue {
    Inject *inject;
    Loop *loop;
    ListNode node;              /* under inject->lock */
    ListNode held;              /* of InjectCtx */
    LoopMessage changed;        /* the rules */
} InjectQueue;

typedef struct InjectCtx {
    BlockReq *req;
    InjectVerdict verdict;
    unsigned era;               /* of the verdict */
    bool is_cut;
    IovSlice slice;             /* of a transfer that is torn */
    void *begun;                /* the watch's */
    Timer timer;
    ListNode node;              /* in InjectQueue.held */
} InjectCtx;

static Inject *to_inject(BlockNode *node)
{
    return CONTAINER_OF(node, Inject, node);
}

bool inject_is(const BlockNode *node)
{
    return node->driver == &inject_driver;
}

/* Counts the operation; true when a rule acts on it. */
static bool judge(Inject *inject, const InjectEvent *event, InjectVerdict *ret_verdict,
                  unsigned *ret_era)
{
    bool acts;

    __atomic_add_fetch(&inject->counts[event->op], 1, __ATOMIC_RELAXED);
    if (!__atomic_load_n(&inject->has_rules, __ATOMIC_ACQUIRE))
        return false;
    lock_take(&inject->lock);
    acts = inject_rules_judge(inject->rules, event, ret_verdict);
    *ret_era = inject->era;
    lock_drop(&inject->lock);
    return acts;
}

static bool judge_io(Inject *inject, const BlockIo *io, InjectVerdict *ret_verdict,
                     unsigned *ret_era)
{
    static const InjectOp ops[] = {
        [BLOCK_OP_READ] = INJECT_OP_READ,
        [BLOCK_OP_WRITE] = INJECT_OP_WRITE,
        [BLOCK_OP_FLUSH] = INJECT_OP_FLUSH,
        [BLOCK_OP_DISCARD] = INJECT_OP_DISCARD,
        [BLOCK_OP_ZERO] = INJECT_OP_ZERO,
    };
    const InjectEvent event = {
        .op = ops[io->op],
        .offset = io->op == BLOCK_OP_FLUSH ? 0 : io->offset,
        .bytes = io->op == BLOCK_OP_FLUSH ? 0 : io->bytes,
    };

    return judge(inject, &event, ret_verdict, ret_era);
}

/* Of what is no request: the error, 0 for none. */
static int judge_other(Inject *inject, InjectOp op)
{
    const InjectEvent event = { .op = op };
    InjectVerdict verdict;
    unsigned era;

    return judge(inject, &event, &verdict, &era) ? verdict.errnum : 0;
}

/* Takes @rules. */
static void change_rules(Inject *inject, InjectRules *rules)
{
    InjectRules *before;

    lock_take(&inject->lock);
    before = inject->rules;
    inject->rules = rules;
    inject->era++;
    __atomic_store_n(&inject->has_rules, inject_rules_count(rules) > 0, __ATOMIC_RELEASE);
    g_cond_broadcast(&inject->changed);
    LIST_FOREACH(at, &inject->queues) {
        InjectQueue *state = CONTAINER_OF(at, InjectQueue, node);

        loop_post(state->loop, &state->changed);
    }
    lock_drop(&inject->lock);
    inject_rules_free(before);
}

bool inject_set_rules(BlockNode *node, const InjectRuleList *list, GError **error)
{
    InjectRules *rules = inject_rules_new(list, error);

    if (rules)
        change_rules(to_inject(node), rules);
    return rules != NULL;
}

void inject_fail_nth(BlockNode *node, uint64_t n, int errnum)
{
    change_rules(to_inject(node), inject_rules_new_nth(n, errnum));
}

uint64_t inject_n_acted(BlockNode *node)
{
    Inject *inject = to_inject(node);
    uint64_t n;

    lock_take(&inject->lock);
    n = inject_rules_acted(inject->rules);
    lock_drop(&inject->lock);
    return n;
}

uint64_t inject_count(const BlockNode *node, InjectOp op)
{
    const Inject *inject = CONTAINER_OF(node, Inject, node);

    return __atomic_load_n(&inject->counts[op], __ATOMIC_RELAXED);
}

InjectInfo *inject_query(BlockNode *node)
{
    Inject *inject = to_inject(node);
    InjectInfo *info = g_new0(InjectInfo, 1);

    info->counts = InjectCountList_new();
    for (InjectOp op = 0; op < INJECT_OP__MAX; op++) {
        InjectCount *count = g_new0(InjectCount, 1);

        count->op = op;
        count->count = inject_count(node, op);
        InjectCountList_append(info->counts, count);
    }
    lock_take(&inject->lock);
    info->rules = inject_rules_query(inject->rules);
    lock_drop(&inject->lock);
    return info;
}

void inject_set_watch(BlockNode *node, const InjectWatch *watch)
{
    to_inject(node)->watch = watch;
}

static void *watch_begin(const Inject *inject, const BlockIo *io)
{
    return inject->watch ? inject->watch->begin(inject->watch->opaque, io) : NULL;
}

static void watch_end(const Inject *inject, void *begun, int ret)
{
    if (inject->watch)
        inject->watch->end(inject->watch->opaque, begun, ret);
}

static bool inject_prepare(BlockNode *node, GError **error)
{
    Inject *inject = to_inject(node);

    g_mutex_init(&inject->lock);
    g_cond_init(&inject->changed);
    list_init(&inject->queues);
    inject->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    inject->rules = inject_rules_new(node->options->u.inject.rules, error);
    inject->has_rules = inject->rules && inject_rules_count(inject->rules) > 0;
    return inject->rules != NULL;
}

static bool inject_open(BlockNode *node, GError **error)
{
    Inject *inject = to_inject(node);
    int errnum = judge_other(inject, INJECT_OP_OPEN);

    if (errnum) {
        error_set_errno(error, errnum, "cannot open '%s'", block_node_name(node));
        return false;
    }
    node->limits = *block_node_limits(inject->file);
    block_node_set_size(node, block_node_size(inject->file));
    return true;
}

static void inject_close(BlockNode *node)
{
    Inject *inject = to_inject(node);

    inject_rules_free(inject->rules);
    g_cond_clear(&inject->changed);
    g_mutex_clear(&inject->lock);
}

static void inject_let_go(BlockNode *node)
{
    inject_fail_nth(node, 0, 0);
}

static int64_t deadline_of(const InjectVerdict *verdict)
{
    int64_t now_ns = loop_clock_ns();

    return verdict->delay_ns > INT64_MAX - now_ns ? INT64_MAX
                                                  : now_ns + verdict->delay_ns;
}

/*
 * What is left of an operation that is torn, whole blocks of it.  False: it is not begun.
 */
static bool tear(const Inject *inject, const InjectVerdict *verdict, BlockIo *io)
{
    uint32_t block = block_node_limits(inject->file)->request_alignment;

    if (!verdict->tears || io->op == BLOCK_OP_FLUSH)
        return false;
    io->bytes = ALIGN_DOWN(MIN(verdict->tear, io->bytes), block);
    return io->bytes > 0;
}

/* The long way. */

static int pass_io(Inject *inject, const BlockIo *io)
{
    void *begun = watch_begin(inject, io);
    int ret = block_io(inject->file, io);

    watch_end(inject, begun, ret);
    return ret;
}

static int tear_io(Inject *inject, const InjectVerdict *verdict, BlockIo *io)
{
    bool has_iov = io->n_iov > 0;
    IovSlice slice;
    int ret;

    if (!tear(inject, verdict, io))
        return 0;
    if (has_iov) {
        iov_slice_begin(&slice, io->iov, 0, io->bytes);
        io->iov = slice.iov;
        io->n_iov = slice.n_iov;
    }
    ret = pass_io(inject, io);
    if (has_iov)
        iov_slice_end(&slice);
    return ret;
}

static void wait_until(Inject *inject, int64_t deadline_ns, unsigned era)
{
    bool in_time = true;

    lock_take(&inject->lock);
    while (in_time && inject->era == era)
        in_time = lock_wait_until(&inject->changed, &inject->lock, deadline_ns);
    lock_drop(&inject->lock);
}

static int inject_io(BlockNode *node, const BlockIo *io)
{
    Inject *inject = to_inject(node);
    InjectVerdict verdict;
    BlockIo torn = *io;
    unsigned era;
    int ret;

    if (!judge_io(inject, io, &verdict, &era))
        return pass_io(inject, io);
    if (verdict.delay_ns > 0)
        wait_until(inject, deadline_of(&verdict), era);
    if (!verdict.errnum)
        return pass_io(inject, io);
    ret = tear_io(inject, &verdict, &torn);
    return ret < 0 ? ret : -verdict.errnum;
}

/* The short way. */

static void on_passed(BlockReq *below, int ret)
{
    BlockReq *req = below->opaque;
    InjectCtx *ctx = block_req_ctx(req);

    watch_end(to_inject(req->queue->node), ctx->begun, ret);
    if (ctx->is_cut)
        iov_slice_end(&ctx->slice);
    block_req_complete(req, ret < 0 ? ret : -ctx->verdict.errnum);
}

static void pass(BlockReq *req, const BlockIo *io)
{
    InjectCtx *ctx = block_req_ctx(req);
    BlockReq *below =
        block_req_below(req, block_queue_child(req->queue, BLOCK_ROLE_FILTERED));

    below->io = *io;
    below->done = on_passed;
    below->opaque = req;
    ctx->begun = watch_begin(to_inject(req->queue->node), io);
    block_req_submit(below);
}

/* What comes after the wait. */
static void act(BlockReq *req)
{
    InjectCtx *ctx = block_req_ctx(req);
    BlockIo io = req->io;

    if (!ctx->verdict.errnum) {
        pass(req, &io);
        return;
    }
    if (!tear(to_inject(req->queue->node), &ctx->verdict, &io)) {
        block_req_complete(req, -ctx->verdict.errnum);
        return;
    }
    ctx->is_cut = io.n_iov > 0;
    if (ctx->is_cut) {
        iov_slice_begin(&ctx->slice, io.iov, 0, io.bytes);
        io.iov = ctx->slice.iov;
        io.n_iov = ctx->slice.n_iov;
    }
    pass(req, &io);
}

static void on_timer(void *opaque)
{
    InjectCtx *ctx = opaque;

    list_remove(&ctx->node);
    act(ctx->req);
}

static void on_changed(void *opaque)
{
    InjectQueue *state = opaque;
    unsigned era;

    lock_take(&state->inject->lock);
    era = state->inject->era;
    lock_drop(&state->inject->lock);
    /* Those that go on may submit others, which are held at the end of the list. */
    while (!list_is_empty(&state->held)) {
        InjectCtx *ctx = CONTAINER_OF(list_first(&state->held), InjectCtx, node);

        if (ctx->era == era)
            break;
        timer_cancel(&ctx->timer);
        on_timer(ctx);
    }
}

static void hold(BlockReq *req)
{
    InjectQueue *state = block_queue_state(req->queue);
    InjectCtx *ctx = block_req_ctx(req);

    list_append(&state->held, &ctx->node);
    timer_init(&ctx->timer, req->queue->loop, on_timer, ctx);
    timer_set(&ctx->timer, deadline_of(&ctx->verdict));
}

static void inject_submit(BlockReq *req)
{
    InjectCtx *ctx = block_req_ctx(req);

    ctx->req = req;
    ctx->is_cut = false;
    ctx->verdict = (InjectVerdict) { 0 };
    if (!judge_io(to_inject(req->queue->node), &req->io, &ctx->verdict, &ctx->era))
        pass(req, &req->io);
    else if (ctx->verdict.delay_ns > 0)
        hold(req);
    else
        act(req);
}

static bool inject_attach(BlockQueue *queue, GError **error)
{
    Inject *inject = to_inject(queue->node);
    InjectQueue *state = block_queue_state(queue);
    int errnum = judge_other(inject, INJECT_OP_ATTACH);

    if (errnum) {
        error_set_errno(error, errnum, "node '%s': cannot attach",
                        block_node_name(queue->node));
        return false;
    }
    state->inject = inject;
    state->loop = queue->loop;
    list_init(&state->held);
    loop_message_init(&state->changed, on_changed, state);
    lock_take(&inject->lock);
    list_append(&inject->queues, &state->node);
    lock_drop(&inject->lock);
    return true;
}

static void inject_detach(BlockQueue *queue)
{
    Inject *inject = to_inject(queue->node);
    InjectQueue *state = block_queue_state(queue);

    /* It is posted under the lock: off the list, no more. */
    lock_take(&inject->lock);
    list_remove(&state->node);
    lock_drop(&inject->lock);
    loop_message_cancel(queue->loop, &state->changed);
}

/* The rest. */

static int inject_map(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map)
{
    int errnum = judge_other(to_inject(node), INJECT_OP_MAP);

    *ret_map = (BlockMap) {
        .kind = BLOCK_MAP_FILTERED, .bytes = bytes, .has_offset = true,
        .child_offset = offset,
    };
    return -errnum;
}

static void inject_follow(BlockNode *node)
{
    block_node_set_size(node, block_node_size(to_inject(node)->file));
}

static void inject_rejoin(BlockNode *node)
{
    to_inject(node)->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    node->limits = *block_node_limits(to_inject(node)->file);
}

static bool inject_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                          GError **error)
{
    Inject *inject = to_inject(node);
    int errnum = judge_other(inject, INJECT_OP_RESIZE);

    if (errnum) {
        error_set_errno(error, errnum, "cannot resize '%s'", block_node_name(node));
        return false;
    }
    if (!block_node_resize(inject->file, size, prealloc, error))
        return false;
    block_node_set_size(node, block_node_size(inject->file));
    if (inject->watch)
        inject->watch->resized(inject->watch->opaque, block_node_size(node));
    return true;
}

/* What lets go of something is never refused. */
static bool inject_set_perm(BlockNode *node, uint8_t wants, uint8_t permits,
                            GError **error)
{
    int errnum = 0;

    if (wants & ~node->wants || node->permits & ~permits)
        errnum = judge_other(to_inject(node), INJECT_OP_LOCK);
    if (errnum)
        error_set_errno(error, errnum, "cannot lock '%s'", block_node_name(node));
    return errnum == 0;
}

static bool inject_reopen(BlockReopen *reopen, GError **error)
{
    int errnum = judge_other(to_inject(reopen->node), INJECT_OP_OPEN);

    if (errnum)
        error_set_errno(error, errnum, "cannot open it again");
    return errnum == 0;
}

static const BlockReopenOps inject_reopen_ops = { .apply = inject_reopen };

static const BlockChild inject_children[] = {
    { BLOCK_ROLE_FILTERED, offsetof(BlockdevOptions, u.inject.file) },
    { 0 }
};

const BlockDriver inject_driver = {
    .name = "inject",
    .instance_size = sizeof(Inject),
    .is_filter = true,
    .children = inject_children,
    .prepare = inject_prepare,
    .open = inject_open,
    .close = inject_close,
    .io = inject_io,
    .ctx_size = sizeof(InjectCtx),
    .queue_size = sizeof(InjectQueue),
    .attach = inject_attach,
    .detach = inject_detach,
    .submit = inject_submit,
    .map = inject_map,
    .resize = inject_resize,
    .follow = inject_follow,
    .rejoin = inject_rejoin,
    .reopen = &inject_reopen_ops,
    .set_perm = inject_set_perm,
    .let_go = inject_let_go,
};
