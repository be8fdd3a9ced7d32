// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The listener of IKEv1 conversations.
#include "tests/engine/v1_watch.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTS_MAX   64
#define FILTERS_MAX 8

// The cipher state of one exchange.
struct flow {
	LIST_ENTRY(flow) link;
	uint64_t spi_i;
	uint32_t message_id;
	bool has_iv;
	uint8_t iv[IKEV1_IV_MAX];
	struct { // the last message of each side
		const struct bench_node *from;
		uint8_t *bytes;
		size_t len;
	} last[2];
};

// Phase 1 as it was heard.
struct phase1 {
	LIST_ENTRY(phase1) link;
	uint64_t spi_i;
	uint8_t ke_i[1024], ke_r[1024];
	size_t ke_i_len, ke_r_len;
};

struct parts {
	uint64_t spi_i;
	const struct bench_node *from;
	uint16_t id;
	unsigned total; // 0: the last one was not seen
	uint8_t *bytes[PARTS_MAX];
	size_t len[PARTS_MAX];
};

struct held {
	STAILQ_ENTRY(held) link;
	struct bench_packet *p;
};

struct v1_watch {
	struct bench *b;
	uint64_t began_ns;
	uint32_t next_id;
	LIST_HEAD(, flow) flows;
	LIST_HEAD(, phase1) phase1;
	struct v1_messages heard;
	struct parts parts;
	struct {
		v1_filter fn;
		void *arg;
	} filters[FILTERS_MAX];
	unsigned filter_count;
	struct {
		const struct bench_node *from;
		uint8_t exchange;
		unsigned left;
	} drops[FILTERS_MAX];
	unsigned drop_count;
	const struct bench_node *hold_from;
	uint8_t hold_exchange;
	STAILQ_HEAD(, held) held;
	bool releasing;
	unsigned datagrams[BENCH_NODES_MAX];
	uint64_t bytes[BENCH_NODES_MAX];
};

// ---- cipher states ----

static struct flow *flow_of(struct v1_watch *w, uint64_t spi_i, uint32_t message_id)
{
	struct flow *f;
	LIST_FOREACH (f, &w->flows, link) {
		if (f->spi_i == spi_i && f->message_id == message_id)
			return f;
	}
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->spi_i = spi_i;
	f->message_id = message_id;
	LIST_INSERT_HEAD(&w->flows, f, link);
	return f;
}

static struct phase1 *phase1_of(struct v1_watch *w, uint64_t spi_i)
{
	struct phase1 *p;
	LIST_FOREACH (p, &w->phase1, link) {
		if (p->spi_i == spi_i)
			return p;
	}
	p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->spi_i = spi_i;
	LIST_INSERT_HEAD(&w->phase1, p, link);
	return p;
}

static struct ike_sa *sa_of(const struct bench_node *n, uint64_t spi_i, uint64_t spi_r)
{
	struct ike_sa *sa;
	LIST_FOREACH (sa, &n->engine->all_sas, all) {
		if (ikev1_is(sa) && sa->spi_i == spi_i && (sa->spi_r == spi_r || spi_r == 0))
			return sa;
	}
	return NULL;
}

static size_t block_of(const struct ike_sa *sa)
{
	return alg_encr(sa->suite.encr.id, sa->suite.encr.key_bits)->block;
}

// The IV of the next message; false: it cannot be known.
static bool flow_iv(struct v1_watch *w, const struct ike_sa *sa, struct flow *f)
{
	struct flow *one = flow_of(w, f->spi_i, 0);
	struct phase1 *p = phase1_of(w, f->spi_i);
	if (f->has_iv)
		return true;
	if (!one->has_iv) {
		if (!p->ke_i_len || !p->ke_r_len)
			return false;
		one->has_iv =
			ikev1_iv_phase1(&sa->suite, (struct view){p->ke_i, p->ke_i_len},
				(struct view){p->ke_r, p->ke_r_len}, one->iv) == IKE_CRYPTO_OK;
	}
	if (f != one)
		f->has_iv = one->has_iv && ikev1_iv_phase2(&sa->suite, one->iv, f->message_id,
						   f->iv) == IKE_CRYPTO_OK;
	return f->has_iv;
}

