// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_rows.h"

#include "base/log.h"

#include <string.h>

#define NAME_TEXT_MAX 512

json_t *mgmt_number(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

json_t *mgmt_name(const char *s)
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

json_t *mgmt_address(const struct ip_addr *a)
{
	char text[IP_TEXT_MAX];
	return json_string(a->family ? ip_text(a, text) : "");
}

// What is leased: an address, or a network with its length.
static json_t *network(const struct ip_addr *a, uint8_t bits)
{
	char text[IP_TEXT_MAX];
	if (bits == 0 || bits == ip_bits(a->family))
		return mgmt_address(a);
	return json_string(ip_prefix_text(&(struct ip_prefix){*a, bits}, text));
}

static json_t *seconds(uint64_t now_ns, uint64_t since_ns)
{
	return mgmt_number(since_ns && now_ns > since_ns ? (now_ns - since_ns) / NS_PER_S : 0);
}

// Until then, null where it never comes.
static json_t *seconds_until(uint64_t now_ns, uint64_t due_ns)
{
	if (!due_ns)
		return json_null();
	return mgmt_number(due_ns > now_ns ? (due_ns - now_ns) / NS_PER_S : 0);
}

static json_t *selectors(const struct selector *ts, size_t count)
{
	char text[SELECTOR_TEXT_MAX];
	json_t *a = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(a, json_string(selector_text(&ts[i], text)));
	return a;
}

// Empty until it is agreed on.
static json_t *suite_name(const struct suite *s)
{
	char text[SUITE_TEXT_MAX];
	return json_string(s->encr.id ? suite_text(s, text) : "");
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

static const char *mode_name(enum sa_mode m)
{
	return m == SA_TRANSPORT ? "transport" : "tunnel";
}

static json_t *session_children(const struct ike_session_info *s)
{
	json_t *a = json_array();
	for (size_t i = 0; i < s->child_count; i++) {
		const struct ike_child_info *c = &s->children[i];
		json_array_append_new(
			a, json_pack("{so so so so ss sb so so}", "name", mgmt_name(c->name),
				   "spi_in", spi(c->spi_in), "spi_out", spi(c->spi_out), "esp",
				   suite_name(&c->esp), "mode", mode_name(c->mode), "legacy",
				   c->legacy, "ts_local", selectors(c->ts_local, c->ts_local_count),
				   "ts_remote", selectors(c->ts_remote, c->ts_remote_count)));
	}
	return a;
}

json_t *mgmt_session(const struct ike_session_info *s, uint64_t now_ns)
{
	json_t *inner = json_array(), *groups = json_array();
	for (size_t i = 0; i < s->inner_count; i++)
		json_array_append_new(inner, network(&s->inner[i], s->inner_bits[i]));
	for (size_t i = 0; s->groups && i < s->groups->count; i++)
		json_array_append_new(groups, mgmt_name(s->groups->items[i]));
	json_t *j = json_pack("{so so si ss so so so so so si sb so si so}", "id",
		mgmt_number(s->id), "connection", mgmt_name(s->connection), "ike_version",
		s->ike_version, "state", state_name(s->state), "remote_id", mgmt_name(s->remote_id),
		"user", mgmt_name(s->user), "group", mgmt_name(s->group), "mode_config",
		mgmt_name(s->mode_config), "remote_addr", mgmt_address(&s->remote.addr),
		"remote_port", s->remote.port, "nat", s->nat, "inner_addrs", inner, "worker",
		s->worker, "established_s", seconds(now_ns, s->established_ns));
	json_object_set_new(j, "groups", groups);
	json_object_set_new(j, "bytes_in", mgmt_number(s->bytes_in));
	json_object_set_new(j, "bytes_out", mgmt_number(s->bytes_out));
	json_object_set_new(j, "packets_in", mgmt_number(s->packets_in));
	json_object_set_new(j, "packets_out", mgmt_number(s->packets_out));
	json_object_set_new(j, "policed_in", mgmt_number(s->policed_in));
	json_object_set_new(j, "policed_out", mgmt_number(s->policed_out));
	json_object_set_new(j, "idle_s", seconds(now_ns, s->used_ns));
	json_object_set_new(j, "ike", suite_name(&s->ike));
	json_object_set_new(j, "legacy", json_boolean(s->legacy));
	json_object_set_new(j, "role", json_string(s->initiator ? "initiator" : "responder"));
	json_object_set_new(j, "responder_only", json_boolean(s->responder_only));
	json_object_set_new(j, "mobike", json_boolean(s->mobike));
	json_object_set_new(j, "rekey_in_s", seconds_until(now_ns, s->rekey_ns));
	json_object_set_new(j, "reauth_in_s", seconds_until(now_ns, s->reauth_ns));
	json_object_set_new(j, "expires_in_s", seconds_until(now_ns, s->expires_ns));
	json_object_set_new(j, "path_mtu", json_integer(s->path_mtu));
	json_object_set_new(j, "child_sas", session_children(s));
	return j;
}

json_t *mgmt_sa(const struct ike_session_info *s, const struct ike_child_info *c, uint64_t now_ns)
{
	json_t *j =
		json_pack("{so so so so so so so so si so si so}", "session", mgmt_number(s->id),
			"name", mgmt_name(c->name), "remote_id", mgmt_name(s->remote_id), "user",
			mgmt_name(s->user), "spi_in", spi(c->spi_in), "spi_out", spi(c->spi_out),
			"esp", suite_name(&c->esp), "remote_addr", mgmt_address(&s->remote.addr),
			"remote_port", s->remote.port, "local_addr", mgmt_address(&s->local.addr),
			"worker", c->worker, "installed_s", seconds(now_ns, c->installed_ns));
	json_object_set_new(j, "mode", json_string(mode_name(c->mode)));
	json_object_set_new(j, "legacy", json_boolean(c->legacy));
	json_object_set_new(j, "rekey_in_s", seconds_until(now_ns, c->rekey_ns));
	json_object_set_new(j, "expires_in_s", seconds_until(now_ns, c->expires_ns));
	json_object_set_new(j, "esn", json_boolean(c->esp.esn));
	json_object_set_new(j, "bytes_in", mgmt_number(c->in.bytes));
	json_object_set_new(j, "bytes_out", mgmt_number(c->out.bytes));
	json_object_set_new(j, "packets_in", mgmt_number(c->in.packets));
	json_object_set_new(j, "packets_out", mgmt_number(c->out.packets));
	json_object_set_new(j, "seq_in", mgmt_number(c->in.seq));
	json_object_set_new(j, "seq_out", mgmt_number(c->out.seq));
	json_object_set_new(j, "auth_failed", mgmt_number(c->in.auth_failed));
	json_object_set_new(j, "replayed", mgmt_number(c->in.replayed));
	json_object_set_new(j, "selector_mismatch", mgmt_number(c->in.selector_mismatch));
	json_object_set_new(j, "malformed", mgmt_number(c->in.malformed));
	json_object_set_new(j, "path_mtu", json_integer(c->path_mtu));
	json_object_set_new(j, "ts_local", selectors(c->ts_local, c->ts_local_count));
	json_object_set_new(j, "ts_remote", selectors(c->ts_remote, c->ts_remote_count));
	return j;
}

// What the connection begins by itself.
static const char *role_name(const struct ike_connection_info *c)
{
	if (c->responder_only)
		return "responder-only";
	switch (c->initiate) {
	case CFG_INITIATE_START:
		return "start";
	case CFG_INITIATE_ON_DEMAND:
		return "on-demand";
	default:
		return "responds";
	}
}

json_t *mgmt_connection(const struct mgmt_connection_row *r, uint64_t now_ns)
{
	const struct ike_connection_info *c = &r->info;
	json_t *versions = json_array();
	if (c->ikev1)
		json_array_append_new(versions, json_integer(1));
	if (c->ikev2)
		json_array_append_new(versions, json_integer(2));
	return json_pack("{so so ss sb so so si so so so so so so sb}", "name", mgmt_name(c->name),
		"ike_versions", versions, "role", role_name(c), "tunnel_interface",
		c->tunnel_interface, "state", mgmt_name(c->state), "peer_addr",
		mgmt_address(&c->peer.addr), "peer_port", c->peer.port, "sessions",
		mgmt_number(c->sessions), "attempts", mgmt_number(c->attempts), "next_try_in_s",
		seconds_until(now_ns, c->next_try_ns), "last_error", mgmt_name(r->last_error),
		"held", mgmt_number(c->held), "policy_rules", mgmt_number(c->policy_rules),
		"client_to_client", c->client_to_client);
}

json_t *mgmt_port(const struct dp_port_info *p)
{
	json_t *j = json_pack("{so so sb si so si si si}", "name", mgmt_name(p->name), "driver",
		mgmt_name(p->driver), "link", p->link, "speed_mbps", (int)p->speed_mbps, "mac",
		json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1], p->mac[2],
			p->mac[3], p->mac[4], p->mac[5]),
		"mtu", p->mtu, "socket", p->socket, "queues", p->queues);
	json_t *members = json_array();
	for (size_t i = 0; i < p->member_count; i++)
		json_array_append_new(members, mgmt_name(p->members[i]));
	json_object_set_new(j, "vlan", mgmt_number(p->vlan));
	json_object_set_new(j, "members", members);
	json_object_set_new(j, "removed", json_boolean(p->removed));
	json_object_set_new(j, "removals", mgmt_number(p->removals));
	json_object_set_new(j, "exception", mgmt_name(p->exception ? p->exception : ""));
	json_object_set_new(j, "exception_to", mgmt_number(p->exception_to));
	json_object_set_new(j, "exception_from", mgmt_number(p->exception_from));
	json_object_set_new(j, "rss", mgmt_name(p->rss ? p->rss : ""));
	json_object_set_new(j, "rss_right", mgmt_number(p->rss_right));
	json_object_set_new(j, "rss_wrong", mgmt_number(p->rss_wrong));
	json_object_set_new(j, "rx_packets", mgmt_number(p->rx_packets));
	json_object_set_new(j, "tx_packets", mgmt_number(p->tx_packets));
	json_object_set_new(j, "rx_bytes", mgmt_number(p->rx_bytes));
	json_object_set_new(j, "tx_bytes", mgmt_number(p->tx_bytes));
	json_object_set_new(j, "missed", mgmt_number(p->missed));
	json_object_set_new(j, "errors", mgmt_number(p->errors));
	json_object_set_new(j, "no_mbuf", mgmt_number(p->no_mbuf));
	return j;
}

