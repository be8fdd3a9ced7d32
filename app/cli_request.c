// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 2

enum kind { NUMBER, TEXT, SPI };

// A word behind the command, and its key in the request.
struct argument {
	const char *name; // NULL: none
	const char *key;
	enum kind kind;
};

// What stands behind a command as "--name".
struct flag {
	const char *name;
	const char *key;
	bool value; // a word follows
};

static const struct flag lease_filters[] = {
	{"--state", "state", true}, {"--owner", "owner", true}, {NULL, NULL, false}};
static const struct flag clear_flags[] = {{"--owner", "owner", true}, {"--pool", "pool", true},
	{"--all", "all", false}, {NULL, NULL, false}};
static const struct flag reload_flags[] = {{"--check", "check", false}, {NULL, NULL, false}};
static const struct flag export_flags[] = {{"--file", "file", true}, {NULL, NULL, false}};
static const struct flag import_flags[] = {{"--keep-going", "keep_going", false},
	{"--identities", "identities", false}, {NULL, NULL, false}};

// The whole grammar. An empty third word: the arguments follow the second.
static const struct command {
	const char *words[3];
	struct argument arguments[ARGUMENTS_MAX];
	size_t optional; // of the arguments, the last ones
	const char *by;  // of clear
	bool detail;
	bool options;     // of a trace
	bool bytes;       // asked for
	const char *tail; // a word behind the arguments: what is meant of it
	const struct flag *flags;
	const char *help;
} commands[] = {
	{{"show", "sessions"}, .help = "who is connected, and the inner addresses"},
	{{"show", "sessions", "detail"}, .detail = true, .help = "all that is known of each"},
	{{"show", "sa"}, .help = "child SAs with their counters"},
	{{"show", "connections"},
		.help = "the configured connections, and what those do that begin"},
	{{"show", "pools"}, .help = "address pools and how full they are"},
	{{"show", "pools"}, {{"NAME", "pool", TEXT}}, .tail = "leases", .flags = lease_filters,
		.help = "[--state STATE] [--owner NAME]: who has which address"},
	{{"show", "ports"}, .help = "network ports and their counters"},
	{{"show", "counters"}, .help = "every counter of both planes by name"},
	{{"show", "workers"}, .help = "workers, their load, packets and hand-offs"},
	{{"show", "workers", "detail"}, .detail = true,
		.help = "cycles by stage and hand-offs by cause, too"},
	{{"show", "status"}, .help = "the headend at a glance"},
	{{"clear", "session", "user"}, {{"NAME", "value", TEXT}}, .by = "user",
		.help = "end a user's sessions"},
	{{"clear", "session", "address"}, {{"ADDRESS", "value", TEXT}}, .by = "address",
		.help = "end the sessions with this inner or outer address"},
	{{"clear", "session", "all"}, .by = "all", .help = "end every session"},
	{{"clear", "session"}, {{"ID", "value", NUMBER}}, .by = "id", .help = "end one session"},
	{{"clear", "lease"}, {{"ADDRESS", "address", TEXT}}, .optional = 1, .flags = clear_flags,
		.help = "[--owner NAME] [--pool NAME [--all]]: free addresses, of a pool unused ones"},
	{{"initiate"}, {{"CONNECTION", "connection", TEXT}, {"ADDRESS", "address", TEXT}},
		.optional = 1, .help = "connect, to this peer or the connection's own"},
	{{"rekey"}, {{"SESSION", "session", NUMBER}, {"SPI", "spi", SPI}}, .optional = 1,
		.help = "rekey a child SA by its inbound SPI, or the IKE SA"},
	{{"reauthenticate"}, {{"SESSION", "session", NUMBER}},
		.help = "make a session anew, the old one ends without a gap"},
	{{"reload"}, .flags = reload_flags,
		.help = "[--check]: take up what the file says of pools now"},
	{{"leases", "export"}, .flags = export_flags,
		.help = "[--file STORE]: all leases as CSV; of a store that nobody has open"},
	{{"leases", "import"}, {{"FILE", "file", TEXT}}, .flags = import_flags,
		.help = "[--keep-going] [--identities]: keep these addresses for their owners"},
	{{"trace", "start"}, .options = true,
		.help = "[--match EXPRESSION] [--count N] [--whole]: trace packets"},
	{{"trace", "stop"}, .help = "end the trace, which stays to be shown"},
	{{"trace", "show"}, .help = "each traced packet, stage by stage"},
	{{"trace", "save"}, {{"FILE", "file", TEXT}}, .bytes = true,
		.help = "write the traced packets as pcapng"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t word_count(const struct command *c)
{
	size_t n = 0;
	while (n < 3 && c->words[n])
		n++;
	return n;
}

static size_t argument_count(const struct command *c)
{
	size_t n = 0;
	while (n < ARGUMENTS_MAX && c->arguments[n].name)
		n++;
	return n;
}

void cli_help(FILE *out)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		size_t arguments = argument_count(c), words = word_count(c);
		char text[64];
		size_t n = 0;
		for (size_t k = 0; k < words; k++)
			n += (size_t)snprintf(
				text + n, sizeof(text) - n, "%s%s", k ? " " : "", c->words[k]);
		for (size_t k = 0; k < arguments; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
				k + c->optional < arguments ? " %s" : " [%s]",
				c->arguments[k].name);
		if (c->tail)
			snprintf(text + n, sizeof(text) - n, " %s", c->tail);
		fprintf(out, "  %-32s %s\n", text, c->help);
	}
}

// The words that are the command's before its options.
static size_t plain_count(const struct command *c, char *const *words, size_t count)
{
	size_t n = word_count(c);
	if (c->options && count > n && strncmp(words[n], "--", 2) == 0)
		return n;
	for (; c->flags && n < count; n++)
		if (strncmp(words[n], "--", 2) == 0)
			return n;
	return count;
}

