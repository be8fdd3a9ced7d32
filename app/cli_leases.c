// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases by the management socket.
#include "app/cli_leases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS   10000 // of a reply
#define BATCH_ROWS  128   // of a request
#define BATCH_BYTES 15000

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));
	return s ? s : "";
}

// The reply's error is said; *status is what it comes to.
static json_t *ask(struct cli_link *link, json_t *request, enum cli_status *status)
{
	json_t *reply = cli_link_ask(link, request, stderr);
	const char *error = json_string_value(json_object_get(reply, "error"));
	*status = !reply ? CLI_UNREACHABLE : error ? CLI_REFUSED : CLI_OK;
	if (!error)
		return reply;
	fprintf(stderr, "sallyport: %s\n", error);
	json_decref(reply);
	return NULL;
}

// Every row of a pool's leases, page by page. request is changed.
static enum cli_status each_row(struct cli_link *link, json_t *request,
	void (*row)(void *ctx, const json_t *row), void *ctx)
{
	enum cli_status status = CLI_OK;
	json_object_set_new(request, "limit", json_integer(PAGE_ROWS));
	for (bool more = true; more;) {
		size_t i;
		json_t *r, *reply = ask(link, request, &status);
		if (!reply)
			return status;
		json_array_foreach(json_object_get(reply, "leases"), i, r) row(ctx, r);
		json_t *next = json_object_get(reply, "next");
		more = next != NULL;
		if (more)
			json_object_set(request, "cursor", next);
		json_decref(reply);
	}
	return status;
}

// ---- Show ----

struct printer {
	bool json;
	size_t count;
};

static const char *duration(const json_t *seconds, char text[static CLI_CELL_MAX])
{
	if (!json_is_integer(seconds))
		return "-";
	cli_seconds(text, json_integer_value(seconds));
	return text;
}

static void print_line(const json_t *r)
{
	char address[64], owner[CLI_CELL_MAX], session[24] = "-", since[CLI_CELL_MAX],
					       until[CLI_CELL_MAX];
	json_int_t bits = json_integer_value(json_object_get(r, "prefix_length"));
	const char *a = text_of(r, "address");
	bool whole = bits == (strchr(a, ':') ? 128 : 32);
	if (whole)
		snprintf(address, sizeof(address), "%s", a);
	else
		snprintf(address, sizeof(address), "%s/%d", a, (int)bits);
	const json_t *id = json_object_get(r, "session");
	if (json_is_integer(id))
		snprintf(session, sizeof(session), "%" JSON_INTEGER_FORMAT, json_integer_value(id));
	cli_plain_text(owner, text_of(r, "owner"));
	printf("%-18s  %-11s  %7s  %7s  %7s  %-6s  %s\n", address, text_of(r, "state"), session,
		duration(json_object_get(r, "since_s"), since),
		duration(json_object_get(r, "until_s"), until), text_of(r, "origin"),
		json_is_true(json_object_get(r, "anonymous")) ? "(anonymous)" : owner);
}

static void print_row(void *ctx, const json_t *r)
{
	struct printer *p = ctx;
	if (p->json) {
		fputs(p->count ? "," : "{\"leases\":[", stdout);
		json_dumpf(r, stdout, JSON_COMPACT);
	} else {
		if (!p->count)
			printf("%-18s  %-11s  %7s  %7s  %7s  %-6s  %s\n", "ADDRESS", "STATE",
				"SESSION", "SINCE", "UNTIL", "ORIGIN", "OWNER");
		print_line(r);
	}
	p->count++;
}

enum cli_status cli_leases_show(const char *socket_path, json_t *request, bool json)
{
	struct printer p = {.json = json};
	struct cli_link link = CLI_LINK(socket_path);
	enum cli_status status = each_row(&link, request, print_row, &p);
	if (status == CLI_OK && json)
		fputs(p.count ? "]}\n" : "{\"leases\":[]}\n", stdout);
	else if (status == CLI_OK && !p.count)
		puts("no leases");
	fflush(stdout);
	cli_link_close(&link);
	return status;
}

// ---- Export ----

static void export_row(void *ctx, const json_t *r)
{
	cli_leases_row(
		stdout, &(struct cli_export){.pool = ctx,
				.address = json_string_value(json_array_get(r, 0)),
				.prefix_len = (unsigned)json_integer_value(json_array_get(r, 1)),
				.state = json_string_value(json_array_get(r, 2)),
				.owner = json_string_value(json_array_get(r, 3)),
				.key = json_string_value(json_array_get(r, 4)),
				.origin = json_string_value(json_array_get(r, 5)),
				.since = json_integer_value(json_array_get(r, 6))});
}

enum cli_status cli_leases_export(const char *socket_path)
{
	enum cli_status status;
	struct cli_link link = CLI_LINK(socket_path);
	json_t *show = json_pack("{ssss}", "command", "show", "what", "pools");
	json_t *pools = ask(&link, show, &status), *pool;
	size_t i;
	if (pools)
		cli_leases_heading(stdout);
	json_array_foreach(json_object_get(pools, "pools"), i, pool)
	{
		const char *name = text_of(pool, "name");
		json_t *request = json_pack("{ss ss ss sb}", "command", "show", "what", "leases",
			"pool", name, "keys", 1);
		if (status == CLI_OK)
			status = each_row(&link, request, export_row, (void *)(uintptr_t)name);
		json_decref(request);
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "sallyport: cannot write: %s\n", strerror(errno));
		status = CLI_REFUSED;
	}
	json_decref(pools);
	json_decref(show);
	cli_link_close(&link);
	return status;
}

