// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/dhcp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LEAST 64 // buckets; they grow

// ---- the giver

static int giver_ask(void *ctx, const struct giver_request *rq)
{
	struct dhcp *d = ctx;
	struct dhcp_pool *p = dhcp_pool_find(d, rq->pool->name);
	if (!p || p->retired)
		return -EINVAL;
	if (d->asking >= DHCP_ASKING_MAX) {
		dhcp_tally(d, DHCP_C_TOO_MANY);
		return -EAGAIN;
	}
	struct dhcp_client *c = dhcp_client_of_owner(d, p, rq->owner);
	if (!c)
		return -ENOMEM;
	c->token = rq->token;
	c->want = ip_to_v4(&rq->want);
	if (dhcp_host_name(rq->name))
		c->host = strdup(rq->name); // without it the server knows the client all the same
	dhcp_tally(d, DHCP_C_ASKED);
	dhcp_client_ask(c);
	return 0;
}

static int giver_resume(void *ctx, const struct cfg_pool *pool, const struct ip_addr *addr,
	struct view owner, struct view extra)
{
	struct dhcp *d = ctx;
	struct dhcp_client *c;
	struct dhcp_pool *p = dhcp_pool_find(d, pool->name);
	(void)owner; // whom the server knows stands in extra
	if (!p || p->retired)
		return -EINVAL;
	int rc = dhcp_client_unpack(d, p, addr, extra, &c);
	if (rc)
		return rc;
	dhcp_tally(d, DHCP_C_RESUMED);
	dhcp_client_resume(c);
	return 0;
}

static void end_with(struct dhcp *d, const struct ip_addr *addr, enum dhcp_type type)
{
	struct dhcp_client *c = dhcp_client_by_addr(d, ip_to_v4(addr));
	if (!c)
		return; // lost meanwhile
	dhcp_tally(d, type == DHCP_RELEASE ? DHCP_C_RELEASED : DHCP_C_DECLINED);
	dhcp_client_tell(c, type);
	dhcp_client_free(c);
}

static void giver_give_back(void *ctx, const struct ip_addr *addr)
{
	end_with(ctx, addr, DHCP_RELEASE);
}

static void giver_refuse(void *ctx, const struct ip_addr *addr)
{
	end_with(ctx, addr, DHCP_DECLINE);
}

struct address_giver *dhcp_giver(struct dhcp *d)
{
	return &d->giver;
}

// ---- life

