// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/dhcp_net.h"

#include "pools/dhcp_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Answers to a burst of logins wait here; what finds no room is asked for again.
#define RECEIVE_BUFFER (4 << 20)

struct kernel {
	int epoll;
};

static struct sockaddr_in address_of(const struct ip_addr *a)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(DHCP_PORT)};
	memcpy(&sin.sin_addr, a->bytes, 4);
	return sin;
}

static int watch(const struct kernel *k, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int kernel_open(void *ctx, const struct ip_addr *at)
{
	struct sockaddr_in sin = address_of(at);
	int size = RECEIVE_BUFFER;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	int rc = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ? -errno : watch(ctx, fd);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static void kernel_close(void *ctx, int socket)
{
	(void)ctx;
	close(socket);
}

static int kernel_send(void *ctx, int socket, const struct ip_addr *to, struct view message)
{
	struct sockaddr_in sin = address_of(to);
	(void)ctx;
	ssize_t n = sendto(
		socket, message.p, message.len, MSG_DONTWAIT, (struct sockaddr *)&sin, sizeof(sin));
	return n < 0 ? -errno : 0;
}

// epoll takes turns among the sockets that are ready.
static int kernel_receive(void *ctx, struct dhcp_datagram *out)
{
	const struct kernel *k = ctx;
	struct epoll_event e;
	struct sockaddr_in sin = {0};
	socklen_t sin_len = sizeof(sin);
	int n = epoll_wait(k->epoll, &e, 1, 0);
	if (n <= 0)
		return n < 0 && errno != EINTR ? -errno : -EAGAIN;
	ssize_t len = recvfrom(e.data.fd, out->bytes, sizeof(out->bytes), MSG_DONTWAIT | MSG_TRUNC,
		(struct sockaddr *)&sin, &sin_len);
	if (len < 0)
		return -errno;
	out->socket = e.data.fd;
	out->len = (size_t)len;
	out->from = (struct endpoint){
		.addr = ip_from_bytes(IP_V4, (const uint8_t *)&sin.sin_addr),
		.port = ntohs(sin.sin_port),
	};
	return 0;
}

static int kernel_fd(void *ctx)
{
	return ((const struct kernel *)ctx)->epoll;
}

static void kernel_free(void *ctx)
{
	struct kernel *k = ctx;
	close(k->epoll);
	free(k);
}

int dhcp_net_kernel(struct dhcp_net *out)
{
	struct kernel *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll < 0) {
		int rc = -errno;
		free(k);
		return rc;
	}
	*out = (struct dhcp_net){
		.ctx = k,
		.open = kernel_open,
		.close = kernel_close,
		.send = kernel_send,
		.receive = kernel_receive,
		.fd = kernel_fd,
		.free = kernel_free,
	};
	return 0;
}
