// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/dhcp_wire.h"

#define BOOT_REQUEST  1
#define BOOT_REPLY    2
#define HTYPE_ETHER   1
#define SNAME_LEN     64
#define FILE_LEN      128
#define COOKIE        0x63825363u
#define LEAST_LEN     300  // RFC 1542 section 2.1: no BOOTP message is shorter
#define ANSWER_MAX    1472 // bytes that we can take
#define ID_TYPE_DUID  255  // RFC 4361 section 6.1
#define DUID_UUID     4    // RFC 6355 section 4
#define OVERLOAD_FILE 1
#define OVERLOAD_NAME 2

// IANA, BOOTP Vendor Extensions and DHCP Options.
enum option {
	OPT_PAD = 0,
	OPT_HOST_NAME = 12,
	OPT_REQUESTED = 50,
	OPT_LEASE_TIME = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER_ID = 54,
	OPT_PARAMETERS = 55,
	OPT_MAX_SIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT_ID = 61,
	OPT_RELAY = 82,
	OPT_END = 255,
};
#define RELAY_LINK_SELECTION 5 // RFC 3527

static void put_option(struct wr *w, enum option code, const void *value, size_t len)
{
	wr_u8(w, (uint8_t)code);
	wr_u8(w, (uint8_t)len);
	wr_bytes(w, value, len);
}

static void put_option_u32(struct wr *w, enum option code, uint32_t value)
{
	if (!value)
		return;
	wr_u8(w, (uint8_t)code);
	wr_u8(w, 4);
	wr_u32(w, value);
}

static void put_header(struct wr *w, const struct dhcp_question *q)
{
	wr_u8(w, BOOT_REQUEST);
	wr_u8(w, HTYPE_ETHER);
	wr_u8(w, DHCP_CHADDR_LEN);
	wr_u8(w, 1); // RFC 1542 section 4.1.1: the relay agent has counted itself
	wr_u32(w, q->xid);
	wr_u16(w, q->secs);
	wr_u16(w, 0); // flags: answers come to the relay anyway
	wr_u32(w, q->ciaddr);
	wr_u32(w, 0);
	wr_u32(w, 0);
	wr_u32(w, q->giaddr);
	wr_bytes(w, q->chaddr, DHCP_CHADDR_LEN);
	wr_zero(w, 16 - DHCP_CHADDR_LEN + SNAME_LEN + FILE_LEN);
	wr_u32(w, COOKIE);
}

// RFC 2131 table 5: a DECLINE or RELEASE has none of these.
static void put_wishes(struct wr *w, const struct dhcp_question *q)
{
	static const uint8_t wanted[] = {OPT_LEASE_TIME, OPT_SERVER_ID, OPT_T1, OPT_T2};
	if (q->type != DHCP_DISCOVER && q->type != DHCP_REQUEST)
		return;
	put_option(w, OPT_PARAMETERS, wanted, sizeof(wanted));
	put_option(w, OPT_MAX_SIZE, (uint8_t[]){ANSWER_MAX >> 8, ANSWER_MAX & 0xff}, 2);
	if (q->host)
		put_option(w, OPT_HOST_NAME, q->host, strnlen(q->host, DHCP_HOST_MAX));
}

bool dhcp_build(const struct dhcp_question *q, struct wr *w)
{
	size_t start = wr_mark(w);
	put_header(w, q);
	put_option(w, OPT_TYPE, (uint8_t[]){(uint8_t)q->type}, 1);
	put_option(w, OPT_CLIENT_ID, q->client_id, DHCP_ID_LEN);
	put_option_u32(w, OPT_REQUESTED, q->requested);
	put_option_u32(w, OPT_SERVER_ID, q->server_id);
	put_wishes(w, q);
	if (q->link) { // RFC 3046 section 2.1: "as the last option in the DHCP options field"
		wr_u8(w, OPT_RELAY);
		wr_u8(w, 6);
		wr_u8(w, RELAY_LINK_SELECTION);
		wr_u8(w, 4);
		wr_u32(w, q->link);
	}
	wr_u8(w, OPT_END);
	size_t len = wr_mark(w) - start;
	if (len < LEAST_LEN)
		wr_zero(w, LEAST_LEN - len);
	return !w->overflow;
}

// ---- answers

#define VALUE_MAX 32 // bytes kept of an option; longer ones we have no use for

struct value {
	size_t len; // of all, kept or not
	uint8_t bytes[VALUE_MAX];
};

struct values {
	struct value lease, overload, type, server_id, t1, t2, client_id;
};

static struct value *value_of(struct values *v, uint8_t code)
{
	switch (code) {
	case OPT_LEASE_TIME:
		return &v->lease;
	case OPT_OVERLOAD:
		return &v->overload;
	case OPT_TYPE:
		return &v->type;
	case OPT_SERVER_ID:
		return &v->server_id;
	case OPT_T1:
		return &v->t1;
	case OPT_T2:
		return &v->t2;
	case OPT_CLIENT_ID:
		return &v->client_id;
	default:
		return NULL;
	}
}

