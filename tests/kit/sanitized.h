/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SANITIZED: whether a sanitizer of gcc or clang is in the program, which has its own
 * memory, threads, signals and system calls, and takes its time.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