void v1_watch_keyed(struct v1_watch *w, const struct ike_sa *sa)
{
	struct flow *one = flow_of(w, sa->spi_i, 0);
	memcpy(one->iv, sa->v1->iv, sizeof(one->iv));
	one->has_iv = true;
}

// ---- reading ----

static bool hash_holds(const struct v1_message *m, const struct ike_sa *sa, size_t len)
{
	uint8_t id[4], want[IKE_PRF_MAX];
	struct wr wr = wr_of(id, sizeof(id));
	size_t hash_len = alg_prf(sa->suite.prf)->len;
	size_t from = m->m.after_hash, end = m->m.end < len ? m->m.end : len;
	if (!from || m->m.hash.len != hash_len || from > end)
		return false;
	wr_u32(&wr, m->h.message_id);
	struct view parts[] = {{id, 4}, {m->plain + from, end - from}};
	return ike_prf(sa->suite.prf, sa->v1->keys.skeyid_a, parts, 2, want) == IKE_CRYPTO_OK &&
	       memcmp(want, m->m.hash.p, hash_len) == 0;
}

static void read_inside(struct v1_message *m, const struct ike_sa *sa, size_t len)
{
	m->opened = ikev1_message_parse((struct view){m->plain, len}, m->h.next_payload, &m->m) ==
		    WIRE_OK;
	if (!m->opened)
		return;
	if (m->m.attributes.p && ikev1_cfg_parse(m->m.attributes, &m->cfg) != WIRE_OK)
		m->opened = false;
	if (m->encrypted && sa)
		m->hash_ok = hash_holds(m, sa, len);
}

static void decrypt(struct v1_watch *w, struct v1_message *m, struct view bytes)
{
	struct ike_sa *sa = sa_of(m->from, m->h.spi_i, m->h.spi_r);
	struct flow *f = flow_of(w, m->h.spi_i, m->h.message_id);
	struct view c = {bytes.p + IKE_HEADER_LEN, bytes.len - IKE_HEADER_LEN};
	if (!sa || !sa->v1->keys.encr.len || !flow_iv(w, sa, f))
		return;
	if (c.len == 0 || c.len % block_of(sa))
		return;
	if (ikev1_decrypt(&sa->suite, sa->v1->keys.encr, f->iv, c, m->plain) == IKE_CRYPTO_OK)
		read_inside(m, sa, c.len);
}

static void remember_ke(struct v1_watch *w, const struct v1_message *m)
{
	struct phase1 *p = phase1_of(w, m->h.spi_i);
	struct view ke = m->m.ke;
	struct ike_sa *sa = sa_of(m->from, m->h.spi_i, m->h.spi_r);
	if (!ke.p || ke.len > sizeof(p->ke_i) || !sa)
		return;
	memcpy(sa->initiator ? p->ke_i : p->ke_r, ke.p, ke.len);
	*(sa->initiator ? &p->ke_i_len : &p->ke_r_len) = ke.len;
}

static bool is_repeat(struct flow *f, const struct bench_node *from, struct view bytes)
{
	unsigned i = !f->last[0].from || f->last[0].from == from ? 0 : 1;
	if (f->last[i].bytes && f->last[i].len == bytes.len &&
		memcmp(f->last[i].bytes, bytes.p, bytes.len) == 0)
		return true;
	free(f->last[i].bytes);
	f->last[i].from = from;
	f->last[i].bytes = malloc(bytes.len);
	assert_non_null(f->last[i].bytes);
	memcpy(f->last[i].bytes, bytes.p, bytes.len);
	f->last[i].len = bytes.len;
	return false;
}

// What an earlier message of the same bytes said, for a repeat that cannot be decrypted again.
static void copy_first(struct v1_watch *w, struct v1_message *m, size_t len)
{
	struct v1_message *o, *found = NULL;
	STAILQ_FOREACH (o, &w->heard, link) {
		if (!o->repeat && o->from == m->from && o->h.spi_i == m->h.spi_i &&
			o->h.message_id == m->h.message_id && o->len == m->len)
			found = o;
	}
	if (!found || !found->opened)
		return;
	memcpy(m->plain, found->plain, len);
	m->opened = ikev1_message_parse((struct view){m->plain, len}, m->h.next_payload, &m->m) ==
		    WIRE_OK;
	if (m->opened && m->m.attributes.p)
		m->opened = ikev1_cfg_parse(m->m.attributes, &m->cfg) == WIRE_OK;
	m->hash_ok = found->hash_ok;
}

