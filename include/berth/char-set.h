/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The character devices of a process: how they are made, changed, found and removed.
 * What a user does with one is in char.h.  Main only.
 */
#pragma once

#include "berth/char.h"

/* What a person at a mux wants of the whole process. */
typedef enum CharMuxCommand {
    CHAR_MUX_QUIT,
    CHAR_MUX_SAVE,              /* of disks with -snapshot, to their files */
} CharMuxCommand;

/* A command of CharMuxCommand; returns a line that says why not, or NULL. */
typedef const char *CharMuxFn(void *opaque, CharMuxCommand command);
/* Puts a monitor for people on @chr ("mon:"); false with @error. */
typedef bool CharMonitorFn(void *opaque, Chardev *chr, GError **error);
/* Opens @path with the open(2) @flags; the descriptor, or -1 with @error. */
typedef int CharOpenFn(void *opaque, const char *path, int flags, GError **error);
/* The descriptor that a client named @name, now the caller's; -1 with @error. */
typedef int CharNamedFdFn(void *opaque, const char *name, GError **error);

/*
 * The process ignores SIGPIPE from now on: a reader that goes away is an error of
 * write.
 */
CharSet *char_set_new(Loop *loop);
/* Closes and frees all chardevs; their users are gone before.  Accepts NULL. */
void char_set_free(CharSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CharSet, char_set_free)

/* How files are opened; by default, open(2) with close-on-exec. */
void char_set_open_hook(CharSet *set, CharOpenFn *fn, void *opaque);
/*
 * Who knows names in "fd="; by default, and again with NULL, there are only numbers: that
 * of a descriptor of the process, which the chardev takes.
 */
void char_set_named_fd_hook(CharSet *set, CharNamedFdFn *fn, void *opaque);
/* Who does what a person at a mux asks for; by default, nobody. */
void char_set_mux_hook(CharSet *set, CharMuxFn *fn, void *opaque);
/* Who makes monitors for people; by default "mon:" is refused. */
void char_set_monitor_hook(CharSet *set, CharMonitorFn *fn, void *opaque);
/* The byte that a mux's commands begin with (Ctrl-A, 1, at the start). */
void char_set_escape(CharSet *set, uint8_t escape);
/*
 * While char_add() waits for a client or a server, it gives up with an error when @fd
 * (lent) polls readable; -1, the start value, for never.
 */
void char_set_stop_fd(CharSet *set, int fd);
/*
 * After SIGCONT: the terminal of stdio gets its mode back, which a shell may have
 * changed.
 */
void char_set_continued(CharSet *set);
/*
 * The terminal of stdio gets the mode back that it had before: for a signal handler that
 * ends the process.
 */
void char_set_restore_terminal(void);
/*
 * Sends what waits in all chardevs, for which it blocks until @deadline_ns of
 * loop_clock_ns(): for the end of the process.
 */
void char_set_flush(CharSet *set, int64_t deadline_ns);

/*
 * Opens a chardev from typed options.  A server with wait=on blocks until its client
 * came, a client without reconnect until it is connected.  The error names the option.
 */
Chardev *char_add(CharSet *set, const char *id, const ChardevBackend *backend,
                  GError **error);
/*
 * The same while the machine is there: nothing waits.  @added is called when it is known
 * how it ended, now or later, with the chardev or with @error, which it takes.  Names of
 * hosts are not looked up.
 */
typedef void CharAddedFn(void *opaque, Chardev *chr, GError *error);
void char_add_later(CharSet *set, const char *id, const ChardevBackend *backend,
                    CharAddedFn *added, void *opaque);
/*
 * The same in place of the one @id, whose user, if it has one, must allow that
 * (CharUser.moved).  A failure leaves the old one as it is.
 */
void char_change_later(CharSet *set, const char *id, const ChardevBackend *backend,
                       CharAddedFn *added, void *opaque);
/* Ends what char_add_later() and char_change_later() began, with an error. */
void char_set_cancel(CharSet *set);
/*
 * The pairs of the command line with "nowait" and the like, which are older than
 * "wait=off", in new words.  The caller's.
 */
JsonValue *char_options_modernise(const JsonValue *pairs);
/* The backend that options of the command line mean, but for mux=on; the caller's. */
ChardevBackend *char_options_backend(const ChardevOptions *options, GError **error);
/* char_add() of that; mux=on makes two. */
Chardev *char_options_add(CharSet *set, const ChardevOptions *options, GError **error);
/*
 * From command-line text as in -serial and -qmp: "null", "stdio", "pty[:LINK]",
 * "file:PATH", "pipe:PATH", "unix:PATH[,server][,nowait]...", "tcp:HOST:PORT..." and
 * "telnet:HOST:PORT..." with the options of ChardevSocketOptions,
 * "udp:[HOST]:PORT[@[HOST]:PORT]", "/dev/TTY", or "chardev:ID", which is the one that is
 * there already.  "mon:" before any other makes a mux with a monitor on it.
 */
Chardev *char_add_from_text(CharSet *set, const char *id, const char *text,
                            GError **error);
/* What such a text, but for "chardev:", says; the caller's.  Nothing is opened. */
ChardevOptions *char_text_parse(const char *id, const char *text, GError **error);
/*
 * Refused while it has a user or clients.  One that is still being added is not; its
 * adding ends with an error.
 */
bool char_remove(CharSet *set, const char *id, GError **error);
/* Whether there are connections that may be stuck: not of NULL. */
bool char_can_yank(const Chardev *chr);
/* Ends them, and attempts to connect; the loop sees the end of each. */
void char_yank(Chardev *chr);
bool char_is_ringbuf(const Chardev *chr);
/*
 * Takes the oldest bytes out of a ringbuf, @size at most; with @whole_characters, of a
 * UTF-8 character that is not there as a whole, none.  The caller frees.
 */
GByteArray *char_ringbuf_read(Chardev *chr, size_t size, bool whole_characters);
/* What is at the far end, in QEMU's spellings ("pty:/dev/pts/3"); the caller frees. */
char *char_filename(const Chardev *chr);
/* What query-chardev tells; the caller frees by the generated function. */
ChardevInfoList *char_set_query(CharSet *set);
