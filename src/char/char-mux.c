/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chardev for several users: a serial port and a monitor on one terminal.
 *
 *     user --> front --+
 *     user --> front --+--> mux --> the chardev below, of which the mux is the user
 *
 * A front is a Chardev of its own, made by char_attach() and freed by char_detach().
 * Output of all fronts goes below as it comes.  Input goes to the front that has the
 * focus, which the last to come has until "c" moves it on.
 *
 * Input that the front's user does not take yet waits in the front, up to
 * CHAR_MUX_INPUT_SIZE bytes, also when the focus has moved on; nothing of it is lost.
 * When that is full, no more is read from below and the rest of what was read is held,
 * so that the order of keys and commands is kept; commands wait with it.
 *
 * Output may come on any thread.  out_lock is held while it is handed on, so a writer
 * that got less than it wanted is known before on_writable() looks for it, and a time
 * stamp stays whole.  Order: out_lock, then the lock of the chardev below.
 */
#include <stdio.h>
#include <string.h>

#include "berth/error.h"

#include "char-private.h"

#define STAMP_SIZE 32

typedef struct CharFront CharFront;

typedef struct CharMux {
    Chardev chr;
    Chardev *base;
    ListNode fronts;            /* in the order of their coming */
    unsigned n_fronts;
    unsigned turn;              /* whom on_writable() asks first */
    CharFront *focus;           /* NULL: there is no front */
    bool escaped;               /* the next byte is a command */
    GByteArray *held;           /* read from below and not yet processed; NULL: nothing */

    GMutex out_lock;
    bool timestamps;
    bool line_start;
    int64_t start_ns;           /* of the time stamps; 0: the first sets it */
    char stamp[STAMP_SIZE];     /* what of it is still to be written */
} CharMux;

struct CharFront {
    Chardev chr;
    CharMux *mux;
    GByteArray *input;          /* NULL: nothing */
    bool waits;                 /* under out_lock: for room to write */
};

static CharMux *to_mux(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharMux, chr);
}

static CharFront *to_front(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharFront, chr);
}

/* The fronts as they are now, for callbacks that may change them; each is entered. */
static unsigned enter_fronts(CharMux *mux, CharFront *fronts[CHAR_MUX_FRONTS])
{
    unsigned n = 0;

    LIST_FOREACH(node, &mux->fronts) {
        fronts[n] = to_front(CONTAINER_OF(node, Chardev, node));
        char_enter(&fronts[n++]->chr);
    }
    return n;
}

static void clear_bytes(GByteArray **bytes)
{
    if (*bytes)
        g_byte_array_unref(*bytes);
    *bytes = NULL;
}

/* Drops the first @n, and the array with the last. */
static void drop_bytes(GByteArray **bytes, size_t n)
{
    if (n == (*bytes)->len)
        clear_bytes(bytes);
    else
        g_byte_array_remove_range(*bytes, 0, n);
}

/* Gives the user what it takes now, and returns how much that was. */
static size_t deliver(CharFront *front, const uint8_t *data, size_t size)
{
    size_t taken = 0;

    while (taken < size && front->chr.user) {
        const CharUser *user = front->chr.user;
        size_t room = user->can_read ? user->can_read(front->chr.opaque) : SIZE_MAX;
        size_t part = MIN(room, size - taken);

        if (part == 0)
            break;
        /* One that reads nothing swallows it: commands go on. */
        if (user->read)
            user->read(front->chr.opaque, data + taken, part);
        taken += part;
    }
    return taken;
}

static void deliver_input(CharFront *front)
{
    char_enter(&front->chr);
    while (front->input) {
        g_autoptr(GByteArray) input = g_byte_array_ref(front->input);
        size_t taken = deliver(front, input->data, input->len);

        if (taken == 0 || !front->input)
            break;
        drop_bytes(&front->input, taken);
    }
    char_leave(&front->chr);
}

static size_t room_of(const CharFront *front)
{
    return CHAR_MUX_INPUT_SIZE - (front->input ? front->input->len : 0);
}

/* Returns how much the user and the front's buffer took. */
static size_t give(CharFront *front, const uint8_t *data, size_t size)
{
    size_t taken = 0, kept = 0;

    char_enter(&front->chr);
    if (!front->input)
        taken = deliver(front, data, size);
    if (!front->chr.free_later) {
        kept = MIN(size - taken, room_of(front));
        if (kept > 0 && !front->input)
            front->input = g_byte_array_new();
        if (kept > 0)
            g_byte_array_append(front->input, data + taken, kept);
    }
    char_leave(&front->chr);
    return taken + kept;
}

