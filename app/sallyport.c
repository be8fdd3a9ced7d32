// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/sallyport/control.sock"

static const char usage[] =
	"usage: sallyport [--socket PATH] [--json] [COMMAND]\n"
	"\n"
	"  -s, --socket PATH  management socket (" DEFAULT_SOCKET ")\n"
	"  -j, --json         print the reply as one JSON object\n"
	"      --version      print the version\n"
	"  -h, --help         print this text\n"
	"\n"
	"Without a command: a prompt on a terminal, else one command a line from standard input.\n"
	"Exit status: 0 done, 1 refused, 2 no such command, 3 sallyportd does not answer.\n"
	"\n"
	"Commands:\n";

enum { OPT_VERSION = 256 };

static const struct option options[] = {
	{"socket", required_argument, NULL, 's'},
	{"json", no_argument, NULL, 'j'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

enum cli_status cli_run(const char *socket_path, char *const *words, size_t count, bool json)
{
	json_t *request = cli_request(words, count, stderr);
	if (!request)
		return CLI_USAGE;
	json_t *reply = cli_ask(socket_path, request, stderr);
	bool detail = json_is_true(json_object_get(request, "detail"));
	json_decref(request);
	if (!reply)
		return CLI_UNREACHABLE;
	const char *error = json_string_value(json_object_get(reply, "error"));
	if (json) {
		json_dumpf(reply, stdout, JSON_COMPACT);
		fputc('\n', stdout);
	} else if (error) {
		fprintf(stderr, "sallyport: %s\n", error);
	} else {
		cli_print(reply, detail, stdout);
	}
	fflush(stdout);
	json_decref(reply);
	return error ? CLI_REFUSED : CLI_OK;
}

// Ends at the first command that fails, with its status.
static enum cli_status batch(const char *socket_path, bool json)
{
	char line[1024], *words[CLI_WORDS_MAX];
	while (fgets(line, sizeof(line), stdin)) {
		int count = cli_split(line, words);
		if (count == 0)
			continue;
		enum cli_status s = CLI_USAGE;
		if (count > 0)
			s = cli_run(socket_path, words, (size_t)count, json);
		if (s != CLI_OK)
			return s;
	}
	return CLI_OK;
}

static void help(FILE *out)
{
	fputs(usage, out);
	cli_help(out);
}

int main(int argc, char **argv)
{
	const char *socket_path = DEFAULT_SOCKET;
	bool json = false;
	int option;
	// Options may stand behind the command: getopt_long() sorts the words to the end.
	while ((option = getopt_long(argc, argv, "s:jh", options, NULL)) != -1) {
		switch (option) {
		case 's':
			socket_path = optarg;
			break;
		case 'j':
			json = true;
			break;
		case OPT_VERSION:
			puts("sallyport " SALLYPORT_VERSION);
			return CLI_OK;
		case 'h':
			help(stdout);
			return CLI_OK;
		default:
			help(stderr);
			return CLI_USAGE;
		}
	}
	if (optind < argc)
		return (int)cli_run(socket_path, argv + optind, (size_t)(argc - optind), json);
	if (isatty(STDIN_FILENO))
		return (int)cli_prompt(socket_path, json);
	return (int)batch(socket_path, json);
}