static struct v1_message *hear(struct v1_watch *w, struct bench_node *from,
	const struct bench_packet *p, struct view bytes, const struct ike_header *h)
{
	struct v1_message *m = calloc(1, sizeof(*m) + bytes.len);
	assert_non_null(m);
	m->at_ms = (w->b->now_ns - w->began_ns) / NS_PER_MS;
	m->from = from;
	m->src = p->from;
	m->dst = p->to;
	m->h = *h;
	m->len = bytes.len;
	m->encrypted = h->flags & IKEV1_FLAG_ENCRYPTED;
	m->repeat = is_repeat(flow_of(w, h->spi_i, h->message_id), from, bytes);
	if (m->encrypted && m->repeat) {
		copy_first(w, m, bytes.len - IKE_HEADER_LEN);
	} else if (m->encrypted) {
		decrypt(w, m, bytes);
	} else {
		memcpy(m->plain, bytes.p + IKE_HEADER_LEN, bytes.len - IKE_HEADER_LEN);
		read_inside(m, NULL, bytes.len - IKE_HEADER_LEN);
		remember_ke(w, m);
	}
	STAILQ_INSERT_TAIL(&w->heard, m, link);
	return m;
}

// ---- fragments (id, number, flags, bytes) ----

static void parts_drop(struct parts *s)
{
	for (unsigned i = 0; i < PARTS_MAX; i++)
		free(s->bytes[i]);
	*s = (struct parts){0};
}

// True: the message is whole, in out (to be freed).
static bool parts_add(struct parts *s, const struct bench_node *from, const struct ike_header *h,
	struct view bytes, uint8_t **out, size_t *out_len)
{
	const uint8_t *p = bytes.p + IKE_HEADER_LEN + 4;
	size_t left = bytes.len - IKE_HEADER_LEN;
	if (left < 8 || p[2] == 0 || p[2] > PARTS_MAX)
		return false;
	uint16_t id = (uint16_t)(p[0] << 8 | p[1]);
	if (s->from != from || s->spi_i != h->spi_i || s->id != id)
		parts_drop(s);
	s->from = from;
	s->spi_i = h->spi_i;
	s->id = id;
	unsigned i = p[2] - 1u;
	free(s->bytes[i]);
	s->len[i] = left - 8;
	s->bytes[i] = malloc(left);
	assert_non_null(s->bytes[i]);
	memcpy(s->bytes[i], p + 4, left - 8);
	if (p[3] & 1)
		s->total = p[2];
	*out_len = 0;
	for (i = 0; i < s->total && s->bytes[i]; i++)
		*out_len += s->len[i];
	if (s->total == 0 || i < s->total)
		return false;
	uint8_t *all = *out = malloc(*out_len + 1);
	assert_non_null(all);
	for (i = 0; i < s->total; i++) {
		memcpy(all, s->bytes[i], s->len[i]);
		all += s->len[i];
	}
	return true;
}

static struct v1_message *hear_fragment(struct v1_watch *w, struct bench_node *from,
	const struct bench_packet *p, struct view bytes, const struct ike_header *outer)
{
	uint8_t *all;
	size_t len;
	struct ike_header h;
	struct v1_message *m = NULL;
	if (!parts_add(&w->parts, from, outer, bytes, &all, &len))
		return NULL;
	if (wire_header_parse((struct view){all, len}, &h) == WIRE_OK) {
		m = hear(w, from, p, (struct view){all, len}, &h);
		m->fragments = w->parts.total;
	}
	free(all);
	parts_drop(&w->parts);
	return m;
}

// ---- the filter ----

static bool dropped(struct v1_watch *w, const struct bench_node *from, uint8_t exchange)
{
	bool drop = false;
	for (unsigned i = 0; i < w->drop_count; i++) {
		if (w->drops[i].from != from || w->drops[i].left == 0)
			continue;
		if (w->drops[i].exchange && w->drops[i].exchange != exchange)
			continue;
		if (--w->drops[i].left == 0)
			drop = true;
	}
	return drop;
}

static void keep(struct v1_watch *w, const struct bench_packet *p)
{
	struct held *h = malloc(sizeof(*h));
	assert_non_null(h);
	h->p = malloc(sizeof(*p));
	assert_non_null(h->p);
	memcpy(h->p, p, offsetof(struct bench_packet, bytes) + p->len);
	STAILQ_INSERT_TAIL(&w->held, h, link);
}