/* The old front may go away when it is told, and the new one, too. */
static void set_focus(CharMux *mux, CharFront *front)
{
    CharFront *old = mux->focus;

    mux->focus = front;
    if (old == front)
        return;
    if (old)
        char_send_event(&old->chr, CHAR_EVENT_FOCUS_OUT);
    if (front && mux->focus == front)
        char_send_event(&front->chr, CHAR_EVENT_FOCUS_IN);
}

static CharFront *next_front(const CharMux *mux, const CharFront *front)
{
    const ListNode *next = front->chr.node.next;

    if (next == &mux->fronts)
        next = next->next;
    return to_front(CONTAINER_OF(next, Chardev, node));
}

/* What the mux itself tells; it is cut short when the far end does not read. */
static void say(CharMux *mux, const char *text)
{
    lock_take(&mux->out_lock);
    char_write(mux->base, text, strlen(text));
    lock_drop(&mux->out_lock);
}

static void say_help(CharMux *mux)
{
    static const char *const lines[][2] = {
        { "h", "this help" },
        { "x", "end the virtual machine" },
        { "s", "save what disks with -snapshot hold to their files" },
        { "t", "time stamps at each line, on or off" },
        { "b", "send a break (Linux: magic SysRq)" },
        { "c", "switch to the next user of this terminal" },
    };
    uint8_t escape = mux->chr.set->escape;
    g_autofree char *key = escape >= 1 && escape <= 26
                           ? g_strdup_printf("C-%c", 'a' + escape - 1)
                           : g_strdup_printf("0x%02x", escape);
    g_autoptr(GString) text = g_string_new("\r\n");

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        g_string_append_printf(text, "%s %s    %s\r\n", key, lines[i][0], lines[i][1]);
    g_string_append_printf(text, "%s %s  send %s itself\r\n", key, key, key);
    say(mux, text->str);
}

static void ask(CharMux *mux, CharMuxCommand command, const char *done)
{
    CharSet *set = mux->chr.set;
    const char *refusal = "nobody here can do that";
    g_autofree char *text = NULL;

    if (set->mux)
        refusal = set->mux(set->mux_opaque, command);
    text = g_strdup_printf("\r\nberth: %s\r\n", refusal ? refusal : done);
    say(mux, text);
}

static void toggle_timestamps(CharMux *mux)
{
    lock_take(&mux->out_lock);
    mux->timestamps = !mux->timestamps;
    mux->line_start = false;
    mux->start_ns = 0;
    lock_drop(&mux->out_lock);
}

static void command(CharMux *mux, uint8_t byte)
{
    switch (byte) {
    case '?':
    case 'h':
        say_help(mux);
        break;
    case 'x':
        ask(mux, CHAR_MUX_QUIT, "terminated");
        break;
    case 's':
        ask(mux, CHAR_MUX_SAVE, "saved");
        break;
    case 't':
        toggle_timestamps(mux);
        break;
    case 'b':
        char_send_event(&mux->focus->chr, CHAR_EVENT_BREAK);
        break;
    case 'c':
        set_focus(mux, next_front(mux, mux->focus));
        break;
    }
}

/* How many bytes from @data on are for the user, that is, before the next command. */
static size_t run_length(const CharMux *mux, const uint8_t *data, size_t size)
{
    const uint8_t *escape = memchr(data, mux->chr.set->escape, size);

    return escape ? (size_t)(escape - data) : size;
}

/*
 * Returns how much it processed: less than @size when a front is full or all have gone.
 */
static size_t process(CharMux *mux, const uint8_t *data, size_t size)
{
    uint8_t escape = mux->chr.set->escape;
    size_t at = 0;

    while (at < size && mux->focus) {
        if (mux->escaped && data[at] != escape) {
            mux->escaped = false;
            command(mux, data[at++]);
        } else if (mux->escaped) {
            if (give(mux->focus, &data[at], 1) == 0)
                break;
            mux->escaped = false;
            at++;
        } else if (data[at] == escape) {
            mux->escaped = true;
            at++;
        } else {
            size_t run = run_length(mux, data + at, size - at);
            size_t taken = give(mux->focus, data + at, run);

            at += taken;
            if (taken < run)
                break;
        }
    }
    return at;
}

