/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PS/2 mouse with a wheel and five buttons (IBM PS/2 Hardware Interface Technical
 * Reference, "Mouse"; the wheel: Microsoft IntelliMouse and IntelliMouse Explorer).
 *
 * It says that it is a mouse with two or three buttons until the driver sets the rates
 * 200, 100, 80, by which it asks for a wheel, and then 200, 200, 80 for more buttons.
 *
 *     report   7 y too large, 6 x, 5 y negative, 4 x, 3 set, 2 middle, 1 right, 0 left
 *              x, y (up is positive): 9 bits with the sign
 *              id 3: the wheel; id 4: 5 and 4 for more buttons, 3:0 the wheel
 *
 * A report that there is no room for is made later of what has come together.  The rate
 * and the resolution can be read back and make no difference: there are as many reports
 * as movements, and a count is a count.
 */
#include <string.h>

#include "berth/error.h"

#include "ps2.h"

#define ALWAYS_SET 0x08
#define X_NEGATIVE 0x10
#define Y_NEGATIVE 0x20
#define MORE_BUTTONS_SHIFT 1            /* from buttons 4 and 5 to their bits */
#define MORE_BUTTONS 0x30
#define STATUS_DOUBLE_SCALE 0x10
#define STATUS_REPORTING 0x20
#define STATUS_REMOTE 0x40

#define BUTTONS 0x1f
#define BUTTONS_OF_ALL 0x07
#define DEFAULT_RATE 100
#define DEFAULT_RESOLUTION 2
#define MAX_RESOLUTION 3
#define MAX_REPORT 4u
#define MAX_COUNT 127                   /* of a report, also of one that is doubled */
#define MAX_WHEEL 7
#define FAR INT16_MAX                   /* what is farther is not kept */

enum {
    ID_PLAIN = 0,
    ID_WHEEL = 3,
    ID_BUTTONS = 4,
};

static unsigned report_size(const Ps2Mouse *mouse)
{
    return mouse->id == ID_PLAIN ? 3 : 4;
}

static bool has_news(const Ps2Mouse *mouse)
{
    return mouse->dx || mouse->dy || mouse->dz || mouse->buttons != mouse->reported;
}

/* Takes what a report can say of *@count. */
static int take_count(int64_t *count, int most)
{
    int n = (int)CLAMP(*count, -most, most);

    *count -= n;
    return n;
}

/* IBM, "Set Scaling 2:1". */
static int double_scale(int count)
{
    static const uint8_t small[] = { 0, 1, 1, 3, 6, 9 };
    unsigned n = count < 0 ? -count : count;
    int scaled = n < G_N_ELEMENTS(small) ? small[n] : 2 * n;

    return count < 0 ? -scaled : scaled;
}

static void make_report(Ps2Mouse *mouse, bool scale, uint8_t report[MAX_REPORT])
{
    int dx = take_count(&mouse->dx, MAX_COUNT);
    int dy = take_count(&mouse->dy, MAX_COUNT);
    int dz = 0;

    if (scale) {
        dx = double_scale(dx);
        dy = double_scale(dy);
    }
    if (mouse->id == ID_PLAIN)
        mouse->dz = 0;
    else
        dz = take_count(&mouse->dz, MAX_WHEEL);
    mouse->reported = mouse->buttons;
    report[0] = ALWAYS_SET | (mouse->buttons & BUTTONS_OF_ALL) |
                (dx < 0 ? X_NEGATIVE : 0) | (dy < 0 ? Y_NEGATIVE : 0);
    report[1] = (uint8_t)dx;
    report[2] = (uint8_t)dy;
    report[3] = (uint8_t)dz;
    if (mouse->id == ID_BUTTONS)
        report[3] = (dz & 0x0f) | ((mouse->buttons << MORE_BUTTONS_SHIFT) & MORE_BUTTONS);
}

static bool report(Ps2Mouse *mouse)
{
    uint8_t bytes[MAX_REPORT];

    if (mouse->port.n_queued + report_size(mouse) > PS2_QUEUE_SIZE)
        return false;
    make_report(mouse, mouse->double_scale, bytes);
    return ps2_port_report(&mouse->port, bytes, report_size(mouse));
}

