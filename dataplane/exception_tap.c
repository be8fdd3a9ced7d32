// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/exception.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

LOG_SUBSYSTEM("exception");

#define READ_MAX    32  // frames a poll takes from one TAP
#define INJECT_FREE 128 // places of the inject ring that are left to others, IKE among them
#define PAUSE_NS    (10 * NS_PER_MS)
#define RETRY_NS    (2 * NS_PER_S) // between two tries to make a TAP that has gone
#define FRAME_MAX   (DP_PACKET_MAX + ETH_HDR_LEN)

// Who forwards to the kernel what came out of a tunnel, which has no Ethernet of its own.
static const struct pkt_mac tunnel_mac = {{0x02, 0x53, 0x41, 0x4c, 0x4c, 0x59}};

struct exception {
	int fd;      // -1: the interface is not there
	bool paused; // its rate is used up: not waited for
	bool told;   // that it cannot be made
	uint64_t retry_ns;
	struct local_rate to_rate, from_rate;
};

struct dp_exceptions {
	int epoll;
	unsigned paused;
	struct exception one[DP_PORTS_MAX]; // by port; unused where it names none
	uint8_t frame[FRAME_MAX];
};

// ---- The interface ----

static int configure(const struct dp_port *p, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
	if (fd < 0)
		return -errno;
	r->ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(r->ifr_hwaddr.sa_data, p->mac.addr_bytes, sizeof(p->mac.addr_bytes));
	if (ioctl(fd, SIOCSIFHWADDR, r))
		rc = -errno;
	r->ifr_mtu = p->mtu;
	if (rc == 0 && ioctl(fd, SIOCSIFMTU, r))
		rc = -errno;
	r->ifr_flags = IFF_UP;
	if (rc == 0 && ioctl(fd, SIOCSIFFLAGS, r))
		rc = -errno;
	close(fd);
	return rc;
}

static int tap_open(const struct dp_port *p, int *out)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", p->cfg->exception);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = ioctl(fd, TUNSETIFF, &r) ? -errno : configure(p, &r);
	if (rc)
		close(fd);
	else
		*out = fd;
	return rc;
}

static int wait_for(const struct dp_exceptions *s, int fd, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};
	return epoll_ctl(s->epoll, op, fd, &ev) ? -errno : 0;
}

static int exception_new(struct dp *d, uint16_t port, uint64_t now_ns)
{
	struct dp_exceptions *s = d->exceptions;
	struct exception *e = &s->one[port];
	const struct dp_port *p = &d->ports[port];
	int rc = tap_open(p, &e->fd);
	if (rc == 0)
		rc = wait_for(s, e->fd, EPOLL_CTL_ADD, EPOLLIN);
	e->retry_ns = now_ns + RETRY_NS;
	if (rc && !e->told)
		log_error("port %s: exception %s cannot be made: %s", p->cfg->name,
			p->cfg->exception, strerror(-rc));
	e->told = rc != 0;
	return rc;
}

static void gone(struct dp *d, uint16_t port)
{
	struct dp_exceptions *s = d->exceptions;
	struct exception *e = &s->one[port];
	log_warning("port %s: exception %s has been removed", d->ports[port].cfg->name,
		d->ports[port].cfg->exception);
	close(e->fd); // and out of the epoll set
	s->paused -= e->paused;
	e->paused = false;
	e->fd = -1;
}

int dp_exceptions_init(struct dp *d)
{
	uint64_t now_ns = clock_now_ns(d->seams.clock);
	int rc = 0;
	bool any = false;
	for (uint16_t i = 0; i < d->port_count; i++)
		any = any || d->ports[i].cfg->exception;
	if (!any)
		return 0;
	struct dp_exceptions *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	d->exceptions = s;
	for (uint16_t i = 0; i < DP_PORTS_MAX; i++)
		s->one[i].fd = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	rc = s->epoll < 0 ? -errno : wait_for(s, d->wake_fd, EPOLL_CTL_ADD, EPOLLIN);
	for (uint16_t i = 0; rc == 0 && i < d->port_count; i++) {
		uint32_t rate = d->ports[i].cfg->exception_rate;
		if (!d->ports[i].cfg->exception)
			continue;
		s->one[i].to_rate = s->one[i].from_rate =
			(struct local_rate){.per_s = rate, .burst = rate / 10 + READ_MAX};
		rc = exception_new(d, i, now_ns);
	}
	return rc;
}

