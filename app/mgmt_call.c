// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_internal.h"

#include "dataplane/trace_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mgmt_queue_init(struct mgmt_queue *q, int wake_fd)
{
	*q = (struct mgmt_queue){.wake_fd = wake_fd};
	q->tail = &q->head;
	pthread_mutex_init(&q->lock, NULL);
}

void mgmt_queue_put(struct mgmt_queue *q, struct mgmt_call *c)
{
	c->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->tail = c;
	q->tail = &c->next;
	pthread_mutex_unlock(&q->lock);
	uint64_t one = 1;
	// A full eventfd is readable already, which is all that matters.
	if (write(q->wake_fd, &one, sizeof(one)) < 0)
		return;
}

struct mgmt_call *mgmt_queue_get(struct mgmt_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct mgmt_call *c = q->head;
	if (c) {
		q->head = c->next;
		if (!q->head)
			q->tail = &q->head;
	}
	pthread_mutex_unlock(&q->lock);
	return c;
}

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static size_t session_size(const struct ike_session_info *s)
{
	size_t size = sizeof(*s);
	for (size_t i = 0; i < s->child_count; i++) {
		const struct ike_child_info *c = &s->children[i];
		size += ((size_t)c->ts_local_count + c->ts_remote_count) * sizeof(struct selector);
	}
	for (size_t i = 0; i < s->child_count; i++)
		size += text_size(s->children[i].name);
	for (size_t i = 0; s->groups && i < s->groups->count; i++)
		size += sizeof(char *) + text_size(s->groups->items[i]);
	return size + sizeof(*s->groups) + text_size(s->connection) + text_size(s->remote_id) +
	       text_size(s->user) + text_size(s->group);
}

static const struct selector *copy_selectors(
	struct selector **room, const struct selector *from, size_t count)
{
	struct selector *to = *room;
	if (count)
		memcpy(to, from, count * sizeof(*from));
	*room += count;
	return to;
}

static const char *copy_text(char **room, const char *from)
{
	if (!from)
		return NULL;
	size_t size = strlen(from) + 1;
	char *to = memcpy(*room, from, size);
	*room += size;
	return to;
}

// The engine's strings and selectors live only until its next call: one allocation keeps them.
static struct ike_session_info *session_copy(const struct ike_session_info *s)
{
	struct ike_session_info *copy = malloc(session_size(s));
	if (!copy)
		return NULL;
	*copy = *s;
	struct cfg_strings *groups = (struct cfg_strings *)(void *)(copy + 1);
	size_t group_count = s->groups ? s->groups->count : 0;
	*groups = (struct cfg_strings){(char **)(void *)(groups + 1), group_count};
	copy->groups = groups;
	struct selector *selectors = (struct selector *)(void *)(groups->items + group_count);
	for (size_t i = 0; i < s->child_count; i++) {
		struct ike_child_info *c = &copy->children[i];
		c->ts_local = copy_selectors(&selectors, c->ts_local, c->ts_local_count);
		c->ts_remote = copy_selectors(&selectors, c->ts_remote, c->ts_remote_count);
	}
	char *text = (char *)selectors;
	for (size_t i = 0; i < s->child_count; i++)
		copy->children[i].name = copy_text(&text, s->children[i].name);
	for (size_t i = 0; i < group_count; i++) {
		groups->items[i] = text;
		(void)copy_text(&text, s->groups->items[i]);
	}
	copy->connection = copy_text(&text, s->connection);
	copy->remote_id = copy_text(&text, s->remote_id);
	copy->user = copy_text(&text, s->user);
	copy->group = copy_text(&text, s->group);
	return copy;
}

static void answer_sessions(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct ike_session_info info;
	while (c->count < SESSIONS_PER_PORTION) {
		if (!p->session_next(p->ctx, c->cursor, &info)) {
			c->end = true;
			return;
		}
		struct ike_session_info *copy = session_copy(&info);
		if (!copy) {
			c->failed = true;
			c->end = true;
			return;
		}
		c->cursor = info.id;
		c->rows.sessions[c->count++] = copy;
	}
}

static bool answer_connection(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct mgmt_connection_row *row = &c->rows.connections[c->count];
	if (!p->connection(p->ctx, c->cursor, &row->info))
		return false;
	const char *error = row->info.last_error;
	snprintf(row->last_error, sizeof(row->last_error), "%s", error ? error : "");
	return true;
}

// Its ranges may change by the next call.
static bool answer_pool(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct mgmt_pool_row *row = &c->rows.pools[c->count];
	struct ip_range r;
	size_t n = 0;
	*row = (struct mgmt_pool_row){.ranges = NULL};
	if (!p->pool(p->ctx, c->cursor, &row->stats))
		return false;
	while (p->pool_range(p->ctx, c->cursor, n, &r))
		n++;
	row->ranges = calloc(n + 1, sizeof(r));
	while (row->ranges && row->range_count < n &&
		p->pool_range(p->ctx, c->cursor, row->range_count, &row->ranges[row->range_count]))
		row->range_count++;
	return true;
}

// The trace's memory may go with the next start: a row keeps what it needs.
static bool answer_trace(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct mgmt_trace_row *r = &c->rows.trace[c->count];
	if (!p->trace_row(p->ctx, c->cursor, &r->row))
		return false;
	trace_summary(r->row.framed, r->row.bytes, r->summary, sizeof(r->summary));
	size_t len = c->bytes ? r->row.bytes.len : 0;
	uint8_t *copy = len ? malloc(len) : NULL;
	if (copy)
		memcpy(copy, r->row.bytes.p, len);
	r->row.bytes = (struct view){copy, copy ? len : 0};
	return true;
}

