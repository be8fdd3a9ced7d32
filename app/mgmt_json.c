// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_internal.h"

#include "base/log.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_TEXT_MAX 512

// The array or object that a reply consists of, by enum mgmt_what.
static const struct {
	const char *word; // in the request
	const char *key;  // in the reply
} whats[] = {
	[MGMT_SESSIONS] = {"sessions", "sessions"},
	[MGMT_SAS] = {"sa", "sas"},
	[MGMT_POOLS] = {"pools", "pools"},
	[MGMT_PORTS] = {"ports", "ports"},
	[MGMT_COUNTERS] = {"counters", "counters"},
	[MGMT_WORKERS] = {"workers", "workers"},
	[MGMT_STATUS] = {"status", "status"},
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
	char *s = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	if (s)
		add_text(t, s);
	else
		t->failed = true;
	free(s);
	json_decref(value);
}

static json_t *number(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

// Names that peers choose may be any bytes; JSON is UTF-8.
static json_t *name(const char *s)
{
	char safe[NAME_TEXT_MAX];
	if (!s)
		s = "";
	json_t *j = json_string(s);
	return j ? j : json_string(log_printable(s, strlen(s), safe, sizeof(safe)));
}

static json_t *spi(uint32_t v)
{
	return json_sprintf("0x%08x", v);
}

static json_t *address(const struct ip_addr *a)
{
	char text[IP_TEXT_MAX];
	return json_string(a->family ? ip_text(a, text) : "");
}

static json_t *seconds(uint64_t now_ns, uint64_t since_ns)
{
	return number(since_ns && now_ns > since_ns ? (now_ns - since_ns) / NS_PER_S : 0);
}

static json_t *selectors(const struct selector *ts, size_t count)
{
	char text[SELECTOR_TEXT_MAX];
	json_t *a = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(a, json_string(selector_text(&ts[i], text)));
	return a;
}

static json_t *suite_name(const struct suite *s)
{
	char text[SUITE_TEXT_MAX];
	return json_string(suite_text(s, text));
}

static const char *state_name(enum ike_session_state s)
{
	switch (s) {
	case IKE_SESSION_CONNECTING:
		return "connecting";
	case IKE_SESSION_ESTABLISHED:
		return "established";
	case IKE_SESSION_REKEYING:
		return "rekeying";
	case IKE_SESSION_EXPIRED:
		return "expired";
	case IKE_SESSION_DELETING:
		return "deleting";
	}
	return "";
}

static json_t *session_children(const struct ike_session_info *s)
{
	json_t *a = json_array();
	for (size_t i = 0; i < s->child_count; i++) {
		const struct ike_child_info *c = &s->children[i];
		json_array_append_new(
			a, json_pack("{so so so so sb so so}", "name", name(c->name), "spi_in",
				   spi(c->spi_in), "spi_out", spi(c->spi_out), "esp",
				   suite_name(&c->esp), "legacy", c->legacy, "ts_local",
				   selectors(c->ts_local, c->ts_local_count), "ts_remote",
				   selectors(c->ts_remote, c->ts_remote_count)));
	}
	return a;
}

static json_t *session(const struct ike_session_info *s, uint64_t now_ns)
{
	json_t *inner = json_array();
	for (size_t i = 0; i < s->inner_count; i++)
		json_array_append_new(inner, address(&s->inner[i]));
	json_t *j = json_pack("{so so si ss so so so so so si sb so si so}", "id", number(s->id),
		"connection", name(s->connection), "ike_version", s->ike_version, "state",
		state_name(s->state), "remote_id", name(s->remote_id), "user", name(s->user),
		"group", name(s->group), "mode_config", name(s->mode_config), "remote_addr",
		address(&s->remote.addr), "remote_port", s->remote.port, "nat", s->nat,
		"inner_addrs", inner, "worker", s->worker, "established_s",
		seconds(now_ns, s->established_ns));
	json_object_set_new(j, "bytes_in", number(s->bytes_in));
	json_object_set_new(j, "bytes_out", number(s->bytes_out));
	json_object_set_new(j, "packets_in", number(s->packets_in));
	json_object_set_new(j, "packets_out", number(s->packets_out));
	json_object_set_new(j, "ike", suite_name(&s->ike));
	json_object_set_new(j, "legacy", json_boolean(s->legacy));
	json_object_set_new(j, "child_sas", session_children(s));
	return j;
}

static json_t *sa(const struct ike_session_info *s, const struct ike_child_info *c, uint64_t now_ns)
{
	json_t *j = json_pack("{so so so so so so so so si so si so}", "session", number(s->id),
		"name", name(c->name), "remote_id", name(s->remote_id), "user", name(s->user),
		"spi_in", spi(c->spi_in), "spi_out", spi(c->spi_out), "esp", suite_name(&c->esp),
		"remote_addr", address(&s->remote.addr), "remote_port", s->remote.port,
		"local_addr", address(&s->local.addr), "worker", s->worker, "installed_s",
		seconds(now_ns, c->installed_ns));
	json_object_set_new(j, "legacy", json_boolean(c->legacy));
	json_object_set_new(j, "esn", json_boolean(c->esp.esn));
	json_object_set_new(j, "bytes_in", number(c->in.bytes));
	json_object_set_new(j, "bytes_out", number(c->out.bytes));
	json_object_set_new(j, "packets_in", number(c->in.packets));
	json_object_set_new(j, "packets_out", number(c->out.packets));
	json_object_set_new(j, "seq_in", number(c->in.seq));
	json_object_set_new(j, "seq_out", number(c->out.seq));
	json_object_set_new(j, "auth_failed", number(c->in.auth_failed));
	json_object_set_new(j, "replayed", number(c->in.replayed));
	json_object_set_new(j, "selector_mismatch", number(c->in.selector_mismatch));
	json_object_set_new(j, "malformed", number(c->in.malformed));
	json_object_set_new(j, "ts_local", selectors(c->ts_local, c->ts_local_count));
	json_object_set_new(j, "ts_remote", selectors(c->ts_remote, c->ts_remote_count));
	return j;
}

static json_t *pool(const struct pool_stats *p)
{
	return json_pack("{so so so so so so so so so so so so}", "name", name(p->name), "size",
		number(p->size), "free", number(p->free), "in_use", number(p->in_use), "lingering",
		number(p->lingering), "reserved", number(p->reserved), "high_water",
		number(p->high_water), "allocated", number(p->allocated), "released",
		number(p->released), "exhausted", number(p->exhausted), "borrowed",
		number(p->borrowed), "adopted", number(p->adopted));
}

static json_t *port(const struct dp_port_info *p)
{
	json_t *j = json_pack("{so so sb si so si si si}", "name", name(p->name), "driver",
		name(p->driver), "link", p->link, "speed_mbps", (int)p->speed_mbps, "mac",
		json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1], p->mac[2],
			p->mac[3], p->mac[4], p->mac[5]),
		"mtu", p->mtu, "socket", p->socket, "queues", p->queues);
	json_object_set_new(j, "rx_packets", number(p->rx_packets));
	json_object_set_new(j, "tx_packets", number(p->tx_packets));
	json_object_set_new(j, "rx_bytes", number(p->rx_bytes));
	json_object_set_new(j, "tx_bytes", number(p->tx_bytes));
	json_object_set_new(j, "missed", number(p->missed));
	json_object_set_new(j, "errors", number(p->errors));
	json_object_set_new(j, "no_mbuf", number(p->no_mbuf));
	return j;
}

