// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/drops.h"

const char *const dp_drop_name[DP_DROP_COUNT] = {
#define X(name, text) "dp_drop_" #name,
	DP_DROPS(X)
#undef X
};

const char *const dp_drop_text[DP_DROP_COUNT] = {
#define X(name, text) text,
	DP_DROPS(X)
#undef X
};
