/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line judged option by option, without starting anything: what would be
 * honoured, honoured with a difference from QEMU, or refused, and why.
 *
 * Nothing is opened or made but what options are read from (-readconfig), so what only
 * the host or the finished machine can tell (a missing file, two devices in one place) is
 * not found here.  Main only.
 */
#pragma once

#include <stdio.h>

#include "berth/base.h"

/*
 * Writes the report of @argv to @out; a first word that is no option is the program's
 * name.  Whether nothing is refused.
 */
bool cmdline_report(int argc, char **argv, FILE *out);

/*
 * The same of the domain of libvirt that the file @path describes, by the arguments that
 * libvirt makes of it.  False with @error when there are none.
 */
bool cmdline_report_domain(const char *path, FILE *out, bool *ret_good, GError **error);