static void report_news(Ps2Mouse *mouse)
{
    if (!mouse->reporting || mouse->remote || mouse->wrap)
        return;
    while (has_news(mouse) && report(mouse))
        continue;
}

void ps2_mouse_taken(Ps2Mouse *mouse)
{
    report_news(mouse);
}

static void add(int64_t *count, int64_t n)
{
    n = CLAMP(n, -FAR, FAR);
    *count = CLAMP(*count + n, -FAR, FAR);
}

void ps2_mouse_move(Ps2Mouse *mouse, int64_t dx, int64_t dy, int64_t dz)
{
    if (!mouse->reporting && !mouse->remote)
        return;
    add(&mouse->dx, dx);
    add(&mouse->dy, dy == INT64_MIN ? INT64_MAX : -dy);
    if (mouse->id != ID_PLAIN)
        add(&mouse->dz, dz);
    report_news(mouse);
}

void ps2_mouse_button(Ps2Mouse *mouse, uint8_t button, bool down)
{
    button &= BUTTONS;
    if (down)
        mouse->buttons |= button;
    else
        mouse->buttons &= ~button;
    report_news(mouse);
}

static void forget_news(Ps2Mouse *mouse)
{
    mouse->dx = mouse->dy = mouse->dz = 0;
    mouse->reported = mouse->buttons;
    ps2_port_flush(&mouse->port);
}

static void set_defaults(Ps2Mouse *mouse)
{
    mouse->rate = DEFAULT_RATE;
    mouse->resolution = DEFAULT_RESOLUTION;
    mouse->reporting = false;
    mouse->remote = false;
    mouse->double_scale = false;
    mouse->wrap = false;
    memset(mouse->recent, 0, sizeof(mouse->recent));
    mouse->command = 0;
    forget_news(mouse);
}

/* A reset is what takes the wheel away. */
static void reset(Ps2Mouse *mouse)
{
    mouse->id = ID_PLAIN;
    set_defaults(mouse);
}

void ps2_mouse_reset(Ps2Mouse *mouse)
{
    ps2_port_reset(&mouse->port);
    mouse->buttons = 0;
    reset(mouse);
}

static void reply_status(Ps2Mouse *mouse)
{
    uint8_t held = mouse->buttons;

    ps2_port_reply(&mouse->port, (mouse->remote ? STATUS_REMOTE : 0) |
                                 (mouse->reporting ? STATUS_REPORTING : 0) |
                                 (mouse->double_scale ? STATUS_DOUBLE_SCALE : 0) |
                                 (held & 1) << 2 | (held & 4) >> 1 | (held & 2) >> 1);
    ps2_port_reply(&mouse->port, mouse->resolution);
    ps2_port_reply(&mouse->port, mouse->rate);
}

/* Scaling is for reports that nobody asked for. */
static void reply_report(Ps2Mouse *mouse)
{
    uint8_t bytes[MAX_REPORT];

    make_report(mouse, false, bytes);
    for (unsigned i = 0; i < report_size(mouse); i++)
        ps2_port_reply(&mouse->port, bytes[i]);
}

static void run_command(Ps2Mouse *mouse, uint8_t command)
{
    Ps2Port *port = &mouse->port;

    if (command == PS2_RESEND) {
        ps2_port_resend(port);
        return;
    }
    ps2_port_reply(port, PS2_ACK);
    switch (command) {
    case PS2_SCALE_1:
    case PS2_SCALE_2:
        mouse->double_scale = command == PS2_SCALE_2;
        break;
    case PS2_SET_RESOLUTION:
    case PS2_SET_RATE:
        mouse->command = command;
        break;
    case PS2_STATUS:
        reply_status(mouse);
        break;
    case PS2_STREAM:
    case PS2_REMOTE:
        mouse->remote = command == PS2_REMOTE;
        forget_news(mouse);
        break;
    case PS2_POLL:
        reply_report(mouse);
        break;
    case PS2_UNWRAP:
        break;
    case PS2_WRAP:
        mouse->wrap = true;
        ps2_port_flush(port);
        break;
    case PS2_IDENTIFY:
        ps2_port_reply(port, mouse->id);
        break;
    case PS2_ENABLE:
    case PS2_DISABLE:
        mouse->reporting = command == PS2_ENABLE;
        forget_news(mouse);
        break;
    case PS2_DEFAULTS:
        set_defaults(mouse);
        break;
    case PS2_RESET:
        reset(mouse);
        ps2_port_reply(port, PS2_TEST_PASSED);
        ps2_port_reply(port, mouse->id);
        break;
    default:
        ps2_port_begin(port);
        ps2_port_reply(port, PS2_RESEND);
        break;
    }
}

