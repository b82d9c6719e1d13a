/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of QEMU for what berth does not have.  Main only.
 */
#pragma once

/* Why @word ("-vnc") is no option, in words for its user; NULL: nothing knows it. */
const char *cmdline_absent_reason(const char *word);

/* The same of a property of machines. */
const char *cmdline_absent_of_machine(const char *property);
