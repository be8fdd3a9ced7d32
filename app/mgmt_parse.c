// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_parse.h"

#include "dataplane/trace_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_COUNT 100 // packets, unless the request says

// What can be shown, as the request says it.
static const char *const words[] = {
	[MGMT_SESSIONS] = "sessions",
	[MGMT_SAS] = "sa",
	[MGMT_CONNECTIONS] = "connections",
	[MGMT_POOLS] = "pools",
	[MGMT_PORTS] = "ports",
	[MGMT_COUNTERS] = "counters",
	[MGMT_WORKERS] = "workers",
	[MGMT_STATUS] = "status",
};

int mgmt_refuse(char *why, size_t cap, const char *text)
{
	snprintf(why, cap, "%s", text);
	return -EINVAL;
}

static int parse_show(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	if (what && strcmp(what, "leases") == 0)
		return mgmt_parse_leases(j, c, why, cap);
	for (size_t i = 0; what && i <= MGMT_STATUS; i++)
		if (strcmp(what, words[i]) == 0) {
			c->what = (enum mgmt_what)i;
			return 0;
		}
	return mgmt_refuse(why, cap,
		"show what? sessions, sa, connections, pools, leases, ports, counters, workers, "
		"status");
}

static int parse_id(const json_t *value, struct mgmt_call *c, char *why, size_t cap)
{
	if (!json_is_integer(value) || json_integer_value(value) <= 0)
		return mgmt_refuse(why, cap, "a session id is a positive number");
	c->id = (uint64_t)json_integer_value(value);
	return 0;
}

static int parse_clear(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	const char *by = json_string_value(json_object_get(j, "by"));
	const json_t *value = json_object_get(j, "value");
	const char *text = json_string_value(value);
	if (what && strcmp(what, "lease") == 0)
		return mgmt_parse_clear_lease(j, c, why, cap);
	if (!what || strcmp(what, "session") != 0 || !by)
		return mgmt_refuse(
			why, cap, "clear what? session by id, user, address or all; lease");
	c->what = MGMT_CLEAR;
	if (strcmp(by, "all") == 0) {
		c->by = IKE_CLEAR_ALL;
	} else if (strcmp(by, "id") == 0) {
		c->by = IKE_CLEAR_ID;
		return parse_id(value, c, why, cap);
	} else if (strcmp(by, "user") == 0) {
		if (!text || !*text || strlen(text) >= sizeof(c->user))
			return mgmt_refuse(why, cap, "a user is a name");
		c->by = IKE_CLEAR_USER;
		memcpy(c->user, text, strlen(text) + 1);
	} else if (strcmp(by, "address") == 0) {
		if (!text || ip_parse(text, &c->address))
			return mgmt_refuse(why, cap, "not an IP address");
		c->by = IKE_CLEAR_ADDRESS;
	} else {
		return mgmt_refuse(
			why, cap, "clear what? session by id, user, address or all; lease");
	}
	return 0;
}

static int parse_initiate(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *connection = json_string_value(json_object_get(j, "connection"));
	const json_t *peer = json_object_get(j, "address");
	if (!connection || !*connection || strlen(connection) >= sizeof(c->connection))
		return mgmt_refuse(why, cap, "initiate which connection?");
	if (peer && (!json_is_string(peer) || ip_parse(json_string_value(peer), &c->address)))
		return mgmt_refuse(why, cap, "not an IP address");
	memcpy(c->connection, connection, strlen(connection) + 1);
	c->what = MGMT_INITIATE;
	return 0;
}

// "0x" and up to eight digits, as it is shown.
static bool parse_spi(const char *text, uint32_t *out)
{
	const char *digits = text + 2;
	if (strncmp(text, "0x", 2) != 0 || !*digits || strlen(digits) > 8 ||
		digits[strspn(digits, "0123456789abcdefABCDEF")])
		return false;
	*out = (uint32_t)strtoul(digits, NULL, 16);
	return *out != 0;
}

static int parse_rekey(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const json_t *spi = json_object_get(j, "spi");
	c->what = MGMT_REKEY;
	if (spi && (!json_is_string(spi) || !parse_spi(json_string_value(spi), &c->spi)))
		return mgmt_refuse(why, cap, "an SPI is \"0x\" and hexadecimal digits");
	return parse_id(json_object_get(j, "session"), c, why, cap);
}

static int parse_reauthenticate(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	c->what = MGMT_REAUTHENTICATE;
	return parse_id(json_object_get(j, "session"), c, why, cap);
}

// The filter is compiled here, as the control thread has better things to do.
static int parse_trace_start(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const json_t *match = json_object_get(j, "match"), *count = json_object_get(j, "count");
	if (count && (!json_is_integer(count) || json_integer_value(count) < 1 ||
			     json_integer_value(count) > DP_TRACE_PACKETS_MAX))
		return mgmt_refuse(why, cap, "a trace is of 1 to 10000 packets");
	if (match && !json_is_string(match))
		return mgmt_refuse(why, cap, "match what? an expression as in pcap-filter(7)");
	struct trace_filter *f = malloc(sizeof(*f));
	if (!f)
		return mgmt_refuse(why, cap, "no memory");
	if (trace_filter_compile(match ? json_string_value(match) : "", f, why, cap)) {
		free(f);
		return -EINVAL;
	}
	c->what = MGMT_TRACE_START;
	c->trace = (struct dp_trace_spec){.filter = f,
		.packets = count ? (uint32_t)json_integer_value(count) : TRACE_COUNT,
		.whole = json_is_true(json_object_get(j, "whole"))};
	return 0;
}

static int parse_trace(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	if (what && strcmp(what, "start") == 0)
		return parse_trace_start(j, c, why, cap);
	c->bytes = json_is_true(json_object_get(j, "bytes"));
	if (what && strcmp(what, "stop") == 0)
		c->what = MGMT_TRACE_STOP;
	else if (what && (strcmp(what, "show") == 0 || strcmp(what, "save") == 0))
		c->what = MGMT_TRACE_SHOW;
	else
		return mgmt_refuse(why, cap, "trace: start, stop or show");
	return 0;
}

static int parse_reload(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	c->reload = calloc(1, sizeof(*c->reload));
	if (!c->reload)
		return mgmt_refuse(why, cap, "no memory");
	c->what = MGMT_RELOAD;
	c->reload->check = json_is_true(json_object_get(j, "check"));
	return 0;
}

static const struct {
	const char *command;
	int (*parse)(const json_t *j, struct mgmt_call *c, char *why, size_t cap);
} parsers[] = {
	{"show", parse_show},
	{"clear", parse_clear},
	{"initiate", parse_initiate},
	{"rekey", parse_rekey},
	{"reauthenticate", parse_reauthenticate},
	{"trace", parse_trace},
	{"import", mgmt_parse_import},
	{"reload", parse_reload},
};

static int parse_command(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const char *command = json_string_value(json_object_get(j, "command"));
	if (!j)
		return mgmt_refuse(why, cap, "the request is not JSON");
	for (size_t i = 0; command && i < sizeof(parsers) / sizeof(parsers[0]); i++)
		if (strcmp(command, parsers[i].command) == 0)
			return parsers[i].parse(j, c, why, cap);
	return mgmt_refuse(why, cap,
		"unknown command: show, clear, initiate, rekey, reauthenticate, trace, import and "
		"reload are known");
}

int mgmt_parse(const char *bytes, size_t len, struct mgmt_call *c, char *why, size_t cap)
{
	json_error_t error;
	json_t *j = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
	*c = (struct mgmt_call){0};
	int rc = parse_command(j, c, why, cap);
	json_decref(j);
	return rc;
}