static void set_rate(Ps2Mouse *mouse, uint8_t rate)
{
    const uint8_t *recent = mouse->recent;

    if (recent[0] == 200 && recent[1] == 100 && rate == 80) {
        mouse->id = ID_WHEEL;
        forget_news(mouse);
    } else if (recent[0] == 200 && recent[1] == 200 && rate == 80) {
        mouse->id = ID_BUTTONS;
        forget_news(mouse);
    }
    mouse->recent[0] = mouse->recent[1];
    mouse->recent[1] = rate;
    mouse->rate = rate;
}

static void run_data(Ps2Mouse *mouse, uint8_t command, uint8_t byte)
{
    static const uint8_t rates[] = { 10, 20, 40, 60, 80, 100, 200 };

    if (command == PS2_SET_RATE && memchr(rates, byte, sizeof(rates))) {
        set_rate(mouse, byte);
    } else if (command == PS2_SET_RESOLUTION && byte <= MAX_RESOLUTION) {
        mouse->resolution = byte;
    } else {
        ps2_port_reply(&mouse->port, PS2_RESEND);
        return;
    }
    ps2_port_reply(&mouse->port, PS2_ACK);
}

void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte)
{
    uint8_t command = mouse->command;

    ps2_port_begin(&mouse->port);
    mouse->command = 0;
    if (mouse->wrap && byte != PS2_UNWRAP && byte != PS2_RESET) {
        ps2_port_reply(&mouse->port, byte);
        return;
    }
    mouse->wrap = false;
    if (command)
        run_data(mouse, command, byte);
    else
        run_command(mouse, byte);
}

static bool ps2_mouse_post_load(void *opaque, GError **error)
{
    Ps2Mouse *mouse = opaque;
    const int64_t counts[] = { mouse->dx, mouse->dy, mouse->dz };

    if (mouse->id != ID_PLAIN && mouse->id != ID_WHEEL && mouse->id != ID_BUTTONS) {
        error_set(error, "id: there is no mouse %u", mouse->id);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        if (counts[i] < -FAR || counts[i] > FAR) {
            error_set(error, "d%c: %" PRId64 " is too far", 'x' + i, counts[i]);
            return false;
        }
    }
    mouse->buttons &= BUTTONS;
    mouse->reported &= BUTTONS;
    return true;
}

static const VMStateField ps2_mouse_fields[] = {
    VMSTATE_STRUCT(Ps2Mouse, port, ps2_port_vmstate),
    VMSTATE_U8(Ps2Mouse, id),
    VMSTATE_U8(Ps2Mouse, command),
    VMSTATE_BYTES(Ps2Mouse, recent, 2),
    VMSTATE_U8(Ps2Mouse, rate),
    VMSTATE_U8(Ps2Mouse, resolution),
    VMSTATE_BOOL(Ps2Mouse, reporting),
    VMSTATE_BOOL(Ps2Mouse, remote),
    VMSTATE_BOOL(Ps2Mouse, double_scale),
    VMSTATE_BOOL(Ps2Mouse, wrap),
    VMSTATE_U8(Ps2Mouse, buttons),
    VMSTATE_U8(Ps2Mouse, reported),
    VMSTATE_I64(Ps2Mouse, dx),
    VMSTATE_I64(Ps2Mouse, dy),
    VMSTATE_I64(Ps2Mouse, dz),
    VMSTATE_END
};

const VMStateDesc ps2_mouse_vmstate = {
    .name = "ps2-mouse",
    .version = 1,
    .min_version = 1,
    .fields = ps2_mouse_fields,
    .post_load = ps2_mouse_post_load,
};