static json_t *worker(const struct dp_worker_info *w, const char *const *handoff_names)
{
	json_t *handoff = json_object();
	for (size_t i = 0; i < DP_HANDOFF_CAUSES; i++)
		json_object_set_new(handoff, handoff_names[i], number(w->handoff_out[i]));
	json_t *j = json_pack("{si si si so so so}", "id", w->id, "lcore", w->lcore, "socket",
		w->socket, "polls", number(w->polls), "idle_polls", number(w->idle_polls), "sleeps",
		number(w->sleeps));
	json_object_set_new(j, "rx_packets", number(w->rx_packets));
	json_object_set_new(j, "tx_packets", number(w->tx_packets));
	json_object_set_new(j, "drops", number(w->drops));
	json_object_set_new(j, "punts", number(w->punts));
	json_object_set_new(j, "esp_in_packets", number(w->esp_in_packets));
	json_object_set_new(j, "esp_out_packets", number(w->esp_out_packets));
	json_object_set_new(j, "handoff_in", number(w->handoff_in));
	json_object_set_new(j, "handoff_out", handoff);
	json_object_set_new(j, "tunnels", number(w->tunnels));
	json_object_set_new(j, "sas", number(w->sas));
	return j;
}

static json_t *status(const struct mgmt_status *s, uint64_t now_ns)
{
	return json_pack("{ss so si si so so so so sb so sb sb}", "version", SALLYPORT_VERSION,
		"uptime_s", seconds(now_ns, s->started_ns), "workers", s->workers, "node_id",
		(int)s->node_id, "sessions", number(s->ike.sessions), "children",
		number(s->ike.children), "half_open", number(s->ike.half_open), "ike_sas",
		number(s->ike.ike_sas), "cookies", s->ike.cookies, "jobs_pending",
		number(s->ike.jobs_pending), "congested", s->congested, "stopping", s->stopping);
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
		add_element(r, sa(s, &s->children[i], now_ns));
}

static void add_row(
	struct mgmt_reply *r, const struct mgmt_call *c, size_t i, const char *const *handoff)
{
	switch (c->what) {
	case MGMT_SESSIONS:
		add_element(r, session(c->rows.sessions[i], c->now_ns));
		break;
	case MGMT_SAS:
		add_sas(r, c->rows.sessions[i], c->now_ns);
		break;
	case MGMT_POOLS:
		add_element(r, pool(&c->rows.pools[i]));
		break;
	case MGMT_PORTS:
		add_element(r, port(&c->rows.ports[i]));
		break;
	case MGMT_WORKERS:
		add_element(r, worker(&c->rows.workers[i], handoff));
		break;
	default:
		add_element(r, name(c->rows.counters[i].name));
		mgmt_text_add(&r->text, ":", 1);
		add_json(&r->text, number(c->rows.counters[i].value));
	}
}

