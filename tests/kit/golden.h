/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden files: with BERTH_UPDATE_GOLDEN in the environment a test writes them, without
 * it compares with them.
 */
#pragma once

#include "berth/base.h"

bool golden_is_written(void);

/* @path is from the top of the tree. */
void golden_check(const char *path, const void *data, size_t size);

/*
 * Of a text that a tool made, whose version is in the first line: with a golden text of
 * another version it is not compared.
 */
void golden_check_versioned(const char *path, const char *text);
