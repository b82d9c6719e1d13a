/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of others for a person's terminal: names in image files, of guests, of machines
 * that one does not trust.  What a terminal would act on is shown as what it is: control
 * characters, those of ISO 6429 too (U+0080 to U+009F, of which U+009B begins commands),
 * as \u001B; bytes that are not UTF-8 as \x9B.  Any thread.
 */
#pragma once

#include "berth/base.h"

/* Characters of @keep, which are control characters of ASCII, stay what they are. */
void printable_append(GString *out, const char *text, size_t size, const char *keep);

/* The whole of @text, with no control character; the caller frees. */
char *printable_text(const char *text);