void dp_exceptions_fini(struct dp *d)
{
	struct dp_exceptions *s = d->exceptions;
	if (!s)
		return;
	for (uint16_t i = 0; i < DP_PORTS_MAX; i++)
		if (s->one[i].fd >= 0)
			close(s->one[i].fd);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
	d->exceptions = NULL;
}

int dp_exceptions_fd(const struct dp *d)
{
	return d->exceptions ? d->exceptions->epoll : -1;
}

// ---- To the kernel ----

void dp_exception_write(struct dp *d, uint16_t port, struct view frame)
{
	struct exception *e = d->exceptions ? &d->exceptions->one[port] : NULL;
	if (!e || e->fd < 0) {
		dp_count_drop(d, DP_DROP_exception_full);
		return;
	}
	if (!local_rate_pass(&e->to_rate, d->now_ns)) {
		dp_count_drop(d, DP_DROP_exception_rate);
		return;
	}
	if (write(e->fd, frame.p, frame.len) == (ssize_t)frame.len)
		d->port_state->one[port].exception_to++;
	else
		dp_count_drop(d, DP_DROP_exception_full);
}

static bool not_ours(enum dp_drop why)
{
	return why == DP_DROP_local_proto || why == DP_DROP_icmp || why == DP_DROP_icmp_error ||
	       why == DP_DROP_icmp_fragment || why == DP_DROP_outer_fragment ||
	       why == DP_DROP_arp_unasked || why == DP_DROP_arp_foreign;
}

