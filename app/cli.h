// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The command line's parts: words to request, request to reply, reply to tables.
#pragma once

#include "base/cursor.h"

#include <jansson.h>
#include <stdio.h>

// Exit statuses.
enum cli_status {
	CLI_OK = 0,
	CLI_REFUSED = 1,     // sallyportd answered with an error
	CLI_USAGE = 2,       // no such command
	CLI_UNREACHABLE = 3, // no answer from the management socket
};

#define CLI_WORDS_MAX 64

// A command's words into the request to send, a new reference; NULL after a message on errors.
json_t *cli_request(char *const *words, size_t count, FILE *errors);

// All commands, one a line.
void cli_help(FILE *out);

// The words that may follow the first count words and begin with prefix: calls found for each.
void cli_complete(char *const *words, size_t count, const char *prefix,
	void (*found)(void *ctx, const char *word), void *ctx);

// Send the request, wait for its reply (a new reference); NULL after a message on errors.
json_t *cli_ask(const char *socket_path, const json_t *request, FILE *errors);

// The same by one connection for many requests, made with the first.
struct cli_link {
	const char *path;
	int fd; // -1: none
};
#define CLI_LINK(path) ((struct cli_link){(path), -1})
json_t *cli_link_ask(struct cli_link *link, const json_t *request, FILE *errors);
void cli_link_close(struct cli_link *link);

// Print a reply as tables for people; detail: row by row with all that it holds.
void cli_print(const json_t *reply, bool detail, FILE *out);

#define CLI_CELL_MAX 160
// Nothing of s can move a terminal's cursor; cut where it is too long.
void cli_plain_text(char cell[static CLI_CELL_MAX], const char *s);
// "3m20s"
void cli_seconds(char cell[static CLI_CELL_MAX], json_int_t s);

// What is more than one request, or asks nobody: leases. request is changed.
enum cli_status cli_leases_show(const char *socket_path, json_t *request, bool json);
enum cli_status cli_leases_export(const char *socket_path);
// Of a store that no process has open, damaged or not.
enum cli_status cli_leases_salvage(const char *store);
enum cli_status cli_leases_import(const char *socket_path, const json_t *request);

// "--match ...", "--count N" and "--whole" into the request; false after a message on errors.
bool cli_trace_options(char *const *words, size_t count, json_t *request, FILE *errors);
// The reply's rows: packet by packet its stages; or into a new file as pcapng, false after a message.
void cli_trace_print(const json_t *rows, FILE *out);
bool cli_trace_save(const json_t *rows, const char *path, FILE *errors);

// Run one command line's words and print the reply; json: print the object itself.
enum cli_status cli_run(const char *socket_path, char *const *words, size_t count, bool json);

// Split a line at blanks, in place, up to '#' or CLI_WORDS_MAX words; -1: too many.
int cli_split(char *line, char *words[CLI_WORDS_MAX]);

// Interactive prompt until end of file or "quit".
enum cli_status cli_prompt(const char *socket_path, bool json);
