// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/wire/ikev1.h"

#define CASE(n, name) \
	case n:       \
		return #name;

#define NAME_FUNCTION(function, LIST)     \
	const char *function(unsigned n)  \
	{                                 \
		switch (n) {              \
			LIST(CASE)        \
		default:                  \
			return "unknown"; \
		}                         \
	}

NAME_FUNCTION(ikev1_exchange_name, IKEV1_EXCHANGES)
NAME_FUNCTION(ikev1_payload_name, IKEV1_PAYLOADS)
NAME_FUNCTION(ikev1_auth_name, IKEV1_AUTHS)
NAME_FUNCTION(ikev1_notify_name, IKEV1_NOTIFIES)
NAME_FUNCTION(ikev1_cfg_attribute_name, IKEV1_CFG_ATTRIBUTES)