static void count(struct v1_watch *w, const struct bench_node *from, size_t len)
{
	for (unsigned i = 0; i < w->b->node_count; i++)
		if (w->b->nodes[i] == from) {
			w->datagrams[i]++;
			w->bytes[i] += len;
		}
}

// An answer in quick mode, and what completes it, tell the peer that it may send: as in IKEv2, the
// inbound SA can receive by then.
static void check_install(struct v1_watch *w, const struct v1_message *m)
{
	struct flow *f = flow_of(w, m->h.spi_i, m->h.message_id);
	if (m->h.exchange == IKEV1_EXCHANGE_QUICK && f->last[0].from && f->last[1].from)
		bench_sink_check_reply(&m->from->sink, &m->dst);
}

static enum bench_fate listen_to(struct bench *b, struct bench_packet *p, void *arg)
{
	struct v1_watch *w = arg;
	struct ike_header h;
	struct view bytes = {p->bytes, p->len};
	struct bench_node *from = bench_node_at(b, &p->from.addr);
	enum bench_fate fate = BENCH_PASS;
	if (w->releasing || !from || !from->engine || wire_header_parse(bytes, &h) != WIRE_OK ||
		h.major != 1)
		return BENCH_PASS;
	count(w, from, p->len);
	struct v1_message *m = h.next_payload == IKEV1_PAYLOAD_FRAGMENT
				       ? hear_fragment(w, from, p, bytes, &h)
				       : hear(w, from, p, bytes, &h);
	if (m)
		check_install(w, m);
	for (unsigned i = 0; m && i < w->filter_count && fate == BENCH_PASS; i++)
		fate = w->filters[i].fn(w, m, w->filters[i].arg);
	if (dropped(w, from, h.exchange))
		fate = BENCH_DROP;
	if (fate == BENCH_PASS && w->hold_from == from &&
		(!w->hold_exchange || w->hold_exchange == h.exchange)) {
		keep(w, p);
		fate = BENCH_DROP;
	}
	return fate;
}

struct v1_watch *v1_watch_new(struct bench *b)
{
	struct v1_watch *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	assert_int_equal(b->filter_count, 0);
	w->b = b;
	w->began_ns = b->now_ns;
	w->next_id = 0x7e570000;
	STAILQ_INIT(&w->heard);
	STAILQ_INIT(&w->held);
	bench_filter_add(b, listen_to, w);
	return w;
}

void v1_watch_forget(struct v1_watch *w)
{
	struct v1_message *m;
	while ((m = STAILQ_FIRST(&w->heard))) {
		STAILQ_REMOVE_HEAD(&w->heard, link);
		free(m);
	}
	memset(w->datagrams, 0, sizeof(w->datagrams));
	memset(w->bytes, 0, sizeof(w->bytes));
}

void v1_watch_free(struct v1_watch *w)
{
	struct flow *f;
	struct phase1 *p;
	struct held *h;
	v1_watch_forget(w);
	while ((f = LIST_FIRST(&w->flows))) {
		LIST_REMOVE(f, link);
		free(f->last[0].bytes);
		free(f->last[1].bytes);
		free(f);
	}
	while ((p = LIST_FIRST(&w->phase1))) {
		LIST_REMOVE(p, link);
		free(p);
	}
	while ((h = STAILQ_FIRST(&w->held))) {
		STAILQ_REMOVE_HEAD(&w->held, link);
		free(h->p);
		free(h);
	}
	parts_drop(&w->parts);
	free(w);
}

// ---- what was sent ----

static bool is(const struct v1_message *m, const struct bench_node *from, uint8_t exchange)
{
	return (!from || m->from == from) && (!exchange || m->h.exchange == exchange);
}

unsigned v1_sent(const struct v1_watch *w, const struct bench_node *from, uint8_t exchange)
{
	const struct v1_message *m;
	unsigned n = 0;
	STAILQ_FOREACH (m, &w->heard, link)
		n += is(m, from, exchange);
	return n;
}

unsigned v1_sent_datagrams(const struct v1_watch *w, const struct bench_node *from)
{
	unsigned n = 0;
	for (unsigned i = 0; i < w->b->node_count; i++)
		n += !from || w->b->nodes[i] == from ? w->datagrams[i] : 0;
	return n;
}

