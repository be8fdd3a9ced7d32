// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One value of the file, from text or number to what the snapshot holds.
#include "config/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool value_number(struct loader *l, const struct option *o, const config_setting_t *at,
	long long number, void *slot)
{
	uint64_t v = (uint64_t)number;
	bool in_range = number >= 0 && ((v >= o->min && v <= o->max) || (v == 0 && o->or_zero));
	if (!in_range) {
		diag_error(&l->diags, at, "%s: %lld is out of range (%s%" PRIu64 " to %" PRIu64 ")",
			opt_label(o), number, o->or_zero ? "0, or " : "", o->min, o->max);
		return false;
	}
	if (o->kind == OPT_U16)
		*(uint16_t *)slot = (uint16_t)v;
	else if (o->kind == OPT_U32)
		*(uint32_t *)slot = (uint32_t)v;
	else
		*(uint64_t *)slot = v;
	return true;
}

static bool bad(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, const char *what)
{
	diag_error(&l->diags, at, "%s: \"%s\" is not %s", opt_label(o), text, what);
	return false;
}

static bool out_of_memory(struct loader *l)
{
	l->diags.oom = true;
	return false;
}

static bool length_fits(
	struct loader *l, const struct option *o, const config_setting_t *at, size_t len)
{
	if (len < o->min)
		diag_error(&l->diags, at, "%s: must not be empty", opt_label(o));
	else if (o->max && len > o->max)
		diag_error(&l->diags, at, "%s: %zu characters, at most %" PRIu64 " are allowed",
			opt_label(o), len, o->max);
	else
		return true;
	return false;
}

static bool parse_string(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	if (!length_fits(l, o, at, strlen(text)))
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			diag_error(&l->diags, at, "%s: holds a control character", opt_label(o));
			return false;
		}
	if (!*text)
		return true; // an empty string is none
	char *copy = strdup(text);
	if (!copy)
		return out_of_memory(l);
	*(char **)slot = copy;
	return true;
}

static char *full_path(const struct loader *l, const char *text)
{
	char *path;
	if (text[0] == '/' || !l->dir)
		return strdup(text);
	return asprintf(&path, "%s/%s", l->dir, text) < 0 ? NULL : path;
}

static bool parse_path(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	if (!*text) {
		diag_error(&l->diags, at, "%s: must not be empty", opt_label(o));
		return false;
	}
	char *path = full_path(l, text);
	if (!path)
		return out_of_memory(l);
	*(char **)slot = path;
	return true;
}

static bool parse_secret(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	size_t len = strlen(text);
	if (!length_fits(l, o, at, len))
		return false;
	return secret_copy(slot, text, len) == 0 || out_of_memory(l);
}

// An open regular file of a size that a secret may have; warns where everyone may read it.
static int open_secret(
	struct loader *l, const struct option *o, const config_setting_t *at, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		diag_error(&l->diags, at, "%s: cannot read \"%s\": %s", opt_label(o), path,
			strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		diag_error(&l->diags, at, "%s: \"%s\" is not a regular file", opt_label(o), path);
	} else {
		if (st.st_mode & (S_IROTH | S_IWOTH))
			diag_warning(&l->diags, at, "%s: \"%s\" is open to all users", opt_label(o),
				path);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool read_secret(struct loader *l, const struct option *o, const config_setting_t *at,
	int fd, struct secret *out)
{
	uint8_t buf[4096 + 2];
	size_t len = 0;
	ssize_t n;
	while (len < sizeof(buf) && (n = read(fd, buf + len, sizeof(buf) - len)) > 0)
		len += (size_t)n;
	if (len && buf[len - 1] == '\n')
		len--;
	if (len && buf[len - 1] == '\r')
		len--;
	bool ok = false;
	if (len == 0)
		diag_error(&l->diags, at, "%s: the file holds no secret", opt_label(o));
	else if (len > 4096)
		diag_error(&l->diags, at, "%s: the file holds more than 4096 bytes", opt_label(o));
	else
		ok = secret_copy(out, buf, len) == 0 || out_of_memory(l);
	secret_wipe(buf, sizeof(buf));
	return ok;
}

static bool parse_secret_file(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	if (!length_fits(l, o, at, strlen(text)) || l->no_files)
		return false;
	char *path = full_path(l, text);
	if (!path)
		return out_of_memory(l);
	int fd = open_secret(l, o, at, path);
	free(path);
	if (fd < 0)
		return false;
	bool ok = read_secret(l, o, at, fd, slot);
	close(fd);
	return ok;
}

static void one_of(const struct opt_word *words, bool number, char *buf, size_t cap)
{
	size_t n = 0;
	buf[0] = '\0';
	for (const struct opt_word *w = words; w->word && n < cap; w++)
		n += (size_t)snprintf(buf + n, cap - n, number ? "%s%s" : "%s\"%s\"",
			w == words ? "" : ", ", w->word);
}

static bool parse_word(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	const struct opt_word *w = opt_word(o->words, text);
	const char *quote = o->number ? "" : "\"";
	if (!w) {
		char all[256];
		one_of(o->words, o->number, all, sizeof(all));
		diag_error(&l->diags, at, "%s: %s%s%s is not one of %s", opt_label(o), quote, text,
			quote, all);
		return false;
	}
	if (w->later && o->later != LATER_CHECK)
		diag_error(&l->diags, at, "not supported yet: %s %s%s%s", opt_label(o), quote, text,
			quote);
	if (o->kind == OPT_ENUM)
		*(unsigned *)slot = (unsigned)w->value;
	else if (o->kind == OPT_U16)
		*(uint16_t *)slot = (uint16_t)w->value;
	else
		*((bool *)slot + w->value) = true;
	return true;
}

static bool parse_mac(const char *text, uint8_t mac[static 6])
{
	unsigned v[6];
	int n = 0;
	if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17 ||
		sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
			&n) != 6 ||
		n != 17)
		return false;
	unsigned any = 0;
	for (int i = 0; i < 6; i++) {
		mac[i] = (uint8_t)v[i];
		any |= v[i];
	}
	return any && !(mac[0] & 1); // RFC 7042 2.1: bit 0 of the first octet marks a group
}

