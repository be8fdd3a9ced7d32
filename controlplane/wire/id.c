// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Identities as text, and patterns upon them.
#include "controlplane/wire/wire.h"

#include <errno.h>
#include <stdio.h>

#define KEYID "keyid:"

static void put_text(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

// What is not printable, backslash and the characters of special.
static void put_escaped(struct wr *w, struct view v, const char *special)
{
	for (size_t i = 0; i < v.len; i++) {
		char hex[5];
		if (v.p[i] > ' ' && v.p[i] < 0x7f && v.p[i] != '\\' && !strchr(special, v.p[i])) {
			wr_u8(w, v.p[i]);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", v.p[i]);
		put_text(w, hex);
	}
}

static void put_hex(struct wr *w, struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		char hex[3];
		snprintf(hex, sizeof(hex), "%02x", v.p[i]);
		put_text(w, hex);
	}
}

// False where the identity is no address.
static bool id_addr(const struct wire_id *id, struct ip_addr *out)
{
	uint8_t family = id->type == IKEV2_ID_IPV4_ADDR   ? IP_V4
			 : id->type == IKEV2_ID_IPV6_ADDR ? IP_V6
							  : 0;
	if (!family || id->data.len != ip_len(family))
		return false;
	*out = ip_from_bytes(family, id->data.p);
	return true;
}

// A name that reads like an address.
static bool like_address(struct view v)
{
	char text[IP_TEXT_MAX];
	struct ip_addr addr;
	if (v.len >= sizeof(text))
		return false;
	memcpy(text, v.p, v.len);
	text[v.len] = '\0';
	return ip_parse(text, &addr) == 0;
}

static void put_fqdn(struct wr *w, struct view name)
{
	put_text(w, like_address(name) ? "@" : "");
	put_escaped(w, name, ":@");
}

static void put_mailbox(struct wr *w, struct view name)
{
	put_text(w, memchr(name.p, '@', name.len) ? "" : "mail:");
	put_escaped(w, name, ":");
}

static void put_id(struct wr *w, const struct wire_id *id)
{
	char text[IP_TEXT_MAX];
	struct ip_addr addr;
	switch (id->type) {
	case IKEV2_ID_IPV4_ADDR:
	case IKEV2_ID_IPV6_ADDR:
		put_text(w, id_addr(id, &addr) ? ip_text(&addr, text) : "?");
		return;
	case IKEV2_ID_FQDN:
		put_fqdn(w, id->data);
		return;
	case IKEV2_ID_RFC822_ADDR:
		put_mailbox(w, id->data);
		return;
	case IKEV2_ID_KEY_ID:
		put_text(w, KEYID);
		put_escaped(w, id->data, "");
		return;
	case IKEV2_ID_DER_ASN1_DN:
		put_text(w, "dn:");
		break;
	default:
		snprintf(text, sizeof(text), "type%u:", id->type);
		put_text(w, text);
	}
	put_hex(w, id->data);
}

const char *wire_id_text(const struct wire_id *id, char *buf, size_t cap)
{
	struct wr w = wr_of(buf, cap - 1);
	put_id(&w, id);
	buf[w.len] = '\0';
	return buf;
}

int wire_id_from_text(const char *text, uint8_t *store, size_t cap, struct wire_id *out)
{
	struct ip_addr addr;
	const void *bytes = text;
	size_t len = strlen(text);
	uint8_t type = IKEV2_ID_FQDN;
	if (strncmp(text, KEYID, sizeof(KEYID) - 1) == 0) {
		type = IKEV2_ID_KEY_ID;
		bytes = text + sizeof(KEYID) - 1;
		len -= sizeof(KEYID) - 1;
	} else if (ip_parse(text, &addr) == 0) {
		type = addr.family == IP_V4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR;
		bytes = addr.bytes;
		len = ip_len(addr.family);
	} else if (strchr(text, '=')) {
		return -ENOTSUP;
	} else if (text[0] == '@') {
		bytes = text + 1;
		len--;
	} else if (strchr(text, '@')) {
		type = IKEV2_ID_RFC822_ADDR;
	}
	if (len == 0)
		return -EINVAL;
	if (len > cap || len > WIRE_ID_MAX)
		return -ENOSPC;
	memcpy(store, bytes, len);
	*out = (struct wire_id){type, {store, len}};
	return 0;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same_name(struct view a, struct view b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

static bool ends_with(struct view name, struct view suffix)
{
	return name.len > suffix.len &&
	       same_name((struct view){name.p + name.len - suffix.len, suffix.len}, suffix);
}

// RFC 5321 2.4: the domain is compared without case, the local part with.
static bool same_mailbox(struct view a, struct view b)
{
	const uint8_t *at = memrchr(a.p, '@', a.len);
	if (!at || a.len != b.len)
		return false;
	size_t local = (size_t)(at - a.p);
	return memcmp(a.p, b.p, local) == 0 && same_name((struct view){at, a.len - local},
						       (struct view){b.p + local, b.len - local});
}

static bool same_id(const struct wire_id *a, const struct wire_id *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == IKEV2_ID_FQDN)
		return same_name(a->data, b->data);
	if (a->type == IKEV2_ID_RFC822_ADDR)
		return same_mailbox(a->data, b->data);
	return view_eq(a->data, b->data);
}

bool wire_id_match(const char *pattern, const struct wire_id *id)
{
	uint8_t store[WIRE_ID_MAX];
	struct wire_id exact;
	struct ip_prefix prefix;
	struct ip_addr addr;
	struct view suffix = {(const uint8_t *)pattern + 1, strlen(pattern)};
	if (strcmp(pattern, "*") == 0)
		return true;
	if (pattern[0] == '*') {
		suffix.len--;
		if (pattern[1] == '.')
			return id->type == IKEV2_ID_FQDN && ends_with(id->data, suffix);
		return pattern[1] == '@' && id->type == IKEV2_ID_RFC822_ADDR &&
		       ends_with(id->data, suffix);
	}
	if (id_addr(id, &addr))
		return ip_prefix_parse(pattern, false, &prefix) == 0 &&
		       ip_prefix_contains(&prefix, &addr);
	return wire_id_from_text(pattern, store, sizeof(store), &exact) == 0 && same_id(&exact, id);
}