// 0 where there is nothing to divide by.
static json_t *ratio(uint64_t a, uint64_t b)
{
	return json_real(b ? (double)a / (double)b : 0.0);
}

// Where the cycles of a packet go: of the polls that were sampled.
static json_t *stages(const struct dp_worker_info *w)
{
	json_t *j = json_object();
	for (size_t i = 0; i < DP_STAGES; i++)
		json_object_set_new(
			j, dp_stage_name[i], ratio(w->stage_cycles[i], w->stage_packets));
	return j;
}

json_t *mgmt_worker(const struct dp_worker_info *w, const char *const *handoff_names)
{
	json_t *handoff = json_object();
	for (size_t i = 0; i < DP_HANDOFF_CAUSES; i++)
		json_object_set_new(handoff, handoff_names[i], mgmt_number(w->handoff_out[i]));
	json_t *j = json_pack("{si si si so so so}", "id", w->id, "lcore", w->lcore, "socket",
		w->socket, "polls", mgmt_number(w->polls), "idle_polls", mgmt_number(w->idle_polls),
		"sleeps", mgmt_number(w->sleeps));
	json_object_set_new(j, "rx_packets", mgmt_number(w->rx_packets));
	json_object_set_new(j, "tx_packets", mgmt_number(w->tx_packets));
	json_object_set_new(j, "drops", mgmt_number(w->drops));
	json_object_set_new(j, "punts", mgmt_number(w->punts));
	json_object_set_new(j, "esp_in_packets", mgmt_number(w->esp_in_packets));
	json_object_set_new(j, "esp_out_packets", mgmt_number(w->esp_out_packets));
	json_object_set_new(j, "cycles_per_packet", ratio(w->busy_cycles, w->busy_packets));
	json_object_set_new(j, "burst_fill", ratio(w->busy_packets, w->busy_polls));
	json_object_set_new(
		j, "idle_share", ratio(w->idle_cycles, w->idle_cycles + w->busy_cycles));
	json_object_set_new(j, "stage_cycles", stages(w));
	json_object_set_new(j, "handoff_in", mgmt_number(w->handoff_in));
	json_object_set_new(j, "handoff_out", handoff);
	json_object_set_new(j, "tunnels", mgmt_number(w->tunnels));
	json_object_set_new(j, "sas", mgmt_number(w->sas));
	return j;
}

