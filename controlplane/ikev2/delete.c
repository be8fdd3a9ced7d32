// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// DELETE of child SAs, both ways (RFC 7296 1.4.1).
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/resource.h"

#include <errno.h>

static void *spi_arg(uint32_t spi)
{
	return (void *)(uintptr_t)spi;
}

static void drop_by_spi(struct ike_engine *e, void *arg)
{
	struct ike_child *c = ike_child_by_spi_in(e, (uint32_t)(uintptr_t)arg);
	if (!c || c->state == IKE_CHILD_GONE)
		return;
	ike_count(e, IKE_REASON_CHILD_DELETED);
	ike_child_retire(c);
}

// ---- the peer's ------------------------------------------------------------------------------

// One that we were about to rekey, now or after a TEMPORARY_FAILURE, was still wanted here: if that
// comes to nothing there will be another one.
static bool was_wanted(const struct ike_child *c)
{
	return (c->rekeying || c->soft_tries) && c->state != IKE_CHILD_DELETING &&
	       c->state != IKE_CHILD_REKEYED;
}

static void apply_delete(struct ike_exchange *x, void *arg)
{
	struct ike_child *c = ike_child_by_spi_in(x->sa->engine, (uint32_t)(uintptr_t)arg);
	if (c && c->session && was_wanted(c))
		ike_child_anew(c->session, c->conf, false);
	drop_by_spi(x->sa->engine, arg);
}

// Does a DELETE payload of the message name this child: the peer names its inbound SPI.
static bool named(const struct ike_message *m, uint32_t spi_out)
{
	for (uint8_t i = 0; i < m->delete_count; i++) {
		const struct wire_delete *d = &m->deletes[i];
		for (uint16_t k = 0; d->protocol == IKEV2_PROTOCOL_ESP && k < d->count; k++)
			if (wire_delete_spi(d, k) == spi_out)
				return true;
	}
	return false;
}

// RFC 7296 2.25.1: "a request to close a Child SA that does not exist, it SHOULD reply without a
// Delete payload". It may be the one that our request asks for, whose response is not here yet.
static void note_unknown(struct ike_exchange *x)
{
	if (!ike_create_sent(x->sa))
		return;
	for (uint8_t i = 0; i < x->in.delete_count; i++) {
		const struct wire_delete *d = &x->in.deletes[i];
		for (uint16_t k = 0; d->protocol == IKEV2_PROTOCOL_ESP && k < d->count; k++)
			if (!ike_child_by_spi_out(x->sa->session, wire_delete_spi(d, k)))
				ike_create_gone(x->sa, wire_delete_spi(d, k));
	}
}

enum ike_verdict ikev2_children_deleted(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	uint32_t answer[4 * (IKE_CHILDREN_MAX + IKE_RESOURCES_MAX)];
	uint16_t n = 0;
	struct ike_child *c;
	if (!s)
		return IKE_DONE;
	note_unknown(x);
	LIST_FOREACH (c, &s->children, link) {
		if (!named(&x->in, c->spi_out))
			continue;
		if (ike_effect_add(x, apply_delete, NULL, spi_arg(c->spi_in)) < 0)
			return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
		// RFC 7296 1.4.1: when both sides delete the same one, "the response MUST NOT
		// include delete payloads" for it.
		if (c->state != IKE_CHILD_DELETING && n < sizeof(answer) / sizeof(answer[0]))
			answer[n++] = c->spi_in;
	}
	if (n)
		wire_put_delete_esp(&x->out.b, answer, n);
	return IKE_DONE;
}

// ---- ours ------------------------------------------------------------------------------------

static enum ike_verdict delete_build(struct ike_exchange *x)
{
	uint32_t spi = (uint32_t)(uintptr_t)x->task->arg;
	struct ike_child *c = ike_child_by_spi_in(x->sa->engine, spi);
	// Meanwhile gone by the peer's DELETE: what is left is an empty request, which does no harm.
	if (c && c->state == IKE_CHILD_DELETING)
		wire_put_delete_esp(&x->out.b, &spi, 1);
	return IKE_DONE;
}

// The SPI may have been given to another child by now if the peer's DELETE came first.
static void drop_deleting(struct ike_engine *e, void *arg)
{
	struct ike_child *c = ike_child_by_spi_in(e, (uint32_t)(uintptr_t)arg);
	if (c && c->state == IKE_CHILD_DELETING)
		drop_by_spi(e, arg);
}

static enum ike_verdict delete_response(struct ike_exchange *x)
{
	drop_deleting(x->sa->engine, x->task->arg);
	return IKE_DONE;
}

static void delete_failed(struct ike_sa *sa, struct ike_task *t)
{
	drop_deleting(sa->engine, t->arg);
}

int ikev2_delete_child(struct ike_sa *sa, struct ike_child *child)
{
	struct ike_task t = {
		.name = "delete of a child SA",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = delete_build,
		.response = delete_response,
		.failed = delete_failed,
		.arg = spi_arg(child->spi_in),
	};
	if (child->state == IKE_CHILD_DELETING || child->state == IKE_CHILD_GONE)
		return -EALREADY;
	int rc = ike_task_add(sa, &t);
	if (rc == 0)
		child->state = IKE_CHILD_DELETING;
	return rc;
}

// ---- one that only the peer has --------------------------------------------------------------

static enum ike_verdict disown_build(struct ike_exchange *x)
{
	uint32_t spi = (uint32_t)(uintptr_t)x->task->arg;
	wire_put_delete_esp(&x->out.b, &spi, 1);
	return IKE_DONE;
}

static enum ike_verdict disown_response(struct ike_exchange *x)
{
	return IKE_DONE;
}

int ikev2_disown_child(struct ike_sa *sa, uint32_t spi_in)
{
	struct ike_task t = {
		.name = "delete of a child SA that was not wanted",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = disown_build,
		.response = disown_response,
		.arg = spi_arg(spi_in),
	};
	return ike_task_add(sa, &t);
}
