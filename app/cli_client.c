// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S 15 // for the next byte of a reply

static int dial(const char *path, FILE *errors)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = WAIT_S};
	if (strlen(path) >= sizeof(sun.sun_path)) {
		fprintf(errors, "sallyport: %s: the path is too long for a socket\n", path);
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		fprintf(errors, "sallyport: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_request(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;
	bool ok = len > 0 && send_all(fd, line, (size_t)len);
	if (len >= 0)
		free(line);
	free(text);
	return ok;
}

// A failed read ends the text, which then does not parse.
static size_t receive(void *buffer, size_t len, void *data)
{
	ssize_t n;
	do
		n = recv(*(int *)data, buffer, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? (size_t)-1 : (size_t)n;
}

json_t *cli_link_ask(struct cli_link *link, const json_t *request, FILE *errors)
{
	json_t *reply = NULL;
	json_error_t error;
	if (link->fd < 0)
		link->fd = dial(link->path, errors);
	if (link->fd < 0)
		return NULL;
	if (send_request(link->fd, request))
		reply = json_load_callback(receive, &link->fd, JSON_DISABLE_EOF_CHECK, &error);
	if (!json_is_object(reply)) {
		fprintf(errors, "sallyport: %s: no answer\n", link->path);
		json_decref(reply);
		reply = NULL;
	}
	return reply;
}

void cli_link_close(struct cli_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

json_t *cli_ask(const char *socket_path, const json_t *request, FILE *errors)
{
	struct cli_link link = CLI_LINK(socket_path);
	json_t *reply = cli_link_ask(&link, request, errors);
	cli_link_close(&link);
	return reply;
}