static void answer_trace_start(struct mgmt_call *c, const struct mgmt_provider *p)
{
	int rc = p->trace_start(p->ctx, &c->trace);
	c->trace.filter = NULL;
	c->why = rc == 0         ? NULL
		 : rc == -EBUSY  ? "a trace runs already: stop it first"
		 : rc == -ENOMEM ? "no memory"
				 : "refused";
}

static void answer_trace_stop(struct mgmt_call *c, const struct mgmt_provider *p)
{
	int rc = p->trace_stop(p->ctx);
	c->traced = rc < 0 ? 0 : (uint32_t)rc;
	c->why = rc < 0 ? "no trace runs" : NULL;
}

static bool answer_row(struct mgmt_call *c, const struct mgmt_provider *p)
{
	switch (c->what) {
	case MGMT_CONNECTIONS:
		return answer_connection(c, p);
	case MGMT_POOLS:
		return answer_pool(c, p);
	case MGMT_PORTS:
		return p->port(p->ctx, c->cursor, &c->rows.ports[c->count]);
	case MGMT_WORKERS:
		return p->worker(p->ctx, c->cursor, &c->rows.workers[c->count]);
	case MGMT_TRACE_SHOW:
		return answer_trace(c, p);
	default:
		return p->counter(p->ctx, c->cursor, &c->rows.counters[c->count].name,
			&c->rows.counters[c->count].value);
	}
}

static void answer_rows(struct mgmt_call *c, const struct mgmt_provider *p)
{
	for (; c->count < ROWS_PER_PORTION; c->count++, c->cursor++)
		if (!answer_row(c, p)) {
			c->end = true;
			return;
		}
}

static void answer_clear(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct ike_clearing clearing = {.what = c->by,
		.id = c->id,
		.user = c->user,
		.address = &c->address,
		.cursor = c->cursor,
		.last = c->clear_last};
	c->cleared += p->clear(p->ctx, &clearing);
	c->cursor = clearing.cursor;
	c->clear_last = clearing.last;
	c->end = clearing.done;
}

static void answer_initiate(struct mgmt_call *c, const struct mgmt_provider *p)
{
	const char *why = "not started";
	c->id = p->initiate(p->ctx, c->connection, c->address.family ? &c->address : NULL, &why);
	c->why = c->id ? NULL : why;
}

static const char *refusal(const struct mgmt_call *c, int rc)
{
	switch (rc) {
	case 0:
		return NULL;
	case -ENOENT:
		return c->spi ? "no such session, or it has no child SA with this SPI"
			      : "no such session, or it is not established";
	case -EPERM:
		return "the connection only responds";
	case -EBUSY:
		return "the session is busy with another exchange, try again";
	case -ENOTSUP:
		return "this is for the peer to begin";
	case -ENOMEM:
		return "no memory";
	}
	return "refused";
}

void mgmt_call_answer(struct mgmt_call *c, const struct mgmt_provider *p)
{
	c->count = 0;
	c->end = false;
	c->failed = false;
	c->now_ns = clock_now_ns(p->clock);
	switch (c->what) {
	case MGMT_SESSIONS:
	case MGMT_SAS:
		answer_sessions(c, p);
		return;
	case MGMT_STATUS:
		p->status(p->ctx, &c->rows.status);
		c->end = true;
		return;
	case MGMT_CLEAR:
		answer_clear(c, p);
		return;
	case MGMT_INITIATE:
		answer_initiate(c, p);
		c->end = true;
		return;
	case MGMT_REKEY:
		c->why = refusal(c, p->rekey(p->ctx, c->id, c->spi));
		c->end = true;
		return;
	case MGMT_REAUTHENTICATE:
		c->why = refusal(c, p->reauthenticate(p->ctx, c->id));
		c->end = true;
		return;
	case MGMT_TRACE_START:
		answer_trace_start(c, p);
		c->end = true;
		return;
	case MGMT_TRACE_STOP:
		answer_trace_stop(c, p);
		c->end = true;
		return;
	case MGMT_LEASES:
		mgmt_leases_answer(c, p);
		return;
	case MGMT_CLEAR_LEASES:
		mgmt_leases_clear(c, p);
		return;
	case MGMT_IMPORT:
		mgmt_leases_import(c, p);
		return;
	case MGMT_RELOAD:
		c->end = p->reload_apply(p->ctx, c->reload);
		return;
	default:
		answer_rows(c, p);
	}
}

static void free_rows(struct mgmt_call *c)
{
	for (size_t i = 0; i < c->count; i++)
		switch (c->what) {
		case MGMT_SESSIONS:
		case MGMT_SAS:
			free(c->rows.sessions[i]);
			break;
		case MGMT_POOLS:
			free(c->rows.pools[i].ranges);
			break;
		case MGMT_LEASES:
			free(c->rows.leases[i].text);
			break;
		case MGMT_TRACE_SHOW:
			free((void *)(uintptr_t)c->rows.trace[i].row.bytes.p);
			break;
		default:
			return;
		}
}

static void free_reload(struct mgmt_reload *r)
{
	if (!r)
		return;
	cfg_free(r->cfg);
	free(r->messages);
	free(r);
}

void mgmt_call_reset(struct mgmt_call *c)
{
	free_rows(c);
	c->count = 0;
	if (!c->end)
		return; // what the request brought is needed again
	if (c->trace.filter) {
		trace_filter_free(c->trace.filter);
		free(c->trace.filter);
		c->trace.filter = NULL;
	}
	free(c->imports);
	c->imports = NULL;
	free_reload(c->reload);
	c->reload = NULL;
}

void mgmt_call_fini(struct mgmt_call *c)
{
	c->end = true;
	mgmt_call_reset(c);
}
