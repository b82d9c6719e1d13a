/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of the operator, read whole.  Thread: any that may block.
 */
#pragma once

#include "berth/base.h"

/*
 * The bytes of regular file @path, of which there are @max at most, followed by a NUL
 * that is not counted; the caller frees them.  NULL with @error that names the file.
 */
uint8_t *file_read(const char *path, size_t max, size_t *ret_size, GError **error);
