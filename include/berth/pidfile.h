/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pid file.  Main only.
 */
#pragma once

#include "berth/base.h"

/*
 * Writes the process id and a newline to @path, which stays locked while the process
 * lives. An error when another process holds the lock.
 */
typedef struct PidFile {
    char *path;
    int fd;
} PidFile;

bool pidfile_write(PidFile *pidfile, const char *path, GError **error);
/*
 * Removes the file if it is still there and ours.  No effect on a zero-initialised one.
 */
void pidfile_done(PidFile *pidfile);
