// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/reasons.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
#define X(id, name, text) {name, text},
	IKE_REASONS(X)
#undef X
};

const char *ike_reason_name(enum ike_reason r)
{
	return r < IKE_REASON_COUNT ? reasons[r].name : NULL;
}

const char *ike_reason_text(enum ike_reason r)
{
	return r < IKE_REASON_COUNT ? reasons[r].text : NULL;
}