int dhcp_new(const struct cfg *c, const struct dhcp_seams *s, FILE *errors, struct dhcp **out)
{
	struct dhcp *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->clock = *s->clock;
	d->random = *s->random;
	random_fill(&d->random, d->key, sizeof(d->key));
	wheel_init(&d->wheel, clock_now_ns(&d->clock));
	d->giver = (struct address_giver){
		.ctx = d,
		.ask = giver_ask,
		.resume = giver_resume,
		.give_back = giver_give_back,
		.refuse = giver_refuse,
	};
	int rc = 0;
	if (s->net)
		d->net = *s->net;
	else
		rc = dhcp_net_kernel(&d->net);
	if (rc == 0 && (htab_init(&d->by_xid, TABLE_LEAST) || htab_init(&d->by_addr, TABLE_LEAST) ||
			       htab_init(&d->holders, TABLE_LEAST)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = dhcp_reload(d, c, errors);
	if (rc)
		dhcp_free(d);
	else
		*out = d;
	return rc;
}

// A client has an address or an open question.
static void free_clients(struct htab *t, bool by_xid)
{
	size_t cursor = 0;
	struct htab_node *next, *n = t->buckets ? htab_walk(t, &cursor, NULL) : NULL;
	for (; n; n = next) {
		struct dhcp_client *c = by_xid ? container_of(n, struct dhcp_client, by_xid)
					       : container_of(n, struct dhcp_client, by_addr);
		next = htab_walk(t, &cursor, n);
		dhcp_client_free(c);
	}
}

void dhcp_free(struct dhcp *d)
{
	if (!d)
		return;
	free_clients(&d->by_addr, false);
	free_clients(&d->by_xid, true);
	htab_fini(&d->by_addr);
	htab_fini(&d->by_xid);
	htab_fini(&d->holders);
	dhcp_pools_free(d);
	if (d->net.free)
		d->net.free(d->net.ctx);
	free(d);
}

// ---- datagrams

static enum dhcp_count of_error(enum dhcp_error e)
{
	static const enum dhcp_count counts[] = {
		[DHCP_BAD_LENGTH] = DHCP_C_BAD_LENGTH,
		[DHCP_BAD_HEADER] = DHCP_C_BAD_HEADER,
		[DHCP_BAD_COOKIE] = DHCP_C_BAD_COOKIE,
		[DHCP_BAD_OPTIONS] = DHCP_C_BAD_OPTIONS,
		[DHCP_BAD_TYPE] = DHCP_C_BAD_TYPE,
	};
	return counts[e];
}

// Whether it comes from whom we asked, to whom we are. DHCP_COUNTS: it does. Its transaction id, which
// cannot be guessed, led to the client; all the rest must fit as well.
static enum dhcp_count stranger(
	const struct dhcp_client *c, const struct dhcp_datagram *m, const struct dhcp_answer *a)
{
	struct dhcp_question q;
	dhcp_client_ids(c, &q);
	if (m->from.port != DHCP_PORT || !dhcp_pool_server(c->pool, ip_to_v4(&m->from.addr)))
		return DHCP_C_BAD_SOURCE;
	if (m->socket != c->pool->socket || a->giaddr != c->pool->relay)
		return DHCP_C_BAD_RELAY;
	if (memcmp(a->chaddr, q.chaddr, DHCP_CHADDR_LEN) != 0)
		return DHCP_C_BAD_CHADDR;
	// RFC 6842 section 3: "the server MUST return the 'client identifier' option, unaltered"; older
	// servers return none.
	if (a->has_client_id &&
		(!a->same_client_id_len || memcmp(a->client_id, q.client_id, DHCP_ID_LEN) != 0))
		return DHCP_C_BAD_CLIENT_ID;
	if (!a->server_id)
		return DHCP_C_BAD_SERVER_ID;
	return DHCP_COUNTS;
}

static void take(struct dhcp *d, const struct dhcp_datagram *m)
{
	struct dhcp_answer a;
	dhcp_tally(d, DHCP_C_RECEIVED);
	if (m->len > sizeof(m->bytes)) {
		dhcp_tally(d, DHCP_C_BAD_LENGTH);
		return;
	}
	enum dhcp_error e = dhcp_parse((struct view){m->bytes, m->len}, &a);
	if (e != DHCP_OK) {
		dhcp_tally(d, of_error(e));
		return;
	}
	struct dhcp_client *c = dhcp_client_by_xid(d, a.xid);
	enum dhcp_count bad = c ? stranger(c, m, &a) : DHCP_C_BAD_XID;
	if (bad != DHCP_COUNTS)
		dhcp_tally(d, bad);
	else
		dhcp_client_answer(c, &a, ip_to_v4(&m->from.addr));
}

unsigned dhcp_turn(struct dhcp *d)
{
	struct dhcp_datagram m;
	unsigned n = 0;
	for (; n < DHCP_TURN_MAX; n++) {
		int rc = d->net.receive(d->net.ctx, &m);
		if (rc == -EAGAIN)
			break;
		if (rc)
			dhcp_tally(d, DHCP_C_RECEIVE_FAILED);
		else
			take(d, &m);
	}
	return n;
}

int dhcp_fd(const struct dhcp *d)
{
	return d->net.fd(d->net.ctx);
}

uint64_t dhcp_next_ns(const struct dhcp *d)
{
	return wheel_next_ns(&d->wheel);
}

void dhcp_tick(struct dhcp *d, uint64_t now_ns)
{
	wheel_advance(&d->wheel, now_ns);
}

// ---- counters

bool dhcp_counter(
	const struct dhcp *d, size_t i, const char **name, uint64_t *value, const char **help)
{
	static const struct {
		const char *name, *help;
	} rows[DHCP_COUNTS] = {
#define X(id, n, h) {n, h},
		DHCP_COUNTERS(X)
#undef X
	};
	if (i > DHCP_COUNTS + 1)
		return false;
	const char *text;
	if (i < DHCP_COUNTS) {
		*name = rows[i].name;
		*value = d->counts[i];
		text = rows[i].help;
	} else if (i == DHCP_COUNTS) {
		*name = "dhcp_asking";
		*value = d->asking;
		text = "addresses asked for at present";
	} else {
		*name = "dhcp_leases";
		*value = d->by_addr.count;
		text = "leases held at present";
	}
	if (help)
		*help = text;
	return true;
}