/* A front has room again, or there is another one. */
static void on_update(void *opaque)
{
    CharMux *mux = opaque;
    g_autoptr(GByteArray) held = g_steal_pointer(&mux->held);
    size_t done;

    char_enter(&mux->chr);
    done = held ? process(mux, held->data, held->len) : 0;
    if (held && done < held->len && char_is_open(&mux->chr)) {
        g_byte_array_remove_range(held, 0, done);
        mux->held = g_steal_pointer(&held);
    } else {
        char_accept_input(mux->base);
    }
    char_leave(&mux->chr);
}

static size_t on_can_read(void *opaque)
{
    const CharMux *mux = opaque;

    return !mux->held && mux->focus ? room_of(mux->focus) : 0;
}

static void on_read(void *opaque, const uint8_t *data, size_t size)
{
    CharMux *mux = opaque;
    size_t done;

    char_enter(&mux->chr);
    done = mux->held ? 0 : process(mux, data, size);
    if (done < size) {
        if (!mux->held)
            mux->held = g_byte_array_new();
        g_byte_array_append(mux->held, data + done, size - done);
    }
    char_leave(&mux->chr);
}

static bool take_turn(CharMux *mux, CharFront *front)
{
    bool waits;

    lock_take(&mux->out_lock);
    waits = front->waits;
    front->waits = false;
    lock_drop(&mux->out_lock);
    return waits;
}

/* Whoever is asked first fills what room there is: each is it in turn. */
static void on_writable(void *opaque)
{
    CharMux *mux = opaque;
    CharFront *fronts[CHAR_MUX_FRONTS];
    unsigned n = enter_fronts(mux, fronts);

    mux->turn++;
    for (unsigned i = 0; i < n; i++) {
        CharFront *front = fronts[(mux->turn + i) % n];
        const CharUser *user = front->chr.user;

        if (take_turn(mux, front) && user && user->writable)
            user->writable(front->chr.opaque);
    }
    for (unsigned i = 0; i < n; i++)
        char_leave(&fronts[i]->chr);
}

static void set_open(Chardev *chr, bool open)
{
    lock_take(&chr->lock);
    chr->open = open;
    lock_drop(&chr->lock);
}

static void on_event(void *opaque, CharEvent event)
{
    CharMux *mux = opaque;
    CharFront *fronts[CHAR_MUX_FRONTS];
    unsigned n;

    if (event == CHAR_EVENT_BREAK) {
        if (mux->focus)
            char_send_event(&mux->focus->chr, event);
        return;
    }
    set_open(&mux->chr, event == CHAR_EVENT_OPENED);
    mux->escaped = false;
    clear_bytes(&mux->held);
    n = enter_fronts(mux, fronts);
    for (unsigned i = 0; i < n; i++) {
        set_open(&fronts[i]->chr, event == CHAR_EVENT_OPENED);
        char_send_event(&fronts[i]->chr, event);
    }
    for (unsigned i = 0; i < n; i++)
        char_leave(&fronts[i]->chr);
}

static const CharUser mux_user = {
    .can_read = on_can_read,
    .read = on_read,
    .writable = on_writable,
    .event = on_event,
};

static void front_close(Chardev *chr)
{
    CharFront *front = to_front(chr);
    CharMux *mux = front->mux;

    clear_bytes(&front->input);
    mux->n_fronts--;
    if (mux->focus == front) {
        ListNode *node = mux->fronts.prev;

        mux->focus = NULL;
        if (node != &mux->fronts)
            set_focus(mux, to_front(CONTAINER_OF(node, Chardev, node)));
        else
            char_set_frontend_open(mux->base, false);
    }
    loop_post(chr->loop, &mux->chr.update);
}

static void on_front_update(void *opaque)
{
    CharFront *front = opaque;

    char_enter(&front->chr);
    deliver_input(front);
    if (!front->chr.free_later)
        loop_post(front->chr.loop, &front->mux->chr.update);
    char_leave(&front->chr);
}

static void front_accept_input(Chardev *chr)
{
    if (to_front(chr)->input || to_front(chr)->mux->held)
        loop_post(chr->loop, &chr->update);
}

static bool front_has_focus(const Chardev *chr)
{
    return to_front(chr)->mux->focus == to_front(chr);
}

