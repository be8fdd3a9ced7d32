// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Replies as aligned tables. Columns are a table too: heading, key, and how the value is shown.
#include "app/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX    CLI_CELL_MAX
#define COLUMNS_MAX 20

// SUITE: algorithms, marked where the row says that they are weak. ROLE: of a session; one of a
// connection that only responds says so.
// COUNT: more than can be counted says so.
enum style { TEXT, NUMBER, COUNT, SIZE, SECONDS, LIST, FLAG, SUITE, ROLE, REAL, PERCENT };

struct column {
	const char *heading;
	const char *key;
	enum style style;
};

struct table {
	const char *key;
	struct column columns[COLUMNS_MAX];
};

static const struct table tables[] = {
	{"sessions", {{"ID", "id", NUMBER}, {"CONNECTION", "connection", TEXT},
			     {"STATE", "state", TEXT}, {"V", "ike_version", NUMBER},
			     {"ROLE", "role", ROLE}, {"REMOTE ID", "remote_id", TEXT},
			     {"USER", "user", TEXT}, {"GROUP", "group", TEXT},
			     {"REMOTE", "remote_addr", TEXT}, {"PORT", "remote_port", NUMBER},
			     {"NAT", "nat", FLAG}, {"INNER", "inner_addrs", LIST},
			     {"CONFIG", "mode_config", TEXT}, {"W", "worker", NUMBER},
			     {"AGE", "established_s", SECONDS}, {"REKEY", "rekey_in_s", SECONDS},
			     {"EXPIRES", "expires_in_s", SECONDS}, {"IN", "bytes_in", SIZE},
			     {"OUT", "bytes_out", SIZE}, {"IKE", "ike", SUITE}}},
	{"sas", {{"SESSION", "session", NUMBER}, {"CHILD", "name", TEXT},
			{"REMOTE", "remote_addr", TEXT}, {"SPI IN", "spi_in", TEXT},
			{"SPI OUT", "spi_out", TEXT}, {"ESP", "esp", SUITE}, {"MODE", "mode", TEXT},
			{"W", "worker", NUMBER}, {"AGE", "installed_s", SECONDS},
			{"REKEY", "rekey_in_s", SECONDS}, {"EXPIRES", "expires_in_s", SECONDS},
			{"MTU", "path_mtu", NUMBER}, {"PKTS IN", "packets_in", NUMBER},
			{"PKTS OUT", "packets_out", NUMBER}, {"REPLAYED", "replayed", NUMBER},
			{"BAD ICV", "auth_failed", NUMBER}, {"LOCAL", "ts_local", LIST},
			{"REMOTE TS", "ts_remote", LIST}}},
	{"connections",
		{{"CONNECTION", "name", TEXT}, {"V", "ike_versions", LIST}, {"ROLE", "role", TEXT},
			{"STATE", "state", TEXT}, {"PEER", "peer_addr", TEXT},
			{"SESSIONS", "sessions", NUMBER}, {"RULES", "policy_rules", NUMBER},
			{"ASKED", "held", NUMBER}, {"ATTEMPTS", "attempts", NUMBER},
			{"NEXT TRY", "next_try_in_s", SECONDS},
			{"LAST ERROR", "last_error", TEXT}}},
	{"pools",
		{{"POOL", "name", TEXT}, {"BEGIN", "begin", TEXT}, {"END", "end", TEXT},
			{"FREE", "free", COUNT}, {"IN USE", "in_use", NUMBER},
			{"LINGERING", "lingering", NUMBER}, {"QUARANTINED", "quarantined", NUMBER},
			{"RESERVED", "reserved", NUMBER}, {"HIGH WATER", "high_water", NUMBER},
			{"EXHAUSTED", "exhausted", NUMBER}}},
	{"ports", {{"PORT", "name", TEXT}, {"DRIVER", "driver", TEXT}, {"LINK", "link", FLAG},
			  {"VLAN", "vlan", NUMBER}, {"MEMBERS", "members", LIST},
			  {"REMOVED", "removed", FLAG}, {"EXCEPTION", "exception", TEXT},
			  {"RSS", "rss", TEXT}, {"RSS WRONG", "rss_wrong", NUMBER},
			  {"MBIT/S", "speed_mbps", NUMBER}, {"MAC", "mac", TEXT},
			  {"MTU", "mtu", NUMBER}, {"QUEUES", "queues", NUMBER},
			  {"RX PKTS", "rx_packets", NUMBER}, {"RX", "rx_bytes", SIZE},
			  {"TX PKTS", "tx_packets", NUMBER}, {"TX", "tx_bytes", SIZE},
			  {"MISSED", "missed", NUMBER}, {"ERRORS", "errors", NUMBER},
			  {"NO MBUF", "no_mbuf", NUMBER}}},
	{"workers",
		{{"WORKER", "id", NUMBER}, {"LCORE", "lcore", NUMBER}, {"SOCKET", "socket", NUMBER},
			{"POLLS", "polls", NUMBER}, {"IDLE %", "idle_share", PERCENT},
			{"BURST", "burst_fill", REAL}, {"CYC/PKT", "cycles_per_packet", REAL},
			{"RX PKTS", "rx_packets", NUMBER}, {"TX PKTS", "tx_packets", NUMBER},
			{"ESP IN", "esp_in_packets", NUMBER},
			{"ESP OUT", "esp_out_packets", NUMBER}, {"DROPS", "drops", NUMBER},
			{"PUNTS", "punts", NUMBER}, {"HANDED IN", "handoff_in", NUMBER},
			{"TUNNELS", "tunnels", NUMBER}, {"SAS", "sas", NUMBER}}},
};

