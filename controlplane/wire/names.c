// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/wire/wire.h"

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

NAME_FUNCTION(ikev2_exchange_name, IKEV2_EXCHANGES)
NAME_FUNCTION(ikev2_payload_name, IKEV2_PAYLOADS)
NAME_FUNCTION(ikev2_protocol_name, IKEV2_PROTOCOLS)
NAME_FUNCTION(ikev2_id_type_name, IKEV2_ID_TYPES)
NAME_FUNCTION(ikev2_auth_method_name, IKEV2_AUTH_METHODS)
NAME_FUNCTION(ikev2_hash_name, IKEV2_HASHES)
NAME_FUNCTION(ikev2_cert_encoding_name, IKEV2_CERT_ENCODINGS)
NAME_FUNCTION(ikev2_cp_type_name, IKEV2_CP_TYPES)
NAME_FUNCTION(ikev2_cp_attribute_name, IKEV2_CP_ATTRIBUTES)
NAME_FUNCTION(ikev2_ts_type_name, IKEV2_TS_TYPES)
NAME_FUNCTION(ikev2_notify_name, IKEV2_NOTIFIES)

#define ROW(name, counter, notify, text) [WIRE_##name] = {#counter, text, notify},

static const struct {
	const char *counter;
	const char *text;
	uint16_t notify;
} errors[WIRE_ERROR_COUNT] = {WIRE_ERRORS(ROW)};

const char *wire_error_counter(enum wire_error e)
{
	return errors[e].counter;
}

const char *wire_error_text(enum wire_error e)
{
	return errors[e].text;
}

uint16_t wire_error_notify(enum wire_error e)
{
	return errors[e].notify;
}
