// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/trace_filter.h"

#include "dataplane/ip.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define SNAP_MAX 65535

// ---- Words ----

// Those of pcap-filter(7) that tell something of frames and IP packets. libpcap takes any other for a
// name, and asks the resolver for it: for each of them seconds, where no server answers.
static const char *const words[] = {"src", "dst", "host", "net", "mask", "port", "portrange",
	"proto", "protochain", "ether", "link", "ip", "ip6", "arp", "rarp", "icmp", "icmp6", "igmp",
	"igrp", "pim", "vrrp", "carp", "ah", "esp", "sctp", "tcp", "udp", "broadcast", "multicast",
	"less", "greater", "len", "length", "vlan", "mpls", "pppoed", "pppoes", "and", "or", "not",
	"icmptype", "icmpcode", "icmp6type", "icmp6code", "tcpflags", "tcp-fin", "tcp-syn",
	"tcp-rst", "tcp-push", "tcp-ack", "tcp-urg", "tcp-ece", "tcp-cwr", "icmp-echoreply",
	"icmp-unreach", "icmp-redirect", "icmp-echo", "icmp-timxceed", "icmp6-echo",
	"icmp6-echoreply", "icmp6-packettoobig", "icmp6-timeexceeded", "icmp6-neighborsolicit",
	"icmp6-neighboradvert", "icmp6-routersolicit", "icmp6-routeradvert"};

#define WORD_MAX   64
#define DIGITS     "0123456789"
#define HEX        DIGITS "abcdefABCDEF"
#define WORD_CHARS HEX "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ_.:-\\"