// Identities are chosen by peers: nothing of theirs may move a terminal's cursor.
void cli_plain_text(char cell[static CELL_MAX], const char *s)
{
	size_t n = 0;
	for (; *s && n < CELL_MAX - 1; s++)
		cell[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s;
	cell[n] = '\0';
}

static void put_size(char cell[CELL_MAX], json_int_t bytes)
{
	static const char units[] = "BKMGTPE";
	double v = (double)bytes;
	size_t unit = 0;
	while (v >= 10000 && unit < sizeof(units) - 2) {
		v /= 1024;
		unit++;
	}
	snprintf(cell, CELL_MAX, "%.0f %c", v, units[unit]);
}

void cli_seconds(char cell[static CELL_MAX], json_int_t s)
{
	if (s >= 86400)
		snprintf(cell, CELL_MAX, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(cell, CELL_MAX, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(cell, CELL_MAX, "%lldm%02llds", s / 60, s % 60);
}

static void put_list(char cell[CELL_MAX], const json_t *list)
{
	char text[CELL_MAX] = "";
	size_t i, n = 0;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		char number[24];
		const char *s = json_string_value(item);
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(item));
		int w = snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "", s ? s : number);
		if (w < 0 || (size_t)w >= sizeof(text) - n)
			break;
		n += (size_t)w;
	}
	cli_plain_text(cell, text);
}

static void put_cell(char cell[CELL_MAX], const json_t *row, const struct column *c)
{
	const json_t *value = json_object_get(row, c->key);
	json_int_t n = json_integer_value(value);
	const char *s = json_string_value(value);
	if (!value && json_is_true(json_object_get(row, "continued"))) {
		cell[0] = '\0';
		return;
	}
	switch (c->style) {
	case TEXT:
		cli_plain_text(cell, s && *s ? s : "-");
		break;
	case SUITE:
		snprintf(cell, CELL_MAX, "%s%s", s && *s ? s : "-",
			json_is_true(json_object_get(row, "legacy")) ? " (legacy)" : "");
		break;
	case COUNT:
	case NUMBER:
		if (c->style == COUNT && n == INT64_MAX)
			cli_plain_text(cell, "many");
		else
			snprintf(cell, CELL_MAX, "%" JSON_INTEGER_FORMAT, n);
		break;
	case SIZE:
		put_size(cell, n);
		break;
	case SECONDS:
		if (json_is_integer(value))
			cli_seconds(cell, n);
		else
			cli_plain_text(cell, "-"); // never
		break;
	case ROLE:
		cli_plain_text(cell, json_is_true(json_object_get(row, "responder_only"))
					     ? "responder-only"
				     : s && *s ? s
					       : "-");
		break;
	case LIST:
		put_list(cell, value);
		if (!*cell)
			cli_plain_text(cell, "-");
		break;
	case REAL:
		snprintf(cell, CELL_MAX, "%.1f", json_number_value(value));
		break;
	case PERCENT:
		snprintf(cell, CELL_MAX, "%.1f", 100 * json_number_value(value));
		break;
	case FLAG:
		snprintf(cell, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
		break;
	}
}

static size_t column_width(const struct column *c, const json_t *rows)
{
	char cell[CELL_MAX];
	size_t i, width = strlen(c->heading);
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		put_cell(cell, row, c);
		if (strlen(cell) > width)
			width = strlen(cell);
	}
	return width;
}

static void print_cell(FILE *out, const struct column *c, size_t width, const char *cell, bool last)
{
	bool right = c->style == NUMBER || c->style == COUNT || c->style == SIZE ||
		     c->style == SECONDS || c->style == REAL || c->style == PERCENT;
	if (right)
		fprintf(out, "%*s", (int)width, cell);
	else
		fprintf(out, "%-*s", last ? 0 : (int)width, cell);
	fputs(last ? "\n" : "  ", out);
}

