/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process gives up when everything is open: the files outside a folder, and
 * root's rights.  Main only.
 */
#pragma once

#include "berth/base.h"

#include <sys/types.h>

typedef struct Privileges {
    const char *folder;         /* lent; NULL: the root stays as it is */
    bool has_user;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int n_groups;
} Privileges;

/*
 * Looks up @user ("NAME" or "UID:GID"; NULL: stay who we are).  False with @error when
 * there is no such user.
 */
bool privileges_init(Privileges *privileges, const char *folder, const char *user,
                     GError **error);
void privileges_done(Privileges *privileges);

/* Enters the folder, then becomes the user; there is no way back. */
bool privileges_drop(const Privileges *privileges, GError **error);