static bool known_word(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

// A keyword as a name: only of a protocol, which stands in a file.
static bool is_protocol(const char *word, const char *before)
{
	return word[0] == '\\' && known_word(word + 1) && strncmp(before, "proto", 5) == 0;
}

// So many groups of digits, that many in each at most, with that sign between them.
static bool grouped(const char *word, const char *digits, char sign, size_t groups, size_t most)
{
	for (size_t i = 0; i < groups; i++) {
		size_t n = strspn(word, digits);
		if (n < 1 || n > most)
			return false;
		word += n;
		if (i + 1 < groups && *word++ != sign)
			return false;
	}
	return *word == '\0';
}

static bool is_number(const char *word)
{
	if (strncmp(word, "0x", 2) == 0)
		return grouped(word + 2, HEX, 0, 1, 8);
	return grouped(word, DIGITS, 0, 1, 10) || grouped(word, DIGITS, '.', 2, 3) ||
	       grouped(word, DIGITS, '.', 3, 3) || grouped(word, DIGITS, '.', 4, 3);
}

static bool is_address(const char *word)
{
	struct ip_addr a;
	return ip_parse(word, &a) == 0 || grouped(word, HEX, ':', 6, 2) ||
	       grouped(word, HEX, '-', 6, 2);
}

// What stands between brackets, and behind "portrange".
static bool is_range(const char *word, const char *before)
{
	return grouped(word, DIGITS, ':', 2, 5) ||
	       (strcmp(before, "portrange") == 0 && grouped(word, DIGITS, '-', 2, 5));
}

static bool allowed(const char *word, const char *before)
{
	return known_word(word) || is_protocol(word, before) || is_number(word) ||
	       is_address(word) || is_range(word, before);
}

// 0, or -EINVAL and why: there is a word in it that libpcap would look up.
static int check_words(const char *text, char *why, size_t cap)
{
	char word[WORD_MAX] = "", before[WORD_MAX];
	// A word does not begin with a minus.
	while (text += strcspn(text, WORD_CHARS), text += strspn(text, "-"), *text) {
		size_t n = *text == '\\' ? strcspn(text, " !()\n\t") : strspn(text, WORD_CHARS);
		if (n == 0)
			continue;
		memcpy(before, word, sizeof(before));
		snprintf(word, sizeof(word), "%.*s", (int)(n < WORD_MAX ? n : WORD_MAX), text);
		if (n >= WORD_MAX || !allowed(word, before)) {
			snprintf(why, cap,
				"not a filter: \"%s\" is neither a number nor a word of it; names are "
				"not looked up",
				word);
			return -EINVAL;
		}
		text += n;
	}
	return 0;
}

static int compile(const char *text, int link, struct bpf_program *out, char *why, size_t cap)
{
	pcap_t *p = pcap_open_dead(link, SNAP_MAX);
	if (!p) {
		snprintf(why, cap, "no memory");
		return -EINVAL;
	}
	int rc = pcap_compile(p, out, text, 1, PCAP_NETMASK_UNKNOWN);
	if (rc)
		snprintf(why, cap, "not a filter: %s", pcap_geterr(p));
	pcap_close(p);
	return rc ? -EINVAL : 0;
}

int trace_filter_compile(const char *expression, struct trace_filter *out, char *why, size_t cap)
{
	*out = (struct trace_filter){.all = !*expression};
	if (out->all)
		return 0;
	int rc = check_words(expression, why, cap);
	rc = rc ? rc : compile(expression, DLT_EN10MB, &out->frame, why, cap);
	if (rc)
		return rc;
	rc = compile(expression, DLT_RAW, &out->packet, why, cap);
	// What is about the link alone ("ether host", "vlan") holds no packet without a link.
	if (rc)
		rc = compile("less 0", DLT_RAW, &out->packet, why, cap);
	if (rc)
		trace_filter_free(out);
	return rc;
}

void trace_filter_free(struct trace_filter *f)
{
	pcap_freecode(&f->frame);
	pcap_freecode(&f->packet);
	*f = (struct trace_filter){0};
}

bool trace_filter_match(const struct trace_filter *f, bool framed, struct view bytes, uint32_t len)
{
	struct pcap_pkthdr h = {.caplen = (uint32_t)bytes.len, .len = len};
	if (f->all)
		return true;
	return pcap_offline_filter(framed ? &f->frame : &f->packet, &h, bytes.p) != 0;
}

// ---- Summary ----

struct text {
	char *p;
	size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(t->p + t->len, t->cap - t->len, format, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

static void add_esp(struct text *t, struct view v)
{
	if (v.len >= ESP_HDR_LEN)
		add(t, " ESP spi 0x%08x seq %u", get_be32(v.p), get_be32(v.p + 4));
	else
		add(t, " ESP, cut off");
}

static void add_udp(struct text *t, struct view v)
{
	if (v.len < UDP_HDR) {
		add(t, " UDP, cut off");
		return;
	}
	uint16_t src = get_be16(v.p), dst = get_be16(v.p + 2);
	add(t, " UDP %u > %u", src, dst);
	struct view rest = {v.p + UDP_HDR, v.len - UDP_HDR};
	if ((src == 4500 || dst == 4500) && rest.len >= 4 && get_be32(rest.p))
		add_esp(t, rest);
	else if (src == 4500 || dst == 4500 || src == 500 || dst == 500)
		add(t, " IKE");
}

static void add_tcp(struct text *t, struct view v)
{
	static const char flags[] = "FSRPAU";
	if (v.len < 14) {
		add(t, " TCP, cut off");
		return;
	}
	add(t, " TCP %u > %u ", get_be16(v.p), get_be16(v.p + 2));
	for (unsigned i = 0; i < sizeof(flags) - 1; i++)
		if (v.p[13] >> i & 1)
			add(t, "%c", flags[i]);
}

static void add_upper(struct text *t, uint8_t proto, struct view v)
{
	if (proto == PROTO_ESP)
		add_esp(t, v);
	else if (proto == PROTO_UDP)
		add_udp(t, v);
	else if (proto == PROTO_TCP)
		add_tcp(t, v);
	else if ((proto == PROTO_ICMP || proto == PROTO_ICMP6) && v.len >= 2)
		add(t, " ICMP%s type %u code %u", proto == PROTO_ICMP ? "" : "v6", v.p[0], v.p[1]);
	else
		add(t, " protocol %u", proto);
}

// What was captured may be less than the packet, so that the parsers of whole packets do not fit.
static void add_ip(struct text *t, struct view v)
{
	char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];
	bool v4 = v.len && v.p[0] >> 4 == 4;
	size_t head = v4 ? (size_t)(v.p[0] & 15) * 4 : IP6_HDR;
	if (v.len < head || head < IP4_HDR || (!v4 && v.p[0] >> 4 != 6)) {
		add(t, "no IP header");
		return;
	}
	uint8_t family = v4 ? IP_V4 : IP_V6;
	struct ip_addr a = ip_from_bytes(family, v.p + (v4 ? 12 : 8));
	struct ip_addr b = ip_from_bytes(family, v.p + (v4 ? 16 : 24));
	add(t, "%s > %s", ip_text(&a, src), ip_text(&b, dst));
	unsigned offset = v4 ? (get_be16(v.p + 6) & 0x1fffu) * 8 : 0;
	if (offset)
		add(t, " fragment at %u", offset);
	else
		add_upper(t, v.p[v4 ? 9 : 6], (struct view){v.p + head, v.len - head});
}

static void add_frame(struct text *t, struct view v)
{
	size_t head = ETH_HDR_LEN;
	if (v.len < head) {
		add(t, "no Ethernet header");
		return;
	}
	uint16_t type = get_be16(v.p + 12);
	if (type == 0x8100 && v.len >= head + 4) {
		add(t, "vlan %u ", get_be16(v.p + 14) & 0xfffu);
		type = get_be16(v.p + 16);
		head += 4;
	}
	if (type == ETH_TYPE_IPV4 || type == ETH_TYPE_IPV6)
		add_ip(t, (struct view){v.p + head, v.len - head});
	else if (type == ETH_TYPE_ARP)
		add(t, "ARP");
	else
		add(t, "Ethernet type 0x%04x", type);
}

void trace_summary(bool framed, struct view bytes, char *text, size_t cap)
{
	struct text t = {text, cap, 0};
	text[0] = '\0';
	if (framed)
		add_frame(&t, bytes);
	else
		add_ip(&t, bytes);
}
