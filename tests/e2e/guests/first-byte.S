/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one byte to the first serial port, asks to be ended, and halts. */
#include "pvh.inc"

    .globl start
start:
    put $'B'
    debug_exit $0
    halt
