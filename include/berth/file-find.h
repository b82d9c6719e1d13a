/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that packages install, found by name.  Thread: any that may block.
 */
#pragma once

#include "berth/base.h"

/*
 * Where the file @name of an operator is: @name itself when there is such a file, else,
 * unless it has a '/', in the first of @folders (NULL at the end) that has it.  The
 * caller frees it; NULL when there is none.
 */
char *file_find(const char *name, const char *const *folders);

/*
 * The same for a file that nobody named: in @folders alone, so that the directory that
 * berth is started in decides nothing.
 */
char *file_find_installed(const char *name, const char *const *folders);