static void format_rows(const struct mgmt_call *c, const char *const *handoff, struct mgmt_reply *r)
{
	struct mgmt_text *out = &r->text;
	bool object = c->what == MGMT_COUNTERS;
	if (!r->opened) {
		add_text(out, "{\"");
		add_text(out, whats[c->what].key);
		add_text(out, object ? "\":{" : "\":[");
		r->opened = true;
	}
	for (size_t i = 0; i < c->count; i++)
		add_row(r, c, i, handoff);
	if (c->end)
		add_text(out, object ? "}}\n" : "]}\n");
}

void mgmt_format(const struct mgmt_call *c, const char *const *handoff_names, struct mgmt_reply *r)
{
	struct mgmt_text *out = &r->text;
	if (c->what == MGMT_STATUS) {
		add_json(out, json_pack("{so}", "status", status(&c->rows.status, c->now_ns)));
		add_text(out, "\n");
	} else if (c->what == MGMT_CLEAR) {
		if (!c->end)
			return;
		if (c->by == IKE_CLEAR_ID && c->cleared == 0) {
			mgmt_format_error("no such session", r);
			return;
		}
		add_json(out, json_pack("{so}", "cleared", number(c->cleared)));
		add_text(out, "\n");
	} else if (c->what == MGMT_INITIATE && !c->id) {
		mgmt_format_error(c->why, r);
	} else if (c->what == MGMT_INITIATE) {
		add_json(out, json_pack("{so}", "initiated", number(c->id)));
		add_text(out, "\n");
	} else {
		format_rows(c, handoff_names, r);
	}
}

void mgmt_format_error(const char *why, struct mgmt_reply *r)
{
	add_json(&r->text, json_pack("{so}", "error", name(why)));
	add_text(&r->text, "\n");
}

static int refuse(char *why, size_t cap, const char *text)
{
	snprintf(why, cap, "%s", text);
	return -EINVAL;
}

static int parse_show(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	for (size_t i = 0; what && i < MGMT_CLEAR; i++)
		if (strcmp(what, whats[i].word) == 0) {
			c->what = (enum mgmt_what)i;
			return 0;
		}
	return refuse(why, cap, "show what? sessions, sa, pools, ports, counters, workers, status");
}

static int parse_clear(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	const char *by = json_string_value(json_object_get(j, "by"));
	const json_t *value = json_object_get(j, "value");
	const char *text = json_string_value(value);
	if (!what || strcmp(what, "session") != 0 || !by)
		return refuse(why, cap, "clear what? session by id, user, address or all");
	c->what = MGMT_CLEAR;
	if (strcmp(by, "all") == 0) {
		c->by = IKE_CLEAR_ALL;
	} else if (strcmp(by, "id") == 0) {
		if (!json_is_integer(value) || json_integer_value(value) <= 0)
			return refuse(why, cap, "a session id is a positive number");
		c->by = IKE_CLEAR_ID;
		c->id = (uint64_t)json_integer_value(value);
	} else if (strcmp(by, "user") == 0) {
		if (!text || !*text || strlen(text) >= sizeof(c->user))
			return refuse(why, cap, "a user is a name");
		c->by = IKE_CLEAR_USER;
		memcpy(c->user, text, strlen(text) + 1);
	} else if (strcmp(by, "address") == 0) {
		if (!text || ip_parse(text, &c->address))
			return refuse(why, cap, "not an IP address");
		c->by = IKE_CLEAR_ADDRESS;
	} else {
		return refuse(why, cap, "clear what? session by id, user, address or all");
	}
	return 0;
}

static int parse_initiate(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *connection = json_string_value(json_object_get(j, "connection"));
	const char *peer = json_string_value(json_object_get(j, "address"));
	if (!connection || !*connection || strlen(connection) >= sizeof(c->connection))
		return refuse(why, cap, "initiate which connection?");
	if (!peer || ip_parse(peer, &c->address))
		return refuse(why, cap, "not an IP address");
	memcpy(c->connection, connection, strlen(connection) + 1);
	c->what = MGMT_INITIATE;
	return 0;
}

int mgmt_parse(const char *bytes, size_t len, struct mgmt_call *c, char *why, size_t cap)
{
	json_error_t error;
	json_t *j = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
	const char *command = json_string_value(json_object_get(j, "command"));
	int rc;

	*c = (struct mgmt_call){0};
	if (!j)
		rc = refuse(why, cap, "the request is not JSON");
	else if (command && strcmp(command, "show") == 0)
		rc = parse_show(j, c, why, cap);
	else if (command && strcmp(command, "clear") == 0)
		rc = parse_clear(j, c, why, cap);
	else if (command && strcmp(command, "initiate") == 0)
		rc = parse_initiate(j, c, why, cap);
	else
		rc = refuse(why, cap, "unknown command: show, clear and initiate are known");
	json_decref(j);
	return rc;
}
