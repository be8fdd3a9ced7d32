// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the data plane tells about itself.
#include "dataplane/dataplane.h"

#include "dataplane/worker.h"

static uint64_t drops_of(const struct dp_worker *w)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		n += dp_get(&w->stats.drops[i]);
	return n;
}

bool dp_worker_info(struct dp *d, size_t i, struct dp_worker_info *out)
{
	if (i >= d->worker_count)
		return false;
	const struct dp_worker *w = d->workers[i];
	const struct dp_stats *s = &w->stats;
	*out = (struct dp_worker_info){
		.id = w->id,
		.lcore = d->cfg->main.workers[i],
		.socket = w->socket,
		.polls = dp_get(&s->polls),
		.idle_polls = dp_get(&s->idle_polls),
		.sleeps = dp_get(&s->sleeps),
		.rx_packets = dp_get(&s->rx_packets),
		.tx_packets = dp_get(&s->tx_packets),
		.drops = drops_of(w),
		.punts = dp_get(&s->punts),
		.esp_in_packets = dp_get(&s->esp_in_packets),
		.esp_out_packets = dp_get(&s->esp_out_packets),
		.handoff_in = dp_get(&s->handoff_in),
		.busy_cycles = dp_get(&s->busy_cycles),
		.busy_polls = dp_get(&s->busy_polls),
		.busy_packets = dp_get(&s->busy_packets),
		.idle_cycles = dp_get(&s->idle_cycles),
		.stage_packets = dp_get(&s->stage_packets),
		.tunnels = (uint32_t)dp_get(&s->tunnels),
		.sas = (uint32_t)dp_get(&s->sas),
	};
	for (unsigned k = 0; k < DP_STAGES; k++)
		out->stage_cycles[k] = dp_get(&s->stage_cycles[k]);
	for (unsigned c = 0; c < DP_HANDOFF_CAUSES; c++)
		out->handoff_out[c] = dp_get(&s->handoff_out[c]);
	return true;
}

struct row {
	const char *name, *help;
	size_t offset; // in struct dp_stats
};

#define ROW(field, text)                                             \
	{                                                            \
		"dp_" #field, text, offsetof(struct dp_stats, field) \
	}
#define HANDOFF(cause, name, text)                                                              \
	{                                                                                       \
		"dp_handoff_" name, text,                                                       \
			offsetof(struct dp_stats, handoff_out) + (cause) * sizeof(dp_counter_t) \
	}

static const struct row rows[] = {
	ROW(rx_packets, "frames received"),
	ROW(tx_packets, "frames sent"),
	ROW(punts, "packets given to the control thread"),
	ROW(ike_unknown, "IKE datagrams with an SPI that no established IKE SA of ours has"),
	ROW(esp_in_packets, "ESP packets decrypted and accepted"),
	ROW(esp_out_packets, "ESP packets encrypted"),
	ROW(ecn_alarms,
		"decrypted packets with a combination of inner and outer ECN fields that is "
		"always potentially dangerous (RFC 6040 4.2, \"(!!!)\")"),
	ROW(ecn_suspect, "the same, possibly dangerous (RFC 6040 4.2, \"(!)\")"),
	ROW(mss_clamped, "TCP SYN whose MSS was lowered"),
	ROW(tfc_padded, "packets padded for traffic flow confidentiality"),
	ROW(cut_before, "inner packets cut into fragments before encryption"),
	ROW(cut_after, "ESP packets that left in fragments"),
	ROW(cut_clear, "decrypted or routed packets cut into fragments for a port's MTU"),
	ROW(joined, "ESP packets that came in fragments and were put together"),
	ROW(handoff_in, "packets taken from other workers"),
	HANDOFF(DP_HANDOFF_MISPREDICTED, "mispredicted",
		"packets that the NIC gave to another worker than predicted"),
	HANDOFF(DP_HANDOFF_STICKY, "sticky",
		"packets of clients whose address is of another worker's shard"),
	HANDOFF(DP_HANDOFF_ROAMING, "roaming", "packets of clients that moved"),
	HANDOFF(DP_HANDOFF_PREFIX, "prefix", "packets to networks behind a peer"),
	HANDOFF(DP_HANDOFF_FRAGMENT, "fragment", "packets that came in fragments"),
	HANDOFF(DP_HANDOFF_CLIENT, "client", "packets from one client to another"),
	HANDOFF(DP_HANDOFF_TX, "tx", "frames for ports with fewer queues than workers"),
};

bool dp_counter(const struct dp *d, size_t i, const char **name, uint64_t *value, const char **help)
{
	*value = 0;
	if (i < RTE_DIM(rows)) {
		*name = rows[i].name;
		*help = rows[i].help;
		for (uint16_t w = 0; w < d->worker_count; w++) {
			const char *s = (const char *)&d->workers[w]->stats + rows[i].offset;
			*value += dp_get((const dp_counter_t *)(const void *)s);
		}
		return true;
	}
	i -= RTE_DIM(rows);
	if (i < DP_PMTU_COUNT) {
		*name = dp_pmtu_name[i];
		*help = dp_pmtu_text[i];
		*value = d->pmtu[i];
		return true;
	}
	i -= DP_PMTU_COUNT;
	if (i >= DP_DROP_COUNT)
		return false;
	*name = dp_drop_name[i];
	*help = dp_drop_text[i];
	*value = d->drops[i];
	for (uint16_t w = 0; w < d->worker_count; w++)
		*value += dp_get(&d->workers[w]->stats.drops[i]);
	return true;
}
