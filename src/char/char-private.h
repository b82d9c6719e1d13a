/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a chardev, for the files of src/char.
 *
 * A kind is a CharClass.  It opens descriptors, hands them to char_stream_open() when
 * the far end is there, and takes them back by char_stream_close(); what lies between
 * (reading, writing, the buffer, back-pressure) is char-stream.c and the same for all
 * kinds.
 */
#pragma once

#include "berth/char-set.h"
#include "berth/log.h"

typedef struct CharClass {
    const char *name;           /* query-chardev's filename when there is none below */
    size_t instance_size;
    /*
     * Main only.  close() is called after a failed open() too, so open() begins with
     * making every descriptor -1.
     */
    bool (*open)(Chardev *chr, const ChardevBackend *backend, GError **error);
    void (*close)(Chardev *chr);
    char *(*filename)(const Chardev *chr);
    /* The stream is open and the far end has gone. */
    void (*hangup)(Chardev *chr);
    /* In place of that, where an error of the descriptor is not its end: EPOLLERR. */
    void (*on_error)(Chardev *chr);
    /* What a far end has left is read as the user takes it: no other one waits. */
    bool reads_to_end;
    /* A far end that has gone is a client: see CharUser.drops_requests. */
    bool has_client;
    /* Back from the background; see char_set_continued(). */
    void (*continued)(Chardev *chr);
    /* In place of read(2), and of write(2) (any thread, under the lock). */
    ssize_t (*receive)(Chardev *chr, void *data, size_t size);
    bool (*has_input)(const Chardev *chr);      /* beside what the descriptor has */
    ssize_t (*send)(Chardev *chr, int fd, const void *data, size_t size);
    /* In place of user->read(), which it calls. */
    void (*deliver)(Chardev *chr, uint8_t *data, size_t size);
    /* Any thread; of a far end that is a serial port. */
    void (*set_line)(Chardev *chr, const CharLine *line);
    void (*set_break)(Chardev *chr, bool on);
    /* Ends what is stuck; the loop sees it. */
    void (*yank)(Chardev *chr);
    /* In place of the stream: any thread, and main. */
    size_t (*write)(Chardev *chr, const void *data, size_t size);
    void (*accept_input)(Chardev *chr);
    /* A mux: a front-end for one more user; it is freed by char_detach(). */
    Chardev *(*new_front)(Chardev *chr, GError **error);
    /* Of a mux, for its front-ends. */
    bool (*frontend_open)(const Chardev *chr);
    bool (*is_used)(const Chardev *chr);
    void (*send_break)(Chardev *chr);
    /* A front-end of a mux. */
    bool (*has_focus)(const Chardev *chr);
    /* See char_listen(); NULL accept ends it.  NULL: no such thing. */
    bool (*can_listen)(const Chardev *chr);
    void (*listen)(Chardev *chr, CharAcceptFn *accept, void *opaque);
    bool (*is_listener)(const Chardev *chr);
} CharClass;

struct Chardev {
    const CharClass *class;
    CharSet *set;
    Loop *loop;
    char *id;

    /* Main only. */
    ListNode node;              /* in the set, or in the listener */
    const CharUser *user;
    void *opaque;
    bool frontend_open;
    Chardev *below;             /* of a front-end: where its output goes; else NULL */
    unsigned n_calls;           /* callbacks under way */
    bool free_later;            /* when they have ended */
    CharAddedFn *added;         /* of char_add_later(); NULL: it is added at once */
    void *added_opaque;
    bool opening;               /* set by open(), which is ended by char_opened() */
    bool replaces;              /* the one with its id, when it is open */
    LoopFd in;
    LoopFd out;                 /* added only when it is another descriptor than `in` */
    LoopMessage update;
    bool pumps;                 /* `in` cannot be polled: it is read by messages */
    bool paused;                /* the user takes nothing now */
    bool ended;                 /* no more input; the buffer is still to be sent */
    bool hung_up;               /* gone, with input left that the user will read */
    int fds[CHAR_MAX_FDS];
    unsigned n_fds;

    /* Under the lock, a leaf. */
    GMutex lock;
    bool open;
    int out_fd;
    bool out_polls;             /* else write(2) never says EAGAIN */
    bool flushing;              /* the loop knows that there is something in the buffer */
    bool writer_waits;
    uint8_t *buffer;            /* a ring of CHAR_BUFFER_SIZE, NULL while empty */
    size_t begin, used;
    int log_fd;
    bool log_is_file;
    LogLimit log_limit;
};

struct CharSet {
    Loop *loop;
    int stop_fd;
    ListNode chardevs;
    ListNode opening;           /* of char_add_later(), not there yet */
    CharOpenFn *open;
    void *open_opaque;
    CharNamedFdFn *named_fd;
    void *named_fd_opaque;
    CharMuxFn *mux;
    void *mux_opaque;
    CharMonitorFn *monitor;
    void *monitor_opaque;
    uint8_t escape;
};

extern const CharClass char_null_class;
extern const CharClass char_file_class;
extern const CharClass char_stdio_class;
extern const CharClass char_pty_class;
extern const CharClass char_socket_class;
extern const CharClass char_pipe_class;
extern const CharClass char_udp_class;
extern const CharClass char_serial_class;
extern const CharClass char_ringbuf_class;
extern const CharClass char_mux_class;
extern const CharClass char_hub_class;

/* A closed chardev of @class, in no set; @id is copied. */
Chardev *char_new(CharSet *set, const CharClass *class, const char *id);
/* Closes and frees, now or when the callbacks that are under way have ended. */
void char_free(Chardev *chr);
/* Frees one that was never opened, or is closed. */
void char_release(Chardev *chr);
/* By a user, clients, or the front-ends of a mux. */
bool char_is_used(const Chardev *chr);

/* Around code that may call the user; after the last char_leave() @chr may be gone. */
void char_enter(Chardev *chr);
void char_leave(Chardev *chr);
void char_send_event(Chardev *chr, CharEvent event);

/* Whether open() may wait: there is no machine yet. */
bool char_may_wait(const Chardev *chr);
/* What char_add_later() or char_change_later() has begun. */
Chardev *char_find_opening(CharSet *set, const char *id);
/* Ends that with success or @error (taken), and tells whoever asked for it. */
void char_end_adding(Chardev *chr, GError *error);
/*
 * The end of an open() that has set `opening`, on the loop: the chardev is there, or
 * @error (taken) says why not, and it is freed.
 */
void char_opened(Chardev *chr, GError *error);

/* Opens a file by the set's hook. */
int char_open_file(CharSet *set, const char *path, int flags, GError **error);

void char_stream_init(Chardev *chr);
/*
 * The far end is there.  @in_fd is -1 for output only, @out_fd may be the same
 * descriptor; both are lent and never block.  Sends the event.
 */
void char_stream_open(Chardev *chr, int in_fd, int out_fd);
/* Drops what is buffered.  Sends the event, and writable() to a writer that waited. */
void char_stream_close(Chardev *chr);
/* No more input comes, output goes on.  Sends the event. */
void char_stream_end_input(Chardev *chr);
/* Tells the loop what the user wants; after each change of user. */
void char_stream_update(Chardev *chr);

/* Opens the copy of all output. */
bool char_log_open(Chardev *chr, const ChardevCommon *common, GError **error);
/* Under the lock. */
void char_log_write_locked(Chardev *chr, const void *data, size_t size);
