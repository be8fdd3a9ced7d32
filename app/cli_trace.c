// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packet traces on the command line: options of a start, stages in the order of packets, and pcapng.
#include "app/cli.h"

#include "app/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPRESSION_MAX 1024
#define PORTS_MAX      64
#define NS             1000000000ull

// ---- Options of a start ----

static bool is_option(const char *word)
{
	return strncmp(word, "--", 2) == 0;
}

// The words up to the next option, with a blank between them. Returns how many; 0: none, or too long.
static size_t join(char *const *words, size_t count, char text[EXPRESSION_MAX])
{
	size_t used = 0, n = 0;
	for (; used < count && !is_option(words[used]); used++) {
		int w = snprintf(
			text + n, EXPRESSION_MAX - n, "%s%s", used ? " " : "", words[used]);
		if (w < 0 || (size_t)w >= EXPRESSION_MAX - n)
			return 0;
		n += (size_t)w;
	}
	return used;
}

static json_t *count_value(const char *word)
{
	char *end;
	errno = 0;
	long long v = strtoll(word, &end, 10);
	return *end || errno || v <= 0 ? NULL : json_integer(v);
}

bool cli_trace_options(char *const *words, size_t count, json_t *request, FILE *errors)
{
	char text[EXPRESSION_MAX];
	size_t i = 0;
	while (i < count) {
		const char *option = words[i++];
		size_t n = join(words + i, count - i, text);
		json_t *value = NULL;
		if (strcmp(option, "--match") == 0 && n)
			json_object_set_new(request, "match", value = json_string(text));
		else if (strcmp(option, "--count") == 0 && n == 1 && (value = count_value(text)))
			json_object_set_new(request, "count", value);
		else if (strcmp(option, "--whole") == 0 && n == 0)
			json_object_set_new(request, "whole", value = json_true());
		if (!value) {
			fprintf(errors, "sallyport: trace start [--match EXPRESSION] "
					"[--count NUMBER] [--whole]\n");
			return false;
		}
		i += n;
	}
	return true;
}

// ---- Show ----

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));
	return s ? s : "";
}

static json_int_t number_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void print_time(uint64_t unix_ns, FILE *out)
{
	time_t s = (time_t)(unix_ns / NS);
	struct tm tm;
	char text[32];
	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(out, "%s.%06u", text, (unsigned)(unix_ns % NS / 1000));
}

static void print_stage(const json_t *row, uint64_t begin_ns, FILE *out)
{
	const char *port = text_of(row, "port"), *why = text_of(row, "why");
	json_int_t session = number_of(row, "session");
	fprintf(out, "  +%6u us  worker %-2d %-10s",
		(unsigned)(((uint64_t)number_of(row, "time_ns") - begin_ns) / 1000),
		(int)number_of(row, "worker"), text_of(row, "stage"));
	fprintf(out, " %-10s %5d bytes  %s",
		*port  ? port
		: *why ? why
		       : "-",
		(int)number_of(row, "length"), text_of(row, "summary"));
	if (session)
		fprintf(out, "  session %" JSON_INTEGER_FORMAT, session);
	fputc('\n', out);
}

// By packet; of each the stages as they came. They are nearly in order already.
static const json_t **sorted(const json_t *rows)
{
	size_t n = json_array_size(rows);
	const json_t **order = calloc(n + 1, sizeof(*order));
	for (size_t i = 0; order && i < n; i++) {
		const json_t *row = json_array_get(rows, i);
		size_t k = i;
		for (; k > 0 && number_of(order[k - 1], "packet") > number_of(row, "packet"); k--)
			order[k] = order[k - 1];
		order[k] = row;
	}
	return order;
}

void cli_trace_print(const json_t *rows, FILE *out)
{
	const json_t **order = sorted(rows);
	json_int_t packet = 0;
	uint64_t begin_ns = 0;
	if (!order)
		return;
	for (size_t i = 0; order[i]; i++) {
		if (number_of(order[i], "packet") != packet) {
			packet = number_of(order[i], "packet");
			begin_ns = (uint64_t)number_of(order[i], "time_ns");
			fprintf(out, "packet %" JSON_INTEGER_FORMAT "  ", packet);
			print_time(begin_ns, out);
			fputc('\n', out);
		}
		print_stage(order[i], begin_ns, out);
	}
	if (!packet)
		fprintf(out, "no packet has been traced\n");
	free(order);
}

// ---- Save ----

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

// On the heap; *len: bytes.
static uint8_t *from_hex(const char *text, size_t *len)
{
	*len = strspn(text, "0123456789abcdefABCDEF") / 2;
	uint8_t *bytes = malloc(*len + 1);
	for (size_t i = 0; bytes && i < *len; i++)
		bytes[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return bytes;
}

// Ports, and the forms of packets that are between them, as they are met.
struct interfaces {
	const char *names[PORTS_MAX];
	uint32_t count;
};

// Of a stage: a port's, where it names one; else by whether there is a link-layer header.
static uint32_t interface_of(struct interfaces *known, const json_t *row, FILE *out)
{
	bool framed = json_is_true(json_object_get(row, "framed"));
	const char *port = text_of(row, "port");
	const char *name = *port ? port : framed ? "frame" : "inner";
	for (uint32_t i = 0; i < known->count; i++)
		if (strcmp(known->names[i], name) == 0)
			return i;
	if (known->count == PORTS_MAX)
		return 0;
	pcapng_interface(out, framed ? PCAPNG_ETHERNET : PCAPNG_RAW_IP, name);
	known->names[known->count] = name;
	return known->count++;
}

static void save_row(struct interfaces *known, const json_t *row, FILE *out)
{
	char comment[256];
	size_t len;
	uint8_t *bytes = from_hex(text_of(row, "bytes"), &len);
	if (!bytes)
		return;
	snprintf(comment, sizeof(comment),
		"packet %" JSON_INTEGER_FORMAT " worker %" JSON_INTEGER_FORMAT " %s %s",
		number_of(row, "packet"), number_of(row, "worker"), text_of(row, "stage"),
		text_of(row, "why"));
	uint32_t interface = interface_of(known, row, out);
	pcapng_packet(out, &(struct pcapng_packet){.interface = interface,
				   .unix_ns = (uint64_t)number_of(row, "time_ns"),
				   .len = (uint32_t)number_of(row, "length"),
				   .bytes = {bytes, len},
				   .comment = comment});
	free(bytes);
}

bool cli_trace_save(const json_t *rows, const char *path, FILE *errors)
{
	struct interfaces known = {.count = 0};
	size_t i;
	json_t *row;
	FILE *out = fopen(path, "wxe");
	if (!out) {
		fprintf(errors, "sallyport: %s: %s\n", path, strerror(errno));
		return false;
	}
	pcapng_begin(out, "sallyport");
	json_array_foreach(rows, i, row) if (json_object_get(row, "bytes"))
		save_row(&known, row, out);
	bool failed = ferror(out) != 0;
	if (fclose(out) || failed) {
		fprintf(errors, "sallyport: %s: %s\n", path, strerror(errno));
		return false;
	}
	return true;
}
