// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the parsers of requests share. Private to the management socket.
#pragma once

#include "app/mgmt_internal.h"

#include <jansson.h>

// -EINVAL, and the text in why[cap].
int mgmt_refuse(char *why, size_t cap, const char *text);

// Each: the request into c. 0, or -EINVAL and a sentence in why[cap].
MUST_USE int mgmt_parse_leases(const json_t *j, struct mgmt_call *c, char *why, size_t cap);
MUST_USE int mgmt_parse_clear_lease(const json_t *j, struct mgmt_call *c, char *why, size_t cap);
MUST_USE int mgmt_parse_import(const json_t *j, struct mgmt_call *c, char *why, size_t cap);
