// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A whole IKEv1 datagram, or a decrypted chain with its padding: header, chain, rules.
#include "controlplane/wire/ikev1.h"
#include "tests/fuzz/fuzz.h"

static void check_inside(struct view v, struct view whole)
{
	if (v.p)
		CHECK(v.p >= whole.p && v.p + v.len <= whole.p + whole.len);
}

static void check_kept(const struct ikev1_message *m, struct view bytes)
{
	const struct view *single[] = {
		&m->sa, &m->ke, &m->nonce, &m->hash, &m->sig, &m->attributes, &m->fragment};
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		check_inside(*single[i], bytes);
	for (uint8_t i = 0; i < m->id_count; i++)
		check_inside(m->ids[i], bytes);
	for (uint8_t i = 0; i < m->natd_count; i++)
		check_inside(m->natd[i], bytes);
	for (uint8_t i = 0; i < m->vendor_count; i++)
		(void)ikev1_vendor_of(m->vendors[i]);
	for (uint8_t i = 0; i < m->notify_count; i++)
		CHECK(ikev1_notify_find(m, m->notifies[i].type) != NULL);
	for (uint8_t i = 0; i < m->delete_count; i++)
		for (unsigned j = 0; j <= m->deletes[i].count && j < 100; j++)
			(void)ikev1_delete_spi(&m->deletes[i], (uint16_t)j);
}

static void check_form(const struct ikev1_message *m, enum ikev1_form form)
{
	uint8_t culprit = 99;
	if (ikev1_rules_check(m, form, &culprit) != WIRE_OK)
		return;
	CHECK(culprit == 0);
	if (form >= IKEV1_FORM_QUICK_1 && form <= IKEV1_FORM_INFORMATIONAL)
		CHECK(m->after_hash >= IKE_PAYLOAD_HDR && m->after_hash <= m->end);
	if (form == IKEV1_FORM_QUICK_1)
		CHECK(m->sa.p && m->nonce.p && m->id_count != 1);
	if (form == IKEV1_FORM_TRANSACTION)
		CHECK(m->attributes.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ikev1_message m;
	struct ike_header h;
	if (wire_header_parse((struct view){data, size}, &h) != WIRE_OK || h.major != IKE_MAJOR_1)
		return 0;
	CHECK(h.length >= IKE_HEADER_LEN && h.length <= size && h.spi_i != 0);
	struct view rest = {data + IKE_HEADER_LEN, h.length - IKE_HEADER_LEN};
	enum wire_error e = ikev1_message_parse(rest, h.next_payload, &m);
	CHECK((e == WIRE_OK) == (m.culprit == 0));
	CHECK(m.end <= rest.len && m.after_hash <= m.end);
	check_kept(&m, rest);
	for (int form = 0; e == WIRE_OK && form <= IKEV1_FORM_CLEAR; form++)
		check_form(&m, (enum ikev1_form)form);
	return 0;
}
