/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serial port of the host, or any other terminal: raw, 8 bits, no flow control, as fast
 * as the guest's port says.  Breaks go both ways: PARMRK makes the terminal mark one that
 * comes in as ff 00 00, and a byte ff as ff ff.  When the terminal goes away (a USB
 * adapter that is unplugged), that is the end of the chardev.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "berth/error.h"

#include "char-private.h"

/* What is before the guest says something. */
#define DEFAULT_SPEED 115200

typedef struct CharSerial {
    Chardev chr;
    int fd;
    struct termios before;      /* put back at the end */
    bool has_before;
    uint8_t n_marked;           /* bytes of a mark that have come: 0, 1 or 2 */
} CharSerial;

static CharSerial *to_serial(Chardev *chr)
{
    return CONTAINER_OF(chr, CharSerial, chr);
}

/* The fastest that is not faster; the kernel knows no others by the portable way. */
static speed_t speed_code(uint32_t speed)
{
    static const struct {
        uint32_t speed;
        speed_t code;
    } speeds[] = {
        { 50, B50 },         { 75, B75 },         { 110, B110 },       { 134, B134 },
        { 150, B150 },       { 200, B200 },       { 300, B300 },       { 600, B600 },
        { 1200, B1200 },     { 1800, B1800 },     { 2400, B2400 },     { 4800, B4800 },
        { 9600, B9600 },     { 19200, B19200 },   { 38400, B38400 },   { 57600, B57600 },
        { 115200, B115200 },
    };
    speed_t code = B50;

    for (size_t i = 0; i < G_N_ELEMENTS(speeds); i++) {
        if (speeds[i].speed <= speed)
            code = speeds[i].code;
    }
    return code;
}

static bool set_line(int fd, const CharLine *line)
{
    static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
    struct termios mode;

    if (tcgetattr(fd, &mode) < 0)
        return false;
    cfmakeraw(&mode);
    mode.c_iflag |= PARMRK;
    mode.c_cflag &= ~(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS);
    mode.c_cflag |= CLOCAL | CREAD | sizes[line->n_bits - 5];
    if (line->parity != CHAR_PARITY_NONE)
        mode.c_cflag |= PARENB;
    if (line->parity == CHAR_PARITY_ODD)
        mode.c_cflag |= PARODD;
    if (line->n_stop_bits > 1)
        mode.c_cflag |= CSTOPB;
    cfsetspeed(&mode, speed_code(line->speed));
    return tcsetattr(fd, TCSANOW, &mode) == 0;
}

static void serial_set_line(Chardev *chr, const CharLine *line)
{
    set_line(to_serial(chr)->fd, line);
}

static void serial_set_break(Chardev *chr, bool on)
{
    ioctl(to_serial(chr)->fd, on ? TIOCSBRK : TIOCCBRK);
}

static bool serial_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    const char *path = backend->u.serial.data->device;
    const CharLine line = { .speed = DEFAULT_SPEED, .n_bits = 8, .n_stop_bits = 1 };
    CharSerial *serial = to_serial(chr);

    serial->fd = char_open_file(chr->set, path, O_RDWR | O_NONBLOCK | O_NOCTTY, error);
    if (serial->fd < 0)
        return false;
    if (tcgetattr(serial->fd, &serial->before) < 0) {
        error_set(error, "'%s' is no serial port and no other terminal", path);
        return false;
    }
    serial->has_before = true;
    if (!set_line(serial->fd, &line)) {
        error_set_errno(error, errno, "cannot set the mode of '%s'", path);
        return false;
    }
    char_stream_open(chr, serial->fd, serial->fd);
    return true;
}

static void serial_close(Chardev *chr)
{
    CharSerial *serial = to_serial(chr);

    char_stream_close(chr);
    if (serial->has_before)
        tcsetattr(serial->fd, TCSANOW, &serial->before);
    base_close_fd(&serial->fd);
}

/* The byte after @serial->n_marked bytes of a mark; returns whether it is data. */
static bool take_byte(CharSerial *serial, uint8_t byte, bool *ret_break)
{
    switch (serial->n_marked) {
    case 0:
        serial->n_marked = byte == 0xff;
        return byte != 0xff;
    case 1:
        serial->n_marked = byte == 0 ? 2 : 0;
        return byte != 0;
    }
    /* A byte with an error of parity counts as it is; zero is a break. */
    serial->n_marked = 0;
    *ret_break = byte == 0;
    return byte != 0;
}

static void serial_deliver(Chardev *chr, uint8_t *data, size_t size)
{
    CharSerial *serial = to_serial(chr);
    size_t kept = 0;

    for (size_t at = 0; at < size && chr->user; at++) {
        bool is_break = false;
        uint8_t byte = data[at];

        if (take_byte(serial, byte, &is_break))
            data[kept++] = byte;
        if (kept > 0 && (is_break || at + 1 == size)) {
            chr->user->read(chr->opaque, data, kept);
            kept = 0;
        }
        if (is_break)
            char_send_event(chr, CHAR_EVENT_BREAK);
    }
}

const CharClass char_serial_class = {
    .name = "serial",
    .instance_size = sizeof(CharSerial),
    .open = serial_open,
    .close = serial_close,
    .hangup = char_stream_close,
    .deliver = serial_deliver,
    .set_line = serial_set_line,
    .set_break = serial_set_break,
};
