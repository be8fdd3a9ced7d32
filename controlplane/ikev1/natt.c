// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// NAT traversal in phase 1: RFC 3947 and its drafts 00 to 03.
#include "controlplane/ikev1/phase1.h"

enum ikev1_natt ikev1_natt_best(uint32_t vendors, enum ikev1_vendor *vid)
{
	static const struct {
		enum ikev1_vendor vid;
		enum ikev1_natt natt;
	} variants[] = {
		{IKEV1_VID_NATT_RFC3947, IKEV1_NATT_RFC3947},
		{IKEV1_VID_NATT_03, IKEV1_NATT_DRAFT_02},
		{IKEV1_VID_NATT_02N, IKEV1_NATT_DRAFT_02},
		{IKEV1_VID_NATT_02, IKEV1_NATT_DRAFT_02},
		{IKEV1_VID_NATT_01, IKEV1_NATT_DRAFT_00},
		{IKEV1_VID_NATT_00, IKEV1_NATT_DRAFT_00},
	};
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (vendors & 1u << variants[i].vid) {
			*vid = variants[i].vid;
			return variants[i].natt;
		}
	*vid = IKEV1_VID_UNKNOWN;
	return IKEV1_NATT_NONE;
}

static struct ike_datagram path_of(const struct ike_exchange *x)
{
	return x->initiator ? ike_sa_path(x->sa) : x->from;
}

static struct view hash_of(
	const struct ike_sa *sa, const struct endpoint *ep, uint8_t buf[static IKEV1_HASH_MAX])
{
	return (struct view){buf, ikev1_natd_hash(sa->suite.prf, sa->spi_i, sa->spi_r, ep, buf)};
}

// RFC 3947 3.2: "The first NAT-D payload contains the remote end's IP address and port", the others
// the sender's own.
void ikev1_natt_put(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_datagram path = path_of(x);
	uint8_t buf[IKEV1_HASH_MAX];
	bool draft = sa->v1->natt != IKEV1_NATT_RFC3947;
	if (sa->v1->natt == IKEV1_NATT_NONE)
		return;
	ikev1_put_natd(&x->out.b, draft, hash_of(sa, &path.remote, buf));
	ikev1_put_natd(&x->out.b, draft, hash_of(sa, &path.local, buf));
}

// Who has moved to port 4500 with its last message may still have hashed port 500.
static bool is_hash_of(const struct ike_sa *sa, const struct endpoint *ep, struct view natd)
{
	struct endpoint before = *ep;
	uint8_t buf[IKEV1_HASH_MAX];
	struct view now = hash_of(sa, ep, buf);
	if (now.len && now.len == natd.len && memcmp(now.p, natd.p, now.len) == 0)
		return true;
	before.port = IKE_PORT;
	return ep->port == IKE_NAT_T_PORT && is_hash_of(sa, &before, natd);
}

void ikev1_natt_detect(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const struct ikev1_message *m = &x->in1;
	uint8_t n = m->natd_count < IKEV1_NATD_MAX ? m->natd_count : IKEV1_NATD_MAX;
	bool match = false;
	if (sa->v1->natt == IKEV1_NATT_NONE)
		return;
	if (n < 2) {
		// Only a NAT makes a peer change ports.
		sa->nat_remote |= x->from.local.port == IKE_NAT_T_PORT;
		return;
	}
	// A peer with several addresses sends one for each.
	for (uint8_t i = 1; i < n; i++)
		match |= is_hash_of(sa, &x->from.remote, m->natd[i]);
	sa->nat_local = !is_hash_of(sa, &x->from.local, m->natd[0]);
	sa->nat_remote = !match;
}

// RFC 3947 4: the initiator "MUST set both UDP source and destination ports to 4500". Drafts 00 and
// 01 stay on port 500.
void ikev1_natt_float(struct ike_exchange *x, void *unused)
{
	struct ike_sa *sa = x->sa;
	bool moves = sa->v1->natt == IKEV1_NATT_RFC3947 || sa->v1->natt == IKEV1_NATT_DRAFT_02;
	if (!moves || !(sa->nat_local || sa->nat_remote) || sa->local.port != IKE_PORT)
		return;
	sa->local.port = IKE_NAT_T_PORT;
	sa->remote.port = IKE_NAT_T_PORT;
	sa->floated = true;
}