uint64_t v1_sent_bytes(const struct v1_watch *w, const struct bench_node *from)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < w->b->node_count; i++)
		n += !from || w->b->nodes[i] == from ? w->bytes[i] : 0;
	return n;
}

typedef bool (*matcher)(const struct v1_message *m, uint16_t a, uint16_t b);

static const struct v1_message *nth(const struct v1_watch *w, const struct bench_node *from,
	unsigned n, matcher fits, const uint16_t *args)
{
	const struct v1_message *m;
	STAILQ_FOREACH (m, &w->heard, link) {
		if (!m->repeat && is(m, from, 0) && fits(m, args[0], args[1]) && --n == 0)
			return m;
	}
	return NULL;
}

static bool of_exchange(const struct v1_message *m, uint16_t exchange, uint16_t unused)
{
	(void)unused;
	return !exchange || m->h.exchange == exchange;
}

static bool of_cfg(const struct v1_message *m, uint16_t type, uint16_t attribute)
{
	return m->opened && m->cfg.type == type &&
	       (!attribute || ikev1_cfg_find(&m->cfg, attribute));
}

static bool of_notify(const struct v1_message *m, uint16_t type, uint16_t unused)
{
	(void)unused;
	return m->opened && ikev1_notify_find(&m->m, type);
}

static bool of_delete(const struct v1_message *m, uint16_t protocol, uint16_t unused)
{
	(void)unused;
	for (uint8_t i = 0; m->opened && i < m->m.delete_count; i++)
		if (m->m.deletes[i].protocol == protocol)
			return true;
	return false;
}

const struct v1_message *v1_nth(
	const struct v1_watch *w, const struct bench_node *from, uint8_t exchange, unsigned n)
{
	return nth(w, from, n, of_exchange, (const uint16_t[]){exchange, 0});
}

const struct v1_message *v1_nth_cfg(const struct v1_watch *w, const struct bench_node *from,
	uint8_t type, uint16_t attribute, unsigned n)
{
	return nth(w, from, n, of_cfg, (const uint16_t[]){type, attribute});
}

const struct v1_message *v1_nth_notify(
	const struct v1_watch *w, const struct bench_node *from, uint16_t type, unsigned n)
{
	return nth(w, from, n, of_notify, (const uint16_t[]){type, 0});
}

const struct v1_message *v1_nth_delete(
	const struct v1_watch *w, const struct bench_node *from, uint8_t protocol, unsigned n)
{
	return nth(w, from, n, of_delete, (const uint16_t[]){protocol, 0});
}

static void print_inside(const struct v1_message *m)
{
	for (unsigned t = 1; t < 256; t++)
		if (m->m.count[t])
			print_message(" %s", ikev1_payload_name(t));
	for (uint8_t i = 0; i < m->m.notify_count; i++)
		print_message(" N(%s)", ikev1_notify_name(m->m.notifies[i].type));
	if (m->cfg.type)
		print_message(" CFG(%u", m->cfg.type);
	for (uint8_t i = 0; m->cfg.type && i < m->cfg.count; i++)
		print_message(" %s", ikev1_cfg_attribute_name(m->cfg.attrs[i].type));
	print_message("%s\n", m->cfg.type ? ")" : "");
}

void v1_print(const struct v1_watch *w)
{
	const struct v1_message *m;
	STAILQ_FOREACH (m, &w->heard, link) {
		print_message("%6llu ms %s %s %08x %zu bytes%s%s:", (unsigned long long)m->at_ms,
			m->from->name, ikev1_exchange_name(m->h.exchange), m->h.message_id, m->len,
			m->repeat ? " again" : "", m->opened ? "" : " unreadable");
		print_inside(m);
	}
}

// ---- what happens to messages ----

void v1_filter_add(struct v1_watch *w, v1_filter fn, void *arg)
{
	assert_true(w->filter_count < FILTERS_MAX);
	w->filters[w->filter_count].fn = fn;
	w->filters[w->filter_count++].arg = arg;
}

void v1_filters_clear(struct v1_watch *w)
{
	w->filter_count = w->drop_count = 0;
}