// ---- Import ----

struct import {
	struct cli_link *link;
	const char *name; // of the file
	struct cli_leases *leases;
	bool *refused; // by row
	size_t refused_count, imported;
};

static void refuse(struct import *im, size_t row, const char *why)
{
	im->refused[row] = true;
	im->refused_count++;
	fprintf(stderr, "%s:%u: %s\n", im->name, im->leases->rows[row].line, why);
}

static void take_refusals(struct import *im, const size_t *rows, const json_t *reply)
{
	size_t i;
	json_t *r;
	json_array_foreach(json_object_get(reply, "refused"), i, r)
	{
		size_t at = (size_t)json_integer_value(json_array_get(r, 0));
		const char *why = json_string_value(json_array_get(r, 1));
		if (at < BATCH_ROWS && !im->refused[rows[at]])
			refuse(im, rows[at], why ? why : "refused");
	}
}

// An owner that JSON cannot hold has no name then: his key says who he is. NULL: the pool's name is not text.
static json_t *import_row(const struct cli_lease *l)
{
	char text[IP_TEXT_MAX];
	json_t *owner = json_string(l->owner);
	return json_pack("[ssi o s]", l->pool, ip_text(&l->addr, text), l->prefix_len,
		owner ? owner : json_string(""), l->key);
}

// As many rows from *at on as a request holds, of those that are not refused.
static json_t *next_batch(struct import *im, size_t *at, size_t rows[BATCH_ROWS])
{
	json_t *list = json_array();
	size_t bytes = 0;
	for (; *at < im->leases->count && json_array_size(list) < BATCH_ROWS; ++*at) {
		if (im->refused[*at])
			continue;
		json_t *row = import_row(&im->leases->rows[*at]);
		if (!row) {
			refuse(im, *at, "not the name of a pool");
			continue;
		}
		bytes += json_dumpb(row, NULL, 0, JSON_COMPACT) + 1;
		if (bytes > BATCH_BYTES && json_array_size(list)) {
			json_decref(row);
			break;
		}
		rows[json_array_size(list)] = *at;
		json_array_append_new(list, row);
	}
	return list;
}

static enum cli_status send_all(struct import *im, bool check)
{
	enum cli_status status = CLI_OK;
	size_t rows[BATCH_ROWS];
	for (size_t at = 0; at < im->leases->count && status == CLI_OK;) {
		json_t *list = next_batch(im, &at, rows);
		if (json_array_size(list) == 0) {
			json_decref(list);
			break;
		}
		json_t *request = json_pack(
			"{ss sb so}", "command", "import", "check", check, "leases", list);
		json_t *reply = ask(im->link, request, &status);
		if (reply)
			take_refusals(im, rows, reply);
		if (!check)
			im->imported +=
				(size_t)json_integer_value(json_object_get(reply, "imported"));
		json_decref(reply);
		json_decref(request);
	}
	return status;
}

static enum cli_status import_all(struct import *im, bool keep_going)
{
	size_t *bad = &im->leases->bad;
	enum cli_status status = *bad && !keep_going ? CLI_REFUSED : send_all(im, true);
	if (status == CLI_OK && im->refused_count && !keep_going)
		status = CLI_REFUSED;
	if (status == CLI_REFUSED)
		fprintf(stderr,
			"sallyport: nothing is imported (--keep-going takes what is good)\n");
	if (status == CLI_OK)
		status = send_all(im, false);
	if (status != CLI_OK)
		return status;
	printf("imported: %zu", im->imported);
	if (*bad + im->refused_count)
		printf(", refused: %zu", *bad + im->refused_count);
	if (im->leases->ownerless)
		printf(", nobody's: %zu", im->leases->ownerless);
	putchar('\n');
	return *bad + im->refused_count ? CLI_REFUSED : CLI_OK;
}

enum cli_status cli_leases_import(const char *socket_path, const json_t *request)
{
	const char *name = text_of(request, "file");
	struct cli_link link = CLI_LINK(socket_path);
	struct cli_leases leases = {0};
	FILE *in = fopen(name, "re");
	if (!in) {
		fprintf(stderr, "sallyport: %s: %s\n", name, strerror(errno));
		return CLI_REFUSED;
	}
	bool ok = cli_leases_read(
		in, name, json_is_true(json_object_get(request, "identities")), &leases, stderr);
	fclose(in);
	struct import im = {.link = &link, .name = name, .leases = &leases};
	im.refused = ok ? calloc(leases.count + 1, sizeof(*im.refused)) : NULL;
	enum cli_status status = CLI_REFUSED;
	if (im.refused)
		status = import_all(&im, json_is_true(json_object_get(request, "keep_going")));
	else
		fprintf(stderr, "sallyport: no memory\n");
	fflush(stdout);
	free(im.refused);
	cli_leases_free(&leases);
	cli_link_close(&link);
	return status;
}
