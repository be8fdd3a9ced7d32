// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's pre-shared keys: main mode finds them by address, and what they prove.
#include "controlplane/index.h"

static void address_id(const struct ip_addr *a, struct ike_id *out)
{
	struct wr w = wr_of(out->body, sizeof(out->body));
	struct wire_id id = {a->family == IP_V6 ? IKEV2_ID_IPV6_ADDR : IKEV2_ID_IPV4_ADDR,
		{a->bytes, ip_len(a->family)}};
	wire_id_body(&w, &id);
	out->len = wr_done(&w).len;
}

const struct cfg_psk *ike_psk_of_address(struct ike_index *ix, const struct ip_addr *peer)
{
	struct ike_id id;
	bool bound;
	address_id(peer, &id);
	return ike_psk_find(ix, ike_id_view(&id), peer, &bound);
}

// To this very ID, or to one single address that is the ID.
static bool bound_to(const struct cfg_psk *k, struct view body)
{
	const struct ip_prefix *p = k->addresses;
	struct ike_id id;
	if (k->id && ike_id_fit(k->id, body) == 3)
		return true;
	if (k->id || k->address_count != 1 || p->bits != ip_bits(p->addr.family))
		return false;
	address_id(&p->addr, &id);
	return body.len == id.len && memcmp(body.p, id.body, id.len) == 0;
}

// A KEY_ID names the key (RFC 2407 4.6.2.12: "an opaque byte stream which may be used to pass
// vendor-specific information necessary to identify which pre-shared key should be used"): that of a
// group, whose members all have it.
bool ike_psk_proves(const struct cfg_psk *k, struct view body)
{
	struct wire_id id;
	return wire_id_parse(body, &id) == WIRE_OK && id.type != IKEV2_ID_KEY_ID &&
	       bound_to(k, body);
}

bool ike_psk_serves(
	struct ike_index *ix, const struct cfg_psk *k, struct view body, const struct ip_addr *peer)
{
	bool bound;
	const struct cfg_psk *wanted = ike_psk_find(ix, body, peer, &bound);
	struct ike_id id;
	if (wanted == k || bound_to(k, body))
		return true;
	address_id(peer, &id);
	return !bound && k->id && ike_id_fit(k->id, ike_id_view(&id)) == 3;
}
