// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Identities: configured text, ID payload bodies, patterns.
#include "controlplane/session.h"

#include <errno.h>

static bool id_set(struct ike_id *out, const struct wire_id *id)
{
	struct wr w = wr_of(out->body, sizeof(out->body));
	wire_id_body(&w, id);
	out->len = w.overflow ? 0 : w.len;
	return out->len > 0;
}

int ike_id_from_text(const char *text, struct ike_id *out)
{
	uint8_t store[WIRE_ID_MAX];
	struct wire_id id;
	int rc = wire_id_from_text(text, store, sizeof(store), &id);
	if (rc == 0)
		return id_set(out, &id) ? 0 : -EINVAL;
	if (rc != -ENOTSUP)
		return -EINVAL;
	struct secret der SECRET_CLEANUP = {NULL, 0};
	if (ike_dn_from_text(text, &der) != IKE_CRYPTO_OK)
		return -EINVAL;
	id = (struct wire_id){IKEV2_ID_DER_ASN1_DN, secret_view(&der)};
	return id_set(out, &id) ? 0 : -EINVAL;
}

const char *ike_id_text(struct view body, char buf[static IKE_ID_TEXT_MAX])
{
	struct wire_id id;
	buf[0] = '\0';
	if (wire_id_parse(body, &id) != WIRE_OK)
		return buf;
	_Static_assert(IKE_ID_TEXT_MAX >= IKE_DN_TEXT_MAX, "a DN's text fits");
	if (id.type == IKEV2_ID_DER_ASN1_DN && ike_dn_text(id.data, buf))
		return buf;
	return wire_id_text(&id, buf, IKE_ID_TEXT_MAX);
}

// A name without a type of its own (a group's name sent as KEY_ID) is its bytes.
static bool key_id_fits(const char *pattern, const struct wire_id *id)
{
	size_t len = strlen(pattern);
	return id->type == IKEV2_ID_KEY_ID && id->data.len == len &&
	       memcmp(id->data.p, pattern, len) == 0;
}

static bool dn_fits(const char *pattern, const struct wire_id *id)
{
	struct secret der SECRET_CLEANUP = {NULL, 0};
	return id->type == IKEV2_ID_DER_ASN1_DN && strchr(pattern, '=') &&
	       ike_dn_from_text(pattern, &der) == IKE_CRYPTO_OK &&
	       ike_dn_equal(secret_view(&der), id->data);
}

int ike_id_fit(const char *pattern, struct view body)
{
	struct wire_id id;
	struct ip_prefix prefix;
	if (wire_id_parse(body, &id) != WIRE_OK)
		return 0;
	if (strcmp(pattern, "*") == 0)
		return 1;
	if (wire_id_match(pattern, &id)) {
		bool range = ip_prefix_parse(pattern, false, &prefix) == 0 &&
			     prefix.bits < ip_bits(prefix.addr.family);
		return pattern[0] == '*' || range ? 2 : 3;
	}
	return key_id_fits(pattern, &id) || dn_fits(pattern, &id) ? 3 : 0;
}

// Where the part begins that is compared without case.
static size_t caseless_from(const struct wire_id *id)
{
	const uint8_t *at = NULL;
	if (id->type == IKEV2_ID_FQDN)
		return 0;
	if (id->type == IKEV2_ID_RFC822_ADDR)
		at = memrchr(id->data.p, '@', id->data.len);
	return at ? (size_t)(at - id->data.p) : id->data.len;
}

uint64_t ike_id_hash(const uint8_t key[static 16], struct view body)
{
	uint8_t bytes[WIRE_ID_MAX];
	struct wire_id id;
	if (wire_id_parse(body, &id) != WIRE_OK || id.data.len > sizeof(bytes))
		return siphash(key, body.p, body.len);
	if (id.type == IKEV2_ID_DER_ASN1_DN) {
		uint64_t canonical = ike_dn_hash(id.data);
		return siphash(key, &canonical, sizeof(canonical));
	}
	memcpy(bytes, id.data.p, id.data.len);
	for (size_t i = caseless_from(&id); i < id.data.len; i++)
		if (bytes[i] >= 'A' && bytes[i] <= 'Z')
			bytes[i] = (uint8_t)(bytes[i] + 32);
	return siphash(key, bytes, id.data.len);
}
