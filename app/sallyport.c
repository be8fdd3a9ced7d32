// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
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

// False: it is one request and one reply.
static bool run_leases(const char *socket_path, json_t *request, bool json, enum cli_status *status)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	const char *what = json_string_value(json_object_get(request, "what"));
	const char *file = json_string_value(json_object_get(request, "file"));
	if (strcmp(command, "show") == 0 && strcmp(what, "leases") == 0)
		*status = cli_leases_show(socket_path, request, json);
	else if (strcmp(command, "leases") != 0)
		return false;
	else if (strcmp(what, "import") == 0)
		*status = cli_leases_import(socket_path, request);
	else if (file)
		*status = cli_leases_salvage(file);
	else
		*status = cli_leases_export(socket_path);
	return true;
}

// Saving is asking for the bytes, and the file is the asker's own.
static enum cli_status show(const json_t *reply, const char *file, bool detail)
{
	if (!file) {
		cli_print(reply, detail, stdout);
		return CLI_OK;
	}
	return cli_trace_save(json_object_get(reply, "trace"), file, stderr) ? CLI_OK : CLI_REFUSED;
}

enum cli_status cli_run(const char *socket_path, char *const *words, size_t count, bool json)
{
	json_t *request = cli_request(words, count, stderr);
	enum cli_status status = CLI_OK;
	if (!request)
		return CLI_USAGE;
	if (run_leases(socket_path, request, json, &status)) {
		json_decref(request);
		return status;
	}
	json_t *reply = cli_ask(socket_path, request, stderr);
	bool detail = json_is_true(json_object_get(request, "detail"));
	const char *file = json_string_value(json_object_get(request, "file"));
	if (!reply) {
		json_decref(request);
		return CLI_UNREACHABLE;
	}
	const char *error = json_string_value(json_object_get(reply, "error"));
	if (json && !file) {
		json_dumpf(reply, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
		fputc('\n', stdout);
	} else if (error) {
		if (json_object_get(reply, "changes"))
			cli_print(reply, detail, stderr);
		fprintf(stderr, "sallyport: %s\n", error);
	} else {
		status = show(reply, file, detail);
	}
	fflush(stdout);
	status = error ? CLI_REFUSED : status;
	json_decref(reply);
	json_decref(request);
	return status;
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

// What stands before a command that has options of its own.
static int words_end(int argc, char **argv)
{
	static const char *const own[] = {"trace", "lease", "leases", "reload"};
	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			if (strcmp(argv[i], own[k]) == 0)
				return i;
	return argc;
}

int main(int argc, char **argv)
{
	const char *socket_path = DEFAULT_SOCKET;
	bool json = false;
	int option;
	// Options may stand behind the command: getopt_long() sorts the words to the end. Not where a
	// command has options of its own.
	int words = words_end(argc, argv);
	while ((option = getopt_long(words, argv, "s:jh", options, NULL)) != -1) {
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
	if (words < argc &&
		(strcmp(argv[argc - 1], "--json") == 0 || strcmp(argv[argc - 1], "-j") == 0)) {
		json = true;
		argc--;
	}
	if (optind < argc)
		return (int)cli_run(socket_path, argv + optind, (size_t)(argc - optind), json);
	if (isatty(STDIN_FILENO))
		return (int)cli_prompt(socket_path, json);
	return (int)batch(socket_path, json);
}
