/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of this process but those that are ending: one that was joined is in /proc
 * for a moment still.
 */
#pragma once

unsigned kit_count_tasks(void);