static bool parse_proposal(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	char why[128];
	if (proposal_parse(text, o->kind == OPT_ESP_PROPOSAL, slot, why, sizeof(why)) == 0)
		return true;
	diag_error(&l->diags, at, "%s: \"%s\": %s", opt_label(o), text, why);
	return false;
}

static int parse_protocol(const char *text, uint8_t *out)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} known[] = {{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"gre", 47}, {"icmpv6", 58},
		{"ospf", 89}, {"sctp", 132}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, text) == 0) {
			*out = known[i].proto;
			return 0;
		}
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || v > 255)
		return -EINVAL;
	*out = (uint8_t)v;
	return 0;
}

static int parse_ports(char *text, uint16_t *lo, uint16_t *hi)
{
	char *end;
	unsigned long a = strtoul(text, &end, 10), b = a;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	if (*end == '-') {
		char *second = end + 1;
		b = strtoul(second, &end, 10);
		if (*second < '0' || *second > '9')
			return -EINVAL;
	}
	if (*end || a > b || b > 65535)
		return -EINVAL;
	*lo = (uint16_t)a;
	*hi = (uint16_t)b;
	return 0;
}

int selector_parse(const char *text, struct selector *out)
{
	char buf[SELECTOR_TEXT_MAX];
	size_t len = strlen(text);
	struct ip_range range;
	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len + 1);
	char *bracket = strchr(buf, '[');
	if (bracket) {
		if (buf[len - 1] != ']')
			return -EINVAL;
		buf[len - 1] = '\0';
		*bracket++ = '\0';
	}
	if (ip_range_parse(buf, &range) != 0)
		return -EINVAL;
	struct selector s = selector_of_range(&range);
	if (bracket) {
		char *slash = strchr(bracket, '/');
		if (slash)
			*slash++ = '\0';
		if (parse_protocol(bracket, &s.proto) != 0)
			return -EINVAL;
		// Ports belong to a protocol that has them.
		if (slash && (s.proto == 0 || parse_ports(slash, &s.port_lo, &s.port_hi) != 0))
			return -EINVAL;
	}
	*out = s;
	return 0;
}

bool value_parse(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot)
{
	switch (o->kind) {
	case OPT_ENUM:
	case OPT_FLAGS:
		return parse_word(l, o, at, text, slot);
	case OPT_STRING:
		return parse_string(l, o, at, text, slot);
	case OPT_PATH:
		return parse_path(l, o, at, text, slot);
	case OPT_SECRET:
		return parse_secret(l, o, at, text, slot);
	case OPT_SECRET_FILE:
		return parse_secret_file(l, o, at, text, slot);
	case OPT_MAC:
		return parse_mac(text, slot) ||
		       bad(l, o, at, text, "an Ethernet address of one device");
	case OPT_ADDR:
		return ip_parse(text, slot) == 0 || bad(l, o, at, text, "an IP address");
	case OPT_PREFIX:
		return ip_prefix_parse(text, false, slot) == 0 ||
		       bad(l, o, at, text, "a prefix (address/length, host bits zero)");
	case OPT_IF_ADDR:
		return ip_prefix_parse(text, true, slot) == 0 ||
		       bad(l, o, at, text, "an address with prefix length");
	case OPT_RANGE:
		return ip_range_parse(text, slot) == 0 ||
		       bad(l, o, at, text, "an address range (lo-hi, prefix or one address)");
	case OPT_SELECTOR:
		return selector_parse(text, slot) == 0 || bad(l, o, at, text, "a traffic selector");
	case OPT_IKE_PROPOSAL:
	case OPT_ESP_PROPOSAL:
		return parse_proposal(l, o, at, text, slot);
	case OPT_U16:
		return o->words && parse_word(l, o, at, text, slot);
	case OPT_BOOL:
	case OPT_U32:
	case OPT_U64:
	case OPT_GROUP:
	case OPT_LIST:
		break;
	}
	return false;
}

void value_fini(const struct option *o, void *slot)
{
	if (o->kind == OPT_STRING || o->kind == OPT_PATH)
		free(*(char **)slot);
	else if (o->kind == OPT_SECRET || o->kind == OPT_SECRET_FILE)
		secret_fini(slot);
}
