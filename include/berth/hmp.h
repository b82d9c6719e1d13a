/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor for people: commands in words, answers as text.  A thin layer over QMP:
 * what a command does, a QMP handler does; its words and its help stand in the schema
 * (qmp/schema/hmp.json).
 *
 * Spoken on a chardev by a person or a program that knows QEMU's prompt, and a command
 * at a time by human-monitor-command.  Main only.
 */
#pragma once

#include "berth/monitor.h"

/* A command that is being executed. */
typedef struct HmpCall HmpCall;

extern const MonitorLanguage hmp_language;