/* "[00:00:01.234] ", the time since the first one. */
static void make_stamp_locked(CharMux *mux)
{
    int64_t now_ns = loop_clock_ns(), ms;

    if (mux->start_ns == 0)
        mux->start_ns = now_ns;
    ms = (now_ns - mux->start_ns) / NS_PER_MS;
    snprintf(mux->stamp, sizeof(mux->stamp), "[%02d:%02d:%02d.%03d] ",
             (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
             (int)(ms % 1000));
}

/* False while the far end does not take the rest of it. */
static bool write_stamp_locked(CharMux *mux)
{
    size_t size, taken;

    if (mux->line_start && mux->timestamps)
        make_stamp_locked(mux);
    mux->line_start = false;
    size = strlen(mux->stamp);
    if (size == 0)
        return true;
    taken = char_write(mux->base, mux->stamp, size);
    memmove(mux->stamp, mux->stamp + taken, size - taken + 1);
    return taken == size;
}

static size_t write_lines_locked(CharMux *mux, const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < size && write_stamp_locked(mux)) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t part = end ? (size_t)(end - data) + 1 - at : size - at;
        size_t taken = char_write(mux->base, data + at, part);

        at += taken;
        if (taken < part)
            break;
        mux->line_start = end != NULL;
    }
    return at;
}

static size_t front_write(Chardev *chr, const void *data, size_t size)
{
    CharFront *front = to_front(chr);
    CharMux *mux = front->mux;
    size_t taken;

    lock_take(&mux->out_lock);
    if (mux->timestamps || mux->stamp[0])
        taken = write_lines_locked(mux, data, size);
    else
        taken = char_write(mux->base, data, size);
    if (taken < size)
        front->waits = true;
    lock_drop(&mux->out_lock);
    return taken;
}

static const CharClass front_class = {
    .name = "mux",
    .instance_size = sizeof(CharFront),
    .close = front_close,
    .write = front_write,
    .accept_input = front_accept_input,
    .has_focus = front_has_focus,
};

static bool mux_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharMux *mux = to_mux(chr);
    const char *id = backend->u.mux.data->chardev;
    Chardev *base = char_find(chr->set, id);

    loop_message_init(&chr->update, on_update, mux);
    g_mutex_init(&mux->out_lock);
    list_init(&mux->fronts);
    if (base && base->class == &char_mux_class) {
        error_set(error, "parameter 'chardev': '%s' is a mux itself", id);
        return false;
    }
    mux->base = char_attach_named(chr->set, id, &mux_user, mux, error);
    if (!mux->base)
        return false;
    char_set_frontend_open(mux->base, false);
    set_open(chr, char_is_open(mux->base));
    return true;
}

static void mux_close(Chardev *chr)
{
    CharMux *mux = to_mux(chr);

    g_assert(mux->n_fronts == 0);
    if (mux->base)
        char_detach(mux->base);
    mux->base = NULL;
    clear_bytes(&mux->held);
    g_mutex_clear(&mux->out_lock);
}

static Chardev *mux_new_front(Chardev *chr, GError **error)
{
    CharMux *mux = to_mux(chr);
    CharFront *front;

    if (mux->n_fronts == CHAR_MUX_FRONTS) {
        error_set(error, "the mux '%s' has %d users already, the most that it can have",
                  chr->id, CHAR_MUX_FRONTS);
        return NULL;
    }
    front = to_front(char_new(chr->set, &front_class, chr->id));
    loop_message_init(&front->chr.update, on_front_update, front);
    front->mux = mux;
    front->chr.below = mux->base;
    set_open(&front->chr, char_is_open(chr));
    list_append(&mux->fronts, &front->chr.node);
    mux->n_fronts++;
    char_set_frontend_open(mux->base, true);
    set_focus(mux, front);
    loop_post(chr->loop, &chr->update);
    return &front->chr;
}

static bool mux_frontend_open(const Chardev *chr)
{
    const CharMux *mux = to_mux(chr);

    return mux->focus && mux->focus->chr.frontend_open;
}

static bool mux_is_used(const Chardev *chr)
{
    return to_mux(chr)->n_fronts > 0;
}

static void mux_send_break(Chardev *chr)
{
    on_event(to_mux(chr), CHAR_EVENT_BREAK);
}

/* Nobody has the mux itself to write to. */
static size_t mux_write(Chardev *chr, const void *data, size_t size)
{
    return size;
}

const CharClass char_mux_class = {
    .name = "mux",
    .instance_size = sizeof(CharMux),
    .open = mux_open,
    .close = mux_close,
    .write = mux_write,
    .new_front = mux_new_front,
    .frontend_open = mux_frontend_open,
    .is_used = mux_is_used,
    .send_break = mux_send_break,
};