void v1_drop(struct v1_watch *w, const struct bench_node *from, uint8_t exchange, unsigned n)
{
	assert_true(w->drop_count < FILTERS_MAX);
	w->drops[w->drop_count].from = from;
	w->drops[w->drop_count].exchange = exchange;
	w->drops[w->drop_count++].left = n;
}

void v1_hold(struct v1_watch *w, const struct bench_node *from, uint8_t exchange)
{
	w->hold_from = from;
	w->hold_exchange = exchange;
}

unsigned v1_held(const struct v1_watch *w)
{
	const struct held *h;
	unsigned n = 0;
	STAILQ_FOREACH (h, &w->held, link)
		n++;
	return n;
}

void v1_release(struct v1_watch *w)
{
	struct held *h;
	w->hold_from = NULL;
	w->releasing = true;
	while ((h = STAILQ_FIRST(&w->held))) {
		STAILQ_REMOVE_HEAD(&w->held, link);
		bench_inject(w->b, &h->p->from, &h->p->to, h->p->bytes, h->p->len);
		free(h->p);
		free(h);
	}
	w->releasing = false;
}

// ---- messages of the test's making ----

static size_t put_payload(uint8_t *out, uint8_t next, struct view body)
{
	struct wr w = wr_of(out, 4);
	wr_u8(&w, next);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(4 + body.len));
	if (body.len)
		memcpy(out + 4, body.p, body.len);
	return 4 + body.len;
}

static size_t put_hash(
	uint8_t *out, const struct v1_made *made, uint32_t message_id, struct view chain)
{
	uint8_t id[4], hash[IKE_PRF_MAX];
	struct wr w = wr_of(id, sizeof(id));
	const struct ike_sa *sa = made->sa;
	wr_u32(&w, message_id);
	struct view parts[] = {{id, 4}, made->hash_prefix, chain};
	assert_int_equal(
		ike_prf(sa->suite.prf, sa->v1->keys.skeyid_a, parts, 3, hash), IKE_CRYPTO_OK);
	if (made->bad_hash)
		hash[0] ^= 1;
	return put_payload(
		out, made->payloads->first, (struct view){hash, alg_prf(sa->suite.prf)->len});
}

static size_t seal(struct v1_watch *w, const struct v1_made *made, uint32_t message_id,
	uint8_t *body, size_t len)
{
	struct flow *f = flow_of(w, made->sa->spi_i, message_id);
	uint8_t iv[IKEV1_IV_MAX];
	size_t block = block_of(made->sa);
	assert_true(flow_iv(w, made->sa, f));
	memcpy(iv, f->iv, sizeof(iv));
	while (len % block)
		body[len++] = 0;
	assert_int_equal(ikev1_encrypt(&made->sa->suite, made->sa->v1->keys.encr, iv, body, len),
		IKE_CRYPTO_OK);
	return len;
}

uint32_t v1_make(struct v1_watch *w, const struct v1_made *made)
{
	uint8_t bytes[8192], *body = bytes + IKE_HEADER_LEN;
	struct wire_builder b = *made->payloads;
	struct view chain = wire_build_done(&b);
	bool hashed = !made->no_hash && !made->clear;
	uint32_t id = made->message_id ? made->message_id : ++w->next_id;
	size_t len = hashed ? put_hash(body, made, id, chain) : 0;
	assert_true(chain.len + made->trailing_len + 512 < sizeof(bytes));
	if (chain.len)
		memcpy(body + len, chain.p, chain.len);
	len += chain.len;
	if (made->trailing_len)
		memcpy(body + len, made->trailing, made->trailing_len);
	len += made->trailing_len;
	if (!made->clear)
		len = seal(w, made, id, body, len);
	struct ike_header h = {.spi_i = made->sa->spi_i,
		.spi_r = made->sa->spi_r,
		.next_payload = hashed ? IKEV1_PAYLOAD_HASH : b.first,
		.major = IKE_MAJOR_1,
		.exchange = made->exchange,
		.flags = made->clear ? 0 : IKEV1_FLAG_ENCRYPTED,
		.message_id = id,
		.length = (uint32_t)(IKE_HEADER_LEN + len)};
	struct wr head = wr_of(bytes, IKE_HEADER_LEN);
	wire_header_build(&head, &h);
	bench_inject(w->b, &made->sa->local, &made->sa->remote, bytes, IKE_HEADER_LEN + len);
	return id;
}