// Decrypted, for an own address: by the interface of the port that has it.
static bool offer_inner(struct dp *d, struct view packet)
{
	struct dp_exceptions *s = d->exceptions;
	struct pkt_ip ip;
	struct wr w = wr_of(s->frame, sizeof(s->frame));
	struct pkt_mac to;
	if (pkt_parse_ip(packet, &ip) != DP_DROP_NONE)
		return false;
	const struct dp_local *l = dp_local_lookup(&d->routes, ip.family, ip.dst.bytes);
	if (!l || s->one[l->port].fd < 0)
		return false;
	memcpy(to.bytes, d->ports[l->port].mac.addr_bytes, sizeof(to.bytes));
	pkt_build_eth(&w, &to, &tunnel_mac, ip.family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	wr_view(&w, packet);
	if (w.overflow)
		return false;
	dp_exception_write(d, l->port, (struct view){w.base, w.len});
	return true;
}

bool dp_exception_offer(
	struct dp *d, const struct dp_meta *meta, struct view bytes, enum dp_drop why)
{
	if (!d->exceptions)
		return false;
	if (meta->tunnel != TUNNEL_NONE)
		return meta->kind == DP_PUNT_LOCAL && not_ours(why) && offer_inner(d, bytes);
	bool copy = why == DP_DROP_NONE && (meta->kind == DP_PUNT_ARP || meta->kind == DP_PUNT_ND);
	bool framed = copy || meta->kind == DP_PUNT_ARP || meta->kind == DP_PUNT_ND ||
		      meta->kind == DP_PUNT_LOCAL || meta->kind == DP_PUNT_FRAGMENT;
	if (d->exceptions->one[meta->port].fd < 0 || !framed || !(copy || not_ours(why)))
		return false;
	dp_exception_write(d, meta->port, bytes);
	return true;
}

// ---- From the kernel ----

static bool in_use(void *ctx, const struct ip_addr *inner)
{
	return dp_dst_in_use(ctx, inner);
}

// The kernel asks on the link for a client, who is in a tunnel: we are the way there.
static bool answered(struct dp *d, uint16_t port, const struct pkt_eth *eth)
{
	struct local_port us = {.mac = tunnel_mac, .proxy = true, .in_use = in_use, .ctx = d};
	uint8_t frame[128];
	struct wr w = wr_of(frame, sizeof(frame));
	enum dp_drop why = DP_DROP_arp_foreign;
	struct pkt_arp arp;
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_nd nd;
	if (eth->type == ETH_TYPE_ARP && pkt_parse_arp(eth->payload, &arp) == DP_DROP_NONE)
		why = local_arp(&us, &arp, &w);
	else if (eth->type == ETH_TYPE_IPV6 && pkt_parse_ip(eth->payload, &ip) == DP_DROP_NONE &&
		 ip.proto == IP_PROTO_ICMPV6 && pkt_parse_icmp(&ip, &icmp) == DP_DROP_NONE &&
		 icmp.type == ICMP6_NS && pkt_parse_nd(&ip, &icmp, &nd) == DP_DROP_NONE)
		why = local_nd(&us, &eth->src, &ip, &nd, &w);
	if (why != DP_DROP_NONE || w.len == 0 || w.overflow)
		return false;
	dp_exception_write(d, port, (struct view){w.base, w.len});
	return true;
}

// A destination of a pool or tunnel never leaves in clear.
static bool into_tunnel(const struct dp *d, const struct pkt_eth *eth)
{
	struct pkt_ip ip;
	if (eth->type != ETH_TYPE_IPV4 && eth->type != ETH_TYPE_IPV6)
		return false;
	return pkt_parse_ip(eth->payload, &ip) == DP_DROP_NONE && dp_dst_guarded(d, &ip.dst);
}

static void from_kernel(struct dp *d, uint16_t port, struct view frame)
{
	struct pkt_eth eth;
	if (pkt_parse_eth(frame, &eth) != DP_DROP_NONE || answered(d, port, &eth))
		return;
	bool inner = into_tunnel(d, &eth);
	struct view bytes = inner ? eth.payload : frame;
	struct rte_mbuf *m = dp_ctl_alloc(d, bytes.len);
	void *p = m ? rte_pktmbuf_append(m, (uint16_t)bytes.len) : NULL;
	if (!p) {
		rte_pktmbuf_free(m);
		dp_count_drop(d, DP_DROP_no_mbuf);
		return;
	}
	memcpy(p, bytes.p, bytes.len);
	if (inner)
		dp_inject_inner(d, d->ports[port].role, m);
	else
		dp_inject(d, port, m);
}

static void pause_reading(struct dp_exceptions *s, struct exception *e, bool pause)
{
	if (e->paused == pause)
		return;
	e->paused = pause;
	s->paused += pause ? 1 : -1u;
	(void)wait_for(s, e->fd, EPOLL_CTL_MOD, pause ? 0 : EPOLLIN);
}

static bool room(const struct dp *d)
{
	for (uint16_t i = 0; i < d->worker_count; i++)
		if (d->workers[i] && rte_ring_free_count(d->workers[i]->inject_ring) < INJECT_FREE)
			return false;
	return true;
}

static unsigned read_one(struct dp *d, uint16_t port, uint64_t now_ns)
{
	struct dp_exceptions *s = d->exceptions;
	struct exception *e = &s->one[port];
	unsigned n = 0;
	for (; n < READ_MAX; n++) {
		bool may = room(d) && local_rate_pass(&e->from_rate, now_ns);
		pause_reading(s, e, !may);
		ssize_t len = may ? read(e->fd, s->frame, sizeof(s->frame)) : 0;
		if (len < 0 && errno != EAGAIN && errno != EINTR)
			gone(d, port);
		if (len <= 0)
			break;
		d->port_state->one[port].exception_from++;
		from_kernel(d, port, (struct view){s->frame, (size_t)len});
	}
	return n;
}

unsigned dp_exceptions_poll(struct dp *d, uint64_t now_ns)
{
	unsigned n = 0;
	if (!d->exceptions)
		return 0;
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct exception *e = &d->exceptions->one[i];
		if (e->fd >= 0)
			n += read_one(d, i, now_ns);
		else if (d->ports[i].cfg->exception && now_ns >= e->retry_ns)
			(void)exception_new(d, i, now_ns);
	}
	return n;
}

uint64_t dp_exceptions_next_ns(const struct dp *d)
{
	uint64_t next = DP_NONE_NS;
	if (!d->exceptions)
		return next;
	if (d->exceptions->paused)
		next = d->now_ns + PAUSE_NS;
	for (uint16_t i = 0; i < d->port_count; i++) {
		const struct exception *e = &d->exceptions->one[i];
		if (d->ports[i].cfg->exception && e->fd < 0)
			next = RTE_MIN(next, e->retry_ns);
	}
	return next;
}