// Whether the words are this command's, and those behind it as many as it takes.
static bool matches(const struct command *c, char *const *words, size_t count)
{
	size_t n = word_count(c), most = n + argument_count(c);
	count = plain_count(c, words, count);
	if (c->tail && (count == 0 || strcmp(words[--count], c->tail) != 0))
		return false;
	if (count > most || count + c->optional < most)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], c->words[i]) != 0)
			return false;
	return true;
}

static const struct flag *find_flag(const struct flag *flags, const char *word)
{
	for (; flags->name; flags++)
		if (strcmp(flags->name, word) == 0)
			return flags;
	return NULL;
}

static bool take_flags(
	const struct command *c, char *const *words, size_t count, json_t *request, FILE *errors)
{
	for (size_t i = 0; i < count; i++) {
		const struct flag *f = find_flag(c->flags, words[i]);
		if (!f || (f->value && i + 1 == count)) {
			fprintf(errors, "sallyport: %s: %s\n", words[i],
				f ? "what?" : "no such option here");
			return false;
		}
		if (f->value)
			json_object_set_new(request, f->key, json_string(words[++i]));
		else
			json_object_set_new(request, f->key, json_true());
	}
	return true;
}

static json_t *spi_value(const char *word)
{
	const char *digits = strncmp(word, "0x", 2) == 0 ? word + 2 : word;
	size_t len = strspn(digits, "0123456789abcdefABCDEF");
	return !len || len > 8 || digits[len] ? NULL : json_sprintf("0x%s", digits);
}

static json_t *argument_value(enum kind kind, const char *word)
{
	char *end;
	if (kind == TEXT)
		return json_string(word);
	if (kind == SPI)
		return spi_value(word);
	errno = 0;
	long long v = strtoll(word, &end, 10);
	return *end || errno || v <= 0 ? NULL : json_integer(v);
}

static json_t *build(const struct command *c, char *const *arguments, size_t count, FILE *errors)
{
	json_t *j = json_pack("{ss}", "command", c->words[0]);
	if (c->words[1])
		json_object_set_new(j, "what", json_string(c->words[1]));
	if (c->by)
		json_object_set_new(j, "by", json_string(c->by));
	if (c->detail)
		json_object_set_new(j, "detail", json_true());
	if (c->bytes)
		json_object_set_new(j, "bytes", json_true());
	if (c->options) {
		bool ok = cli_trace_options(arguments, count, j, errors);
		json_decref(ok ? NULL : j);
		return ok ? j : NULL;
	}
	size_t plain = count;
	if (c->flags) {
		plain = 0;
		while (plain < count && strncmp(arguments[plain], "--", 2) != 0)
			plain++;
		if (!take_flags(c, arguments + plain, count - plain, j, errors)) {
			json_decref(j);
			return NULL;
		}
	}
	if (c->tail) {
		json_object_set_new(j, "what", json_string(c->tail));
		plain--;
	}
	for (size_t i = 0; i < plain; i++) {
		json_t *value = argument_value(c->arguments[i].kind, arguments[i]);
		if (value) {
			json_object_set_new(j, c->arguments[i].key, value);
			continue;
		}
		fprintf(errors, "sallyport: \"%s\" is not %s\n", arguments[i],
			c->arguments[i].kind == NUMBER ? "a session id"
						       : "an SPI in hexadecimal digits");
		json_decref(j);
		return NULL;
	}
	return j;
}

json_t *cli_request(char *const *words, size_t count, FILE *errors)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		size_t n = word_count(c);
		if (matches(c, words, count))
			return build(c, words + n, count - n, errors);
	}
	fprintf(errors, "sallyport: no such command; these are known:\n");
	cli_help(errors);
	return NULL;
}

static bool begins_with(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) == 0;
}

// What may follow the words beyond the command's own: its last word, or its options.
static void complete_rest(const struct command *c, char *const *words, size_t count,
	const char *prefix, void (*found)(void *ctx, const char *word), void *ctx)
{
	size_t n = word_count(c), arguments = argument_count(c);
	for (size_t i = 0; i < n; i++)
		if (i >= count || strcmp(words[i], c->words[i]) != 0)
			return;
	if (c->tail && count == n + arguments && begins_with(c->tail, prefix))
		found(ctx, c->tail);
	bool begun = count >= n + arguments - c->optional + (c->tail != NULL);
	if (c->tail && begun && strcmp(words[n + arguments], c->tail) != 0)
		return;
	for (const struct flag *f = c->flags; f && begun && f->name; f++)
		if (begins_with(f->name, prefix))
			found(ctx, f->name);
}

void cli_complete(char *const *words, size_t count, const char *prefix,
	void (*found)(void *ctx, const char *word), void *ctx)
{
	const char *last = "";
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		bool same = count < 3 && c->words[count];
		for (size_t k = 0; same && k < count; k++)
			same = strcmp(words[k], c->words[k]) == 0;
		complete_rest(c, words, count, prefix, found, ctx);
		// Commands that share a word stand together in the table.
		if (!same || !begins_with(c->words[count], prefix) ||
			strcmp(c->words[count], last) == 0)
			continue;
		last = c->words[count];
		found(ctx, last);
	}
}

int cli_split(char *line, char *words[CLI_WORDS_MAX])
{
	int count = 0;
	char *rest = line;
	line[strcspn(line, "#\n")] = '\0';
	for (char *w; (w = strsep(&rest, " \t\r"));) {
		if (!*w)
			continue;
		if (count == CLI_WORDS_MAX)
			return -1;
		words[count++] = w;
	}
	return count;
}
