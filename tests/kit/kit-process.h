/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process has open, and runs.
 */
#pragma once

/* Descriptors, and always as many entries more; for comparisons. */
unsigned kit_count_fds(void);
/*
 * Threads but those that are ending: one that was joined is in /proc for a moment still.
 */
unsigned kit_count_tasks(void);
