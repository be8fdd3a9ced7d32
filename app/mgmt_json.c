// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_rows.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

// The array or object that a reply consists of.
static const char *const keys[] = {
	[MGMT_SESSIONS] = "sessions",
	[MGMT_SAS] = "sas",
	[MGMT_CONNECTIONS] = "connections",
	[MGMT_POOLS] = "pools",
	[MGMT_LEASES] = "leases",
	[MGMT_PORTS] = "ports",
	[MGMT_COUNTERS] = "counters",
	[MGMT_WORKERS] = "workers",
	[MGMT_TRACE_SHOW] = "trace",
};

void mgmt_text_add(struct mgmt_text *t, const char *bytes, size_t len)
{
	if (t->failed)
		return;
	if (t->cap - t->len < len) {
		size_t cap = (t->len + len) * 2;
		char *p = realloc(t->p, cap);
		if (!p) {
			t->failed = true;
			return;
		}
		t->p = p;
		t->cap = cap;
	}
	memcpy(t->p + t->len, bytes, len);
	t->len += len;
}

static void add_text(struct mgmt_text *t, const char *s)
{
	mgmt_text_add(t, s, strlen(s));
}

// Takes the reference to value.
static void add_json(struct mgmt_text *t, json_t *value)
{
	char *s = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))
			: NULL;
	if (s)
		add_text(t, s);
	else
		t->failed = true;
	free(s);
	json_decref(value);
}

static void add_element(struct mgmt_reply *r, json_t *value)
{
	if (r->elements)
		mgmt_text_add(&r->text, ",", 1);
	r->elements = true;
	add_json(&r->text, value);
}

static void add_sas(struct mgmt_reply *r, const struct ike_session_info *s, uint64_t now_ns)
{
	for (size_t i = 0; i < s->child_count; i++)
		add_element(r, mgmt_sa(s, &s->children[i], now_ns));
}

static json_t *lease_row(const struct mgmt_call *c, size_t i)
{
	const struct mgmt_lease_row *row = &c->rows.leases[i];
	uint64_t unix_s = (uint64_t)time(NULL);
	return c->keys ? mgmt_lease_short(row, c->now_ns, unix_s)
		       : mgmt_lease(row, c->now_ns, unix_s);
}

static void add_row(
	struct mgmt_reply *r, const struct mgmt_call *c, size_t i, const char *const *handoff)
{
	switch (c->what) {
	case MGMT_SESSIONS:
		add_element(r, mgmt_session(c->rows.sessions[i], c->now_ns));
		break;
	case MGMT_SAS:
		add_sas(r, c->rows.sessions[i], c->now_ns);
		break;
	case MGMT_CONNECTIONS:
		add_element(r, mgmt_connection(&c->rows.connections[i], c->now_ns));
		break;
	case MGMT_POOLS:
		add_element(r, mgmt_pool(&c->rows.pools[i]));
		break;
	case MGMT_LEASES:
		add_element(r, lease_row(c, i));
		break;
	case MGMT_PORTS:
		add_element(r, mgmt_port(&c->rows.ports[i]));
		break;
	case MGMT_WORKERS:
		add_element(r, mgmt_worker(&c->rows.workers[i], handoff));
		break;
	case MGMT_TRACE_SHOW:
		add_element(r, mgmt_trace(&c->rows.trace[i]));
		break;
	default:
		add_element(r, mgmt_name(c->rows.counters[i].name));
		mgmt_text_add(&r->text, ":", 1);
		add_json(&r->text, mgmt_number(c->rows.counters[i].value));
	}
}

// Where the next page begins.
static void add_next(struct mgmt_text *out, uint64_t cursor)
{
	add_text(out, "],\"next\":");
	add_json(out, mgmt_number(cursor));
	add_text(out, "}\n");
}

static void format_rows(const struct mgmt_call *c, const char *const *handoff, struct mgmt_reply *r)
{
	struct mgmt_text *out = &r->text;
	bool object = c->what == MGMT_COUNTERS;
	if (!r->opened) {
		add_text(out, "{\"");
		add_text(out, keys[c->what]);
		add_text(out, object ? "\":{" : "\":[");
		r->opened = true;
	}
	for (size_t i = 0; i < c->count; i++)
		add_row(r, c, i, handoff);
	if (c->end && c->paged)
		add_next(out, c->cursor);
	else if (c->end)
		add_text(out, object ? "}}\n" : "]}\n");
}

static void format_object(json_t *j, struct mgmt_reply *r)
{
	add_json(&r->text, j);
	add_text(&r->text, "\n");
}

// {"word":n}, what the request has come to.
static void format_number(const char *word, uint64_t n, struct mgmt_reply *r)
{
	add_json(&r->text, json_pack("{so}", word, mgmt_number(n)));
	add_text(&r->text, "\n");
}

static void format_clear(const struct mgmt_call *c, struct mgmt_reply *r)
{
	if (!c->end)
		return;
	if (c->by == IKE_CLEAR_ID && c->cleared == 0)
		mgmt_format_error("no such session", r);
	else
		format_number("cleared", c->cleared, r);
}

void mgmt_format(const struct mgmt_call *c, const char *const *handoff_names, struct mgmt_reply *r)
{
	if (c->why) {
		mgmt_format_error(c->why, r);
		return;
	}
	switch (c->what) {
	case MGMT_STATUS:
		add_json(&r->text,
			json_pack("{so}", "status", mgmt_status(&c->rows.status, c->now_ns)));
		add_text(&r->text, "\n");
		break;
	case MGMT_CLEAR:
		format_clear(c, r);
		break;
	case MGMT_CLEAR_LEASES:
		if (c->end)
			format_number("cleared", c->cleared, r);
		break;
	case MGMT_IMPORT:
		format_object(mgmt_imported(c), r);
		break;
	case MGMT_RELOAD:
		format_object(mgmt_reload_reply(c->reload), r);
		break;
	case MGMT_INITIATE:
		format_number("initiated", c->id, r);
		break;
	case MGMT_REKEY:
		format_number("rekeying", c->id, r);
		break;
	case MGMT_REAUTHENTICATE:
		format_number("reauthenticating", c->id, r);
		break;
	case MGMT_TRACE_START:
		format_number("tracing", c->trace.packets, r);
		break;
	case MGMT_TRACE_STOP:
		format_number("traced", c->traced, r);
		break;
	default:
		format_rows(c, handoff_names, r);
	}
}

void mgmt_format_error(const char *why, struct mgmt_reply *r)
{
	add_json(&r->text, json_pack("{so}", "error", mgmt_name(why)));
	add_text(&r->text, "\n");
}
