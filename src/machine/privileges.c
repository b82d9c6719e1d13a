/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropping privileges: chroot(2), then groups, group and user, of all threads (the C
 * library tells them).
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

#include "berth/error.h"

#include "berth/privileges.h"

/* "UID:GID". */
static bool read_numbers(const char *text, uid_t *ret_uid, gid_t *ret_gid)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 3);
    guint64 uid, gid;

    /* The highest number means "none" to the kernel. */
    if (g_strv_length(parts) != 2 ||
        !g_ascii_string_to_unsigned(parts[0], 10, 0, UINT_MAX - 1, &uid, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 10, 0, UINT_MAX - 1, &gid, NULL))
        return false;
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return true;
}

/* Its groups are looked up now: in another root there may be no list of them. */
static void find_groups(Privileges *privileges, const char *user)
{
    int n = 0;

    getgrouplist(user, privileges->gid, NULL, &n);
    privileges->groups = g_new0(gid_t, (size_t)MAX(n, 1));
    privileges->n_groups = n;
    if (n == 0 || getgrouplist(user, privileges->gid, privileges->groups, &n) < 0) {
        privileges->groups[0] = privileges->gid;
        privileges->n_groups = 1;
    }
}

bool privileges_init(Privileges *privileges, const char *folder, const char *user,
                     GError **error)
{
    const struct passwd *found;

    *privileges = (Privileges) { .folder = folder, .has_user = user != NULL };
    if (!user)
        return true;
    if (read_numbers(user, &privileges->uid, &privileges->gid)) {
        privileges->groups = g_memdup2(&privileges->gid, sizeof(gid_t));
        privileges->n_groups = 1;
        return true;
    }
    found = getpwnam(user);
    if (!found) {
        error_set(error, "parameter 'user': there is no user '%s', and it is not "
                  "UID:GID", user);
        return false;
    }
    privileges->uid = found->pw_uid;
    privileges->gid = found->pw_gid;
    find_groups(privileges, user);
    return true;
}

void privileges_done(Privileges *privileges)
{
    g_clear_pointer(&privileges->groups, g_free);
}

static bool fail(GError **error, const char *what)
{
    error_set_errno(error, errno, "cannot %s", what);
    return false;
}

static bool enter_folder(const char *folder, GError **error)
{
    if (chroot(folder) == 0 && chdir("/") == 0)
        return true;
    error_set_errno(error, errno, "cannot make '%s' the root", folder);
    return false;
}

static bool become_user(const Privileges *privileges, GError **error)
{
    if (setgid(privileges->gid) < 0)
        return fail(error, "change the group");
    if (setgroups((size_t)privileges->n_groups, privileges->groups) < 0)
        return fail(error, "change the list of groups");
    if (setuid(privileges->uid) < 0)
        return fail(error, "change the user");
    if (privileges->uid != 0 && setuid(0) == 0) {
        error_set(error, "the privileges are still there after they were dropped");
        return false;
    }
    return true;
}

bool privileges_drop(const Privileges *privileges, GError **error)
{
    return (!privileges->folder || enter_folder(privileges->folder, error)) &&
           (!privileges->has_user || become_user(privileges, error));
}
