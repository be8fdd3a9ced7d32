// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/nat.h"

#include <openssl/evp.h>

// SHA-1(SPIi | SPIr | address | port)
static bool nat_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *ep,
	uint8_t out[static IKEV2_NAT_HASH_LEN])
{
	uint8_t in[8 + 8 + 16 + 2];
	struct wr w = wr_of(in, sizeof(in));
	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	wr_bytes(&w, ep->addr.bytes, ip_len(ep->addr.family));
	wr_u16(&w, ep->port);
	return EVP_Digest(in, w.len, out, NULL, EVP_sha1(), NULL) == 1;
}

bool ikev2_nat_put(struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path)
{
	uint8_t source[IKEV2_NAT_HASH_LEN], destination[IKEV2_NAT_HASH_LEN];
	if (!nat_hash(x->sa->spi_i, spi_r, &path->local, source) ||
		!nat_hash(x->sa->spi_i, spi_r, &path->remote, destination))
		return false;
	wire_put_notify(&x->out.b, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP,
		(struct view){source, sizeof(source)});
	wire_put_notify(&x->out.b, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP,
		(struct view){destination, sizeof(destination)});
	return true;
}

// "there" is true if the peer sent the notify at all, *match if one has the hash: a peer may not
// know its source and send several.
static bool nat_compare(const struct ike_message *m, uint16_t type,
	const uint8_t want[static IKEV2_NAT_HASH_LEN], bool *match)
{
	bool there = false;
	*match = false;
	for (uint8_t i = 0; i < m->notify_count; i++) {
		const struct wire_notify *n = &m->notifies[i];
		if (n->type != type)
			continue;
		there = true;
		*match |= n->data.len == IKEV2_NAT_HASH_LEN &&
			  memcmp(n->data.p, want, IKEV2_NAT_HASH_LEN) == 0;
	}
	return there;
}

struct ikev2_nat ikev2_nat_read(
	const struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path)
{
	uint8_t theirs[IKEV2_NAT_HASH_LEN], ours[IKEV2_NAT_HASH_LEN];
	struct ikev2_nat nat = {0};
	bool match;
	if (!nat_hash(x->sa->spi_i, spi_r, &path->remote, theirs) ||
		!nat_hash(x->sa->spi_i, spi_r, &path->local, ours))
		return nat;
	nat.source = nat_compare(&x->in, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP, theirs, &match);
	nat.remote = nat.source && !match;
	nat.destination =
		nat_compare(&x->in, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP, ours, &match);
	nat.local = nat.destination && !match;
	return nat;
}

void ikev2_nat_detect(struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path)
{
	struct ikev2_nat nat = ikev2_nat_read(x, spi_r, path);
	if (nat.source)
		x->sa->nat_remote = nat.remote;
	if (nat.destination)
		x->sa->nat_local = nat.local;
}