static void print_table(const struct table *t, const json_t *rows, FILE *out)
{
	size_t widths[COLUMNS_MAX], columns = 0, i;
	char cell[CELL_MAX];
	json_t *row;
	while (columns < COLUMNS_MAX && t->columns[columns].heading) {
		widths[columns] = column_width(&t->columns[columns], rows);
		columns++;
	}
	for (size_t k = 0; k < columns; k++)
		print_cell(out, &t->columns[k], widths[k], t->columns[k].heading, k == columns - 1);
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < columns; k++) {
			const struct column *c = &t->columns[k];
			put_cell(cell, row, c);
			print_cell(out, c, widths[k], cell, k == columns - 1);
		}
	}
}

// Names and values: only what is not zero, so that a reader sees what happened.
static void print_counters(const json_t *counters, FILE *out)
{
	const char *name;
	json_t *value;
	size_t zero = 0;
	json_object_foreach((json_t *)(uintptr_t)counters, name, value)
	{
		if (json_integer_value(value) == 0)
			zero++;
		else
			fprintf(out, "%-40s %" JSON_INTEGER_FORMAT "\n", name,
				json_integer_value(value));
	}
	fprintf(out, "(%zu more are zero)\n", zero);
}

static bool of_objects(const json_t *value)
{
	return json_is_object(json_array_get(value, 0));
}

static void print_value(const char *name, const json_t *value, const char *indent, FILE *out)
{
	char cell[CELL_MAX] = "-";
	char *text = NULL;
	if (json_is_string(value))
		cli_plain_text(cell, json_string_value(value));
	else if (json_is_array(value))
		put_list(cell, value);
	else if (!json_is_null(value) &&
		 (text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))))
		cli_plain_text(cell, text);
	fprintf(out, "%s%-16s %s\n", indent, name, *cell ? cell : "-");
	free(text);
}

// Objects and the rows of objects within the object are indented below it.
static void print_object(const json_t *object, const char *indent, FILE *out)
{
	const char *name;
	json_t *value, *row;
	size_t i;
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (json_is_object(value)) {
			fprintf(out, "%s%s\n", indent, name);
			print_object(value, "    ", out);
			continue;
		}
		if (!of_objects(value)) {
			print_value(name, value, indent, out);
			continue;
		}
		json_array_foreach(value, i, row)
		{
			fprintf(out, "%s%s %zu\n", indent, name, i + 1);
			print_object(row, "    ", out);
		}
	}
}

static const struct table *table_of(const char *key)
{
	const struct table *t = tables;
	while (strcmp(t->key, key) != 0)
		t++;
	return t;
}

static void print_details(const json_t *rows, FILE *out)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		if (i)
			fputc('\n', out);
		print_object(row, "", out);
	}
}

// A line for each range: the first says the rest, too. A new reference.
static json_t *pool_lines(const json_t *pools)
{
	size_t i, k;
	json_t *pool, *range, *lines = json_array();
	json_array_foreach(pools, i, pool)
	{
		json_array_foreach(json_object_get(pool, "ranges"), k, range)
		{
			json_t *line = k ? json_pack("{sb}", "continued", 1) : json_copy(pool);
			json_object_update(line, range);
			json_array_append_new(lines, line);
		}
	}
	return lines;
}

static void print_changes(const json_t *reply, FILE *out)
{
	size_t i;
	json_t *c, *line;
	json_array_foreach(json_object_get(reply, "messages"), i, line)
		fprintf(out, "%s\n", json_string_value(line));
	json_array_foreach(json_object_get(reply, "changes"), i, c)
		fprintf(out, "%s: changed%s\n", json_string_value(json_object_get(c, "option")),
			json_is_true(json_object_get(c, "live")) ? "" : ", needs a restart");
	json_int_t more = json_integer_value(json_object_get(reply, "more_changes"));
	if (more)
		fprintf(out, "and %" JSON_INTEGER_FORMAT " more\n", more);
	if (json_object_get(reply, "error"))
		return;
	if (json_array_size(json_object_get(reply, "changes")) == 0)
		fputs("nothing has changed\n", out);
	else
		fputs(json_is_true(json_object_get(reply, "reloaded")) ? "reloaded\n"
								       : "can be reloaded\n",
			out);
}

void cli_print(const json_t *reply, bool detail, FILE *out)
{
	const json_t *value;
	if ((value = json_object_get(reply, "pools"))) {
		json_t *lines = pool_lines(value);
		print_table(table_of("pools"), lines, out);
		json_decref(lines);
		return;
	}
	if (json_object_get(reply, "changes")) {
		print_changes(reply, out);
		return;
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if ((value = json_object_get(reply, tables[i].key))) {
			if (detail)
				print_details(value, out);
			else
				print_table(&tables[i], value, out);
			return;
		}
	if ((value = json_object_get(reply, "trace")))
		cli_trace_print(value, out);
	else if ((value = json_object_get(reply, "counters")))
		print_counters(value, out);
	else if ((value = json_object_get(reply, "status")))
		print_object(value, "", out);
	else
		print_object(reply, "", out);
}