// RFC 3396 section 7: what stands behind an option of the same code belongs to it.
static void append(struct value *v, struct view part)
{
	if (v->len < VALUE_MAX) {
		size_t room = VALUE_MAX - v->len;
		memcpy(v->bytes + v->len, part.p, part.len < room ? part.len : room);
	}
	v->len += part.len;
}

// RFC 2131 section 4.1: "The last option must always be the 'end' option."
static bool read_options(struct rd r, struct values *v)
{
	uint8_t code, len;
	struct view part;
	while (rd_u8(&r, &code)) {
		if (code == OPT_END)
			return true;
		if (code == OPT_PAD)
			continue;
		if (!rd_u8(&r, &len) || !rd_bytes(&r, len, &part))
			return false;
		struct value *to = value_of(v, code);
		if (to && part.len)
			append(to, part);
	}
	return false;
}

// Absent: 0.
static bool value_u32(const struct value *v, uint32_t *out)
{
	struct rd r = rd_of(v->bytes, v->len == 4 ? 4 : 0);
	*out = 0;
	return v->len == 0 || rd_u32(&r, out);
}

// Section 4.1: "If the 'options' field is overloaded", first file, then sname hold more of them.
static bool read_overloaded(struct view sname, struct view file, struct values *v)
{
	uint8_t which = v->overload.bytes[0];
	if (v->overload.len == 0)
		return true;
	if (v->overload.len != 1 || which < OVERLOAD_FILE ||
		which > (OVERLOAD_FILE | OVERLOAD_NAME))
		return false;
	return (!(which & OVERLOAD_FILE) || read_options(rd_view(file), v)) &&
	       (!(which & OVERLOAD_NAME) || read_options(rd_view(sname), v));
}

static enum dhcp_error take_values(const struct values *v, struct dhcp_answer *out)
{
	if (!value_u32(&v->lease, &out->lease_s) || !value_u32(&v->t1, &out->t1_s) ||
		!value_u32(&v->t2, &out->t2_s) || !value_u32(&v->server_id, &out->server_id))
		return DHCP_BAD_OPTIONS;
	uint8_t type = v->type.bytes[0];
	if (v->type.len != 1 || (type != DHCP_OFFER && type != DHCP_ACK && type != DHCP_NAK))
		return DHCP_BAD_TYPE;
	out->type = (enum dhcp_type)type;
	out->has_client_id = v->client_id.len > 0;
	out->same_client_id_len = v->client_id.len == DHCP_ID_LEN;
	memcpy(out->client_id, v->client_id.bytes, DHCP_ID_LEN);
	return DHCP_OK;
}

enum dhcp_error dhcp_parse(struct view message, struct dhcp_answer *out)
{
	struct rd r = rd_view(message);
	struct values v = {0};
	struct view sname, file;
	uint8_t op, htype, hlen, hops;
	uint32_t ciaddr, siaddr, flags, cookie;
	*out = (struct dhcp_answer){0};
	if (!rd_u8(&r, &op) || !rd_u8(&r, &htype) || !rd_u8(&r, &hlen) || !rd_u8(&r, &hops) ||
		!rd_u32(&r, &out->xid) || !rd_u32(&r, &flags) || !rd_u32(&r, &ciaddr) ||
		!rd_u32(&r, &out->yiaddr) || !rd_u32(&r, &siaddr) || !rd_u32(&r, &out->giaddr) ||
		!rd_copy(&r, out->chaddr, DHCP_CHADDR_LEN) || !rd_skip(&r, 16 - DHCP_CHADDR_LEN) ||
		!rd_bytes(&r, SNAME_LEN, &sname) || !rd_bytes(&r, FILE_LEN, &file) ||
		!rd_u32(&r, &cookie))
		return DHCP_BAD_LENGTH;
	if (op != BOOT_REPLY || htype != HTYPE_ETHER || hlen != DHCP_CHADDR_LEN)
		return DHCP_BAD_HEADER;
	if (cookie != COOKIE)
		return DHCP_BAD_COOKIE;
	if (!read_options(r, &v) || !read_overloaded(sname, file, &v))
		return DHCP_BAD_OPTIONS;
	return take_values(&v, out);
}

void dhcp_client_id(
	const uint8_t uuid[static DHCP_UUID_LEN], uint32_t iaid, uint8_t out[static DHCP_ID_LEN])
{
	struct wr w = wr_of(out, DHCP_ID_LEN);
	wr_u8(&w, ID_TYPE_DUID);
	wr_u32(&w, iaid);
	wr_u16(&w, DUID_UUID);
	wr_bytes(&w, uuid, DHCP_UUID_LEN);
}

static bool alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool dhcp_host_name(const char *name)
{
	size_t len = name ? strnlen(name, DHCP_HOST_MAX + 1) : 0;
	if (len == 0 || len > DHCP_HOST_MAX || !alphanumeric(name[0]) ||
		!alphanumeric(name[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alphanumeric(name[i]) && name[i] != '-')
			return false;
	return true;
}
