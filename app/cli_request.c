// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// PEER: a connection and an address.
enum argument { ARG_NONE, ARG_NUMBER, ARG_TEXT, ARG_PEER };

// The whole grammar. An empty third word: the argument follows the second.
static const struct command {
	const char *words[3];
	enum argument argument;
	const char *argument_name;
	const char *by; // of clear
	const char *help;
} commands[] = {
	{{"show", "sessions"}, ARG_NONE, "", NULL, "who is connected, and the inner addresses"},
	{{"show", "sa"}, ARG_NONE, "", NULL, "child SAs with their counters"},
	{{"show", "pools"}, ARG_NONE, "", NULL, "address pools and how full they are"},
	{{"show", "ports"}, ARG_NONE, "", NULL, "network ports and their counters"},
	{{"show", "counters"}, ARG_NONE, "", NULL, "every counter of both planes by name"},
	{{"show", "workers"}, ARG_NONE, "", NULL, "workers, their packets and hand-offs"},
	{{"show", "status"}, ARG_NONE, "", NULL, "the headend at a glance"},
	{{"clear", "session", "user"}, ARG_TEXT, "NAME", "user", "end a user's sessions"},
	{{"clear", "session", "address"}, ARG_TEXT, "ADDRESS", "address",
		"end the sessions with this inner or outer address"},
	{{"clear", "session", "all"}, ARG_NONE, "", "all", "end every session"},
	{{"clear", "session"}, ARG_NUMBER, "ID", "id", "end one session"},
	{{"initiate"}, ARG_PEER, "CONNECTION ADDRESS", NULL, "start a connection to this peer"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t word_count(const struct command *c)
{
	size_t n = 0;
	while (n < 3 && c->words[n])
		n++;
	return n;
}

void cli_help(FILE *out)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		char text[64];
		snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", c->words[0], c->words[1] ? " " : "",
			c->words[1] ? c->words[1] : "", c->words[2] ? " " : "",
			c->words[2] ? c->words[2] : "", c->argument == ARG_NONE ? "" : " ",
			c->argument_name);
		fprintf(out, "  %-32s %s\n", text, c->help);
	}
}

static size_t argument_count(const struct command *c)
{
	static const size_t counts[] = {
		[ARG_NONE] = 0, [ARG_NUMBER] = 1, [ARG_TEXT] = 1, [ARG_PEER] = 2};
	return counts[c->argument];
}

static bool matches(const struct command *c, char *const *words, size_t count)
{
	size_t n = word_count(c);
	if (count != n + argument_count(c))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], c->words[i]) != 0)
			return false;
	return true;
}

static json_t *argument_value(const struct command *c, const char *word)
{
	char *end;
	if (c->argument == ARG_TEXT)
		return json_string(word);
	errno = 0;
	long long v = strtoll(word, &end, 10);
	return *end || errno || v <= 0 ? NULL : json_integer(v);
}

json_t *cli_request(char *const *words, size_t count, FILE *errors)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		if (!matches(c, words, count))
			continue;
		if (c->argument == ARG_PEER)
			return json_pack("{ss ss ss}", "command", c->words[0], "connection",
				words[count - 2], "address", words[count - 1]);
		json_t *j = json_pack("{ss ss}", "command", c->words[0], "what", c->words[1]);
		if (c->by)
			json_object_set_new(j, "by", json_string(c->by));
		if (c->argument == ARG_NONE)
			return j;
		json_t *value = argument_value(c, words[count - 1]);
		if (value) {
			json_object_set_new(j, "value", value);
			return j;
		}
		json_decref(j);
		fprintf(errors, "sallyport: \"%s\" is not a session id\n", words[count - 1]);
		return NULL;
	}
	fprintf(errors, "sallyport: no such command; these are known:\n");
	cli_help(errors);
	return NULL;
}

static bool begins_with(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) == 0;
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
