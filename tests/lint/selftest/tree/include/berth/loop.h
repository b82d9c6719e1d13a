/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
int loop_turn(uint32_t n);
