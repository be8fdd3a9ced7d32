// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which sanitizer this is built with, as gcc and clang say it in different ways; and what it must be told.
#pragma once

#include <stddef.h>

#ifdef __has_feature
#define SANITIZER(feature) __has_feature(feature)
#else
#define SANITIZER(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZER(address_sanitizer)
#define WITH_ASAN 1
#include <sanitizer/lsan_interface.h>
#else
#define WITH_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZER(thread_sanitizer)
#define WITH_TSAN 1
#else
#define WITH_TSAN 0
#endif

// Pages of mmap() that hold pointers to what malloc() gave: the leak check does not look into them by itself.
static inline void pages_hold_pointers(const void *p, size_t bytes)
{
#if WITH_ASAN
	__lsan_register_root_region(p, bytes);
#else
	(void)p;
	(void)bytes;
#endif
}

static inline void pages_hold_none(const void *p, size_t bytes)
{
#if WITH_ASAN
	__lsan_unregister_root_region(p, bytes);
#else
	(void)p;
	(void)bytes;
#endif
}
