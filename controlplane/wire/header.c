// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/wire/ikev1_numbers.h"
#include "controlplane/wire/wire.h"

#define CASE(n, name) case n:

static bool known_exchange(uint8_t exchange)
{
	switch (exchange) {
		IKEV2_EXCHANGES(CASE)
		return true;
	default:
		return false;
	}
}

static bool known_exchange_v1(uint8_t exchange)
{
	switch (exchange) {
		IKEV1_EXCHANGES(CASE)
		return true;
	default:
		return false;
	}
}

// RFC 7296 3.1: "Initiator's SPI ... MUST NOT be zero"; "Responder's SPI ... MUST be zero in the
// first message of an IKE initial exchange (including repeats of that message including a cookie)".
// An answer to that may still have zero there (2.6).
static bool spis_fit(const struct ike_header *h)
{
	if (h->spi_i == 0)
		return false;
	if (h->exchange != IKEV2_EXCHANGE_IKE_SA_INIT)
		return h->spi_r != 0;
	return ike_header_response(h) || h->spi_r == 0;
}

enum wire_error wire_header_parse(struct view datagram, struct ike_header *out)
{
	struct rd r = rd_view(datagram);
	struct ike_header h;
	uint8_t version;
	if (!rd_u64(&r, &h.spi_i) || !rd_u64(&r, &h.spi_r) || !rd_u8(&r, &h.next_payload) ||
		!rd_u8(&r, &version) || !rd_u8(&r, &h.exchange) || !rd_u8(&r, &h.flags) ||
		!rd_u32(&r, &h.message_id) || !rd_u32(&r, &h.length))
		return WIRE_SHORT_HEADER;
	h.major = version >> 4;
	h.minor = version & 15;
	*out = h;
	// Some IKEv1 peers (old Cisco clients) send bytes behind the message: the caller cuts them off.
	bool longer = h.major == IKE_MAJOR_1 && h.length >= IKE_HEADER_LEN;
	if (h.length != datagram.len && !(longer && h.length < datagram.len))
		return WIRE_BAD_LENGTH;
	if (h.major != IKE_MAJOR_1 && h.major != IKE_MAJOR_2)
		return WIRE_BAD_MAJOR;
	bool v1 = h.major == IKE_MAJOR_1;
	if (!(v1 ? known_exchange_v1(h.exchange) : known_exchange(h.exchange)))
		return WIRE_BAD_EXCHANGE;
	// Which IKEv1 message comes first its header does not say: the responder's cookie may be zero
	// in each.
	return (v1 ? h.spi_i != 0 : spis_fit(&h)) ? WIRE_OK : WIRE_BAD_SPI;
}

void wire_header_build(struct wr *w, const struct ike_header *h)
{
	wr_u64(w, h->spi_i);
	wr_u64(w, h->spi_r);
	wr_u8(w, h->next_payload);
	wr_u8(w, (uint8_t)(h->major << 4 | h->minor));
	wr_u8(w, h->exchange);
	wr_u8(w, h->flags);
	wr_u32(w, h->message_id);
	wr_u32(w, h->length);
}