json_t *mgmt_hexadecimal(struct view v)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * v.len + 1);
	if (!text)
		return json_null();
	for (size_t i = 0; i < v.len; i++) {
		text[2 * i] = digits[v.p[i] >> 4];
		text[2 * i + 1] = digits[v.p[i] & 15];
	}
	json_t *j = json_stringn(text, 2 * v.len);
	free(text);
	return j;
}

json_t *mgmt_trace(const struct mgmt_trace_row *r)
{
	const struct dp_trace_row *t = &r->row;
	json_t *j = json_pack("{so si so ss si so so so si sb so}", "packet",
		mgmt_number(t->packet), "worker", t->worker, "time_ns", mgmt_number(t->unix_ns),
		"stage", dp_trace_stage_name[t->stage], "length", (int)t->len, "port",
		t->port ? mgmt_name(t->port) : json_null(), "why",
		t->why ? mgmt_name(t->why) : json_null(), "session", mgmt_number(t->session),
		"captured", (int)t->bytes.len, "framed", t->framed, "summary",
		mgmt_name(r->summary));
	if (t->bytes.p)
		json_object_set_new(j, "bytes", mgmt_hexadecimal(t->bytes));
	return j;
}

static void add_store(json_t *j, const struct lease_store_stats *s)
{
	json_object_set_new(j, "lease_rows", mgmt_number(s->rows));
	json_object_set_new(j, "lease_bytes", mgmt_number(s->bytes));
	json_object_set_new(j, "lease_commits", mgmt_number(s->commits));
	json_object_set_new(j, "lease_writes", mgmt_number(s->written));
	json_object_set_new(j, "lease_failed_commits", mgmt_number(s->failed_commits));
	json_object_set_new(j, "lease_waiting", mgmt_number(s->waiting));
	json_object_set_new(j, "lease_commit_us", mgmt_number(s->commit_ns / 1000));
	json_object_set_new(j, "lease_commit_max_us", mgmt_number(s->commit_max_ns / 1000));
	json_object_set_new(j, "lease_degraded", json_boolean(s->degraded));
	if (s->degraded)
		json_object_set_new(j, "warning",
			json_sprintf(
				"leases cannot be written to disk: %llu wait in memory and would "
				"be lost with the process",
				(unsigned long long)s->waiting));
}

json_t *mgmt_status(const struct mgmt_status *s, uint64_t now_ns)
{
	json_t *j = json_pack("{ss so si si so so so so sb so sb sb}", "version", SALLYPORT_VERSION,
		"uptime_s", seconds(now_ns, s->started_ns), "workers", s->workers, "node_id",
		(int)s->node_id, "sessions", mgmt_number(s->ike.sessions), "children",
		mgmt_number(s->ike.children), "half_open", mgmt_number(s->ike.half_open), "ike_sas",
		mgmt_number(s->ike.ike_sas), "cookies", s->ike.cookies, "jobs_pending",
		mgmt_number(s->ike.jobs_pending), "congested", s->congested, "stopping",
		s->stopping);
	json_object_set_new(
		j, "lease_store", json_string(s->leases_stored ? "embedded" : "memory"));
	if (s->leases_stored)
		add_store(j, &s->leases);
	return j;
}
