// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <histedit.h>

#include <stdlib.h>
#include <string.h>

#define HISTORY_LINES 200
#define LINE_BYTES    1024

static const char *prompt(EditLine *el)
{
	return "sallyport> ";
}

struct candidates {
	char common[LINE_BYTES]; // what all of them begin with
	size_t count;
	FILE *list; // or NULL: only find the common part
};

static void candidate(void *ctx, const char *word)
{
	struct candidates *c = ctx;
	if (c->count++ == 0) {
		snprintf(c->common, sizeof(c->common), "%s", word);
	} else {
		size_t n = 0;
		while (c->common[n] && c->common[n] == word[n])
			n++;
		c->common[n] = '\0';
	}
	if (c->list)
		fprintf(c->list, "  %s", word);
}

// Tab: insert what is certain; where nothing is, show the choices.
static unsigned char complete(EditLine *el, int ch)
{
	char line[LINE_BYTES], *words[CLI_WORDS_MAX];
	const LineInfo *info = el_line(el);
	size_t len = (size_t)(info->cursor - info->buffer);
	if (len >= sizeof(line))
		return CC_ERROR;
	memcpy(line, info->buffer, len);
	line[len] = '\0';
	bool open = len && line[len - 1] != ' '; // the last word is not finished
	int count = cli_split(line, words);
	if (count < 0)
		return CC_ERROR;
	const char *prefix = open && count ? words[count - 1] : "";
	size_t done = (size_t)count - (*prefix ? 1 : 0);

	struct candidates c = {.count = 0};
	cli_complete(words, done, prefix, candidate, &c);
	if (c.count == 0)
		return CC_ERROR;
	char insert[LINE_BYTES + 1];
	snprintf(
		insert, sizeof(insert), "%s%s", c.common + strlen(prefix), c.count == 1 ? " " : "");
	if (*insert)
		return el_insertstr(el, insert) ? CC_ERROR : CC_REFRESH;
	c = (struct candidates){.list = stdout};
	fputc('\n', stdout);
	cli_complete(words, done, prefix, candidate, &c);
	fputc('\n', stdout);
	return CC_REDISPLAY;
}

static bool is_word(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static void read_commands(EditLine *el, History *h, const char *socket_path, bool json)
{
	const char *text;
	int len;
	HistEvent ev;
	while ((text = el_gets(el, &len)) && len > 0) {
		char line[LINE_BYTES], *words[CLI_WORDS_MAX];
		snprintf(line, sizeof(line), "%s", text);
		int count = cli_split(line, words);
		if (count == 0)
			continue;
		history(h, &ev, H_ENTER, text);
		if (count > 0 && is_word(words[0], "quit", "exit"))
			return;
		if (count < 0 || is_word(words[0], "help", "?"))
			cli_help(stdout);
		else
			cli_run(socket_path, words, (size_t)count, json);
	}
}

enum cli_status cli_prompt(const char *socket_path, bool json)
{
	HistEvent ev;
	EditLine *el = el_init("sallyport", stdin, stdout, stderr);
	History *h = history_init();
	if (!el || !h)
		return CLI_USAGE;
	history(h, &ev, H_SETSIZE, HISTORY_LINES);
	el_set(el, EL_PROMPT, prompt);
	el_set(el, EL_EDITOR, "emacs");
	el_set(el, EL_SIGNAL, 1);
	el_set(el, EL_HIST, history, h);
	el_set(el, EL_ADDFN, "complete", "complete a word", complete);
	el_set(el, EL_BIND, "^I", "complete", NULL);
	read_commands(el, h, socket_path, json);
	history_end(h);
	el_end(el);
	return CLI_OK;
}
