// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/mgmt_internal.h"

#include "base/htab.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

LOG_SUBSYSTEM("mgmt");

#define OUTPUT_LOW   (256u * 1024)   // bytes unsent, above which the next portion waits
#define STALL_NS     (10 * NS_PER_S) // a client that takes nothing for so long is dropped
#define IDLE_NS      (60 * NS_PER_S) // one that asks nothing
#define EVENTS_MAX   (MGMT_CLIENTS_MAX + 3)
#define SWEEP_MS     1000
#define SUN_PATH_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)

enum mgmt_counters { REQUESTS, BAD_REQUESTS, REFUSED_CLIENTS, DROPPED_CLIENTS, COUNTERS };

static const char *const counter_names[COUNTERS] = {
	[REQUESTS] = "mgmt_requests",
	[BAD_REQUESTS] = "mgmt_bad_requests",
	[REFUSED_CLIENTS] = "mgmt_refused_clients",
	[DROPPED_CLIENTS] = "mgmt_dropped_clients",
};

struct client {
	struct mgmt_call call; // first: a call that comes back is its client
	int fd;                // -1: gone, waits for its call
	bool in_flight;        // the call is with the control thread
	bool more;             // the reply's next portion is to be asked for
	bool eof;              // the client sends nothing more
	bool closing;          // close once everything is sent
	size_t in_len;
	size_t sent; // of reply.text
	uint64_t progress_ns;
	struct mgmt_reply reply;
	char in[MGMT_REQUEST_MAX];
};

struct mgmt {
	struct mgmt_provider provider;
	struct mgmt_queue to_control;
	struct mgmt_queue to_mgmt;
	pthread_t thread;
	atomic_bool stopping;
	atomic_bool reload_wanted; // by mgmt_reload()
	bool reloading;            // a reload is with the control thread
	struct mgmt_call own;      // of a reload that nobody waits for
	int epoll_fd, listen_fd, done_fd, lock_fd;
	char path[SUN_PATH_MAX];
	struct client *clients[MGMT_CLIENTS_MAX];
	_Atomic uint64_t counters[COUNTERS];
};

static void count(struct mgmt *m, enum mgmt_counters which)
{
	atomic_fetch_add_explicit(&m->counters[which], 1, memory_order_relaxed);
}

bool mgmt_counter(const struct mgmt *m, size_t i, const char **name, uint64_t *value)
{
	if (i >= COUNTERS)
		return false;
	*name = counter_names[i];
	*value = atomic_load_explicit(&m->counters[i], memory_order_relaxed);
	return true;
}

static void client_free(struct mgmt *m, struct client *c)
{
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++)
		if (m->clients[i] == c)
			m->clients[i] = NULL;
	if (c->fd >= 0)
		close(c->fd);
	mgmt_call_fini(&c->call);
	free(c->reply.text.p);
	free(c);
}

// The slot stays taken while the control thread has the call.
static void client_close(struct mgmt *m, struct client *c)
{
	if (!c->in_flight) {
		client_free(m, c);
		return;
	}
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static size_t unsent(const struct client *c)
{
	return c->reply.text.len - c->sent;
}

// False: the client is to be closed.
static bool client_send(struct client *c, uint64_t now_ns)
{
	while (unsent(c)) {
		ssize_t n = send(c->fd, c->reply.text.p + c->sent, unsent(c), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
		c->progress_ns = now_ns;
	}
	c->reply.text.len = 0;
	c->sent = 0;
	return true;
}

static void ask(struct mgmt *m, struct client *c)
{
	c->in_flight = true;
	c->more = false;
	mgmt_queue_put(&m->to_control, &c->call);
}

// Reading the file takes its time, so it is done here. False: there is nothing left to do about it.
static bool read_reload(struct mgmt *m, struct mgmt_reload *r)
{
	if (m->reloading)
		r->error = "another reload is under way";
	else
		m->provider.reload_read(m->provider.ctx, r);
	m->reloading = m->reloading || (!r->error && !r->check && r->change_count);
	return m->reloading && !r->error;
}

static void begin_reload(struct mgmt *m, struct client *c)
{
	if (read_reload(m, c->call.reload)) {
		ask(m, c);
		return;
	}
	c->call.end = true;
	mgmt_format(&c->call, m->provider.handoff_names, &c->reply);
	mgmt_call_fini(&c->call);
}

static void begin_own_reload(struct mgmt *m)
{
	m->own = (struct mgmt_call){
		.what = MGMT_RELOAD, .reload = calloc(1, sizeof(*m->own.reload))};
	if (!m->own.reload)
		log_error("reload: no memory");
	else if (read_reload(m, m->own.reload))
		mgmt_queue_put(&m->to_control, &m->own);
	else
		mgmt_call_fini(&m->own);
}

static void begin_request(struct mgmt *m, struct client *c, size_t len)
{
	char why[128];
	c->reply.opened = false;
	c->reply.elements = false;
	count(m, REQUESTS);
	int rc = mgmt_parse(c->in, len, &c->call, why, sizeof(why));
	c->in_len -= len + 1;
	memmove(c->in, c->in + len + 1, c->in_len);
	if (rc == 0 && c->call.what == MGMT_RELOAD) {
		begin_reload(m, c);
		return;
	}
	if (rc == 0) {
		ask(m, c);
		return;
	}
	count(m, BAD_REQUESTS);
	mgmt_format_error(why, &c->reply);
}

// Start the next request that is complete. Returns false if there is none.
static bool next_request(struct mgmt *m, struct client *c)
{
	const char *newline = memchr(c->in, '\n', c->in_len);
	if (newline) {
		begin_request(m, c, (size_t)(newline - c->in));
		return true;
	}
	if (c->in_len == sizeof(c->in)) {
		count(m, BAD_REQUESTS);
		mgmt_format_error("the request is too long", &c->reply);
		c->in_len = 0;
		c->closing = true;
		return true;
	}
	return false;
}

// Take the client as far as it goes without waiting; closes it where that is the end.
static void client_pump(struct mgmt *m, struct client *c, uint64_t now_ns)
{
	do {
		if (c->reply.text.failed || !client_send(c, now_ns)) {
			client_close(m, c);
			return;
		}
		if (c->more && unsent(c) < OUTPUT_LOW)
			ask(m, c);
	} while (!c->in_flight && !c->more && !unsent(c) && !c->closing && next_request(m, c));

	bool idle = !c->in_flight && !c->more && !unsent(c);
	if (idle && (c->closing || c->eof)) {
		client_close(m, c);
		return;
	}
	struct epoll_event ev = {.data.ptr = c};
	if (idle && !c->eof)
		ev.events |= EPOLLIN;
	if (unsent(c))
		ev.events |= EPOLLOUT;
	epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void client_event(struct mgmt *m, struct client *c, uint32_t events, uint64_t now_ns)
{
	if (events & (EPOLLHUP | EPOLLERR)) {
		client_close(m, c);
		return;
	}
	if (events & EPOLLIN) {
		ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			client_close(m, c);
			return;
		}
		c->eof = n == 0;
		c->in_len += n > 0 ? (size_t)n : 0;
		c->progress_ns = now_ns;
	}
	client_pump(m, c, now_ns);
}

static void accept_client(struct mgmt *m, uint64_t now_ns)
{
	int fd = accept4(m->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	size_t slot = 0;
	while (slot < MGMT_CLIENTS_MAX && m->clients[slot])
		slot++;
	struct client *c = slot < MGMT_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (!c || epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		count(m, REFUSED_CLIENTS);
		free(c);
		close(fd);
		return;
	}
	c->fd = fd;
	c->progress_ns = now_ns;
	m->clients[slot] = c;
}

// A reload that has begun goes on to its end, whoever asked for it. False: it has.
static bool reload_goes_on(struct mgmt *m, struct mgmt_call *call)
{
	if (call->what != MGMT_RELOAD)
		return false;
	m->reloading = !call->end;
	if (m->reloading)
		mgmt_queue_put(&m->to_control, call);
	return m->reloading;
}

static void call_done(struct mgmt *m, struct client *c, uint64_t now_ns)
{
	c->in_flight = false;
	if (c->fd >= 0 && !c->call.failed)
		mgmt_format(&c->call, m->provider.handoff_names, &c->reply);
	bool drop = c->fd < 0 || c->call.failed;
	c->more = !c->call.end;
	mgmt_call_reset(&c->call);
	if (drop)
		client_free(m, c);
	else
		client_pump(m, c, now_ns);
}

static void drain_done(struct mgmt *m, uint64_t now_ns)
{
	uint64_t n;
	if (read(m->done_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warning("eventfd: %s", strerror(errno));
	for (struct mgmt_call *call; (call = mgmt_queue_get(&m->to_mgmt));) {
		if (reload_goes_on(m, call))
			continue;
		if (call == &m->own)
			mgmt_call_fini(call);
		else
			call_done(m, container_of(call, struct client, call), now_ns);
	}
}

static void sweep(struct mgmt *m, uint64_t now_ns)
{
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++) {
		struct client *c = m->clients[i];
		if (!c || c->in_flight)
			continue;
		if (now_ns - c->progress_ns > (unsent(c) ? STALL_NS : IDLE_NS)) {
			count(m, DROPPED_CLIENTS);
			client_close(m, c);
		}
	}
}

static void *run(void *arg)
{
	struct mgmt *m = arg;
	struct epoll_event events[EVENTS_MAX];
	pthread_setname_np(pthread_self(), "sp-mgmt");
	while (!atomic_load(&m->stopping)) {
		int n = epoll_wait(m->epoll_fd, events, EVENTS_MAX, SWEEP_MS);
		uint64_t now_ns = clock_now_ns(&clock_system);
		bool done = false;
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &m->listen_fd)
				accept_client(m, now_ns);
			else if (events[i].data.ptr == &m->done_fd)
				done = true;
			else
				client_event(m, events[i].data.ptr, events[i].events, now_ns);
		}
		// Last: it may free clients that have an event in this very batch.
		if (done)
			drain_done(m, now_ns);
		if (!m->reloading && atomic_exchange(&m->reload_wanted, false))
			begin_own_reload(m);
		sweep(m, now_ns);
	}
	return NULL;
}

// One process a run_dir: the lock outlives a crash, unlike the socket file.
static int lock_dir(struct mgmt *m, const char *dir)
{
	char path[SUN_PATH_MAX + 16];
	if (mkdir(dir, 0750) && errno != EEXIST) {
		log_error("run_dir %s: %s", dir, strerror(errno));
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/sallyportd.lock", dir);
	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock_fd < 0) {
		log_error("%s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB)) {
		log_error("run_dir %s is held by another sallyportd", dir);
		return -EBUSY;
	}
	return 0;
}

static int open_socket(struct mgmt *m, const char *dir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", dir, MGMT_SOCKET);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
		log_error("run_dir %s: the path is too long for a socket", dir);
		return -ENAMETOOLONG;
	}
	int rc = lock_dir(m, dir);
	if (rc)
		return rc;
	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(sun.sun_path);
	// Nobody can connect before listen(), so the mode is right from the first client on.
	if (m->listen_fd < 0 || bind(m->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) ||
		chmod(sun.sun_path, 0600) || listen(m->listen_fd, MGMT_CLIENTS_MAX)) {
		rc = -errno;
		log_error("%s: %s", sun.sun_path, strerror(-rc));
		return rc;
	}
	memcpy(m->path, sun.sun_path, sizeof(m->path));
	return 0;
}

static int open_events(struct mgmt *m)
{
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct epoll_event in = {.events = EPOLLIN, .data.ptr = &m->listen_fd};
	struct epoll_event done = {.events = EPOLLIN, .data.ptr = &m->done_fd};
	if (m->epoll_fd < 0 || m->done_fd < 0 ||
		epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->listen_fd, &in) ||
		epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->done_fd, &done)) {
		int rc = -errno;
		log_error("%s", strerror(-rc));
		return rc;
	}
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_all(struct mgmt *m)
{
	close_fd(m->epoll_fd);
	close_fd(m->done_fd);
	close_fd(m->listen_fd);
	if (m->path[0])
		unlink(m->path);
	close_fd(m->lock_fd);
	free(m);
}

int mgmt_new(const char *run_dir, const struct mgmt_provider *p, int wake_fd, struct mgmt **out)
{
	struct mgmt *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->provider = *p;
	m->epoll_fd = m->listen_fd = m->done_fd = m->lock_fd = -1;
	int rc = open_socket(m, run_dir);
	if (rc == 0)
		rc = open_events(m);
	if (rc) {
		close_all(m);
		return rc;
	}
	mgmt_queue_init(&m->to_control, wake_fd);
	mgmt_queue_init(&m->to_mgmt, m->done_fd);
	rc = -pthread_create(&m->thread, NULL, run, m);
	if (rc) {
		log_error("management thread: %s", strerror(-rc));
		close_all(m);
		return rc;
	}
	*out = m;
	return 0;
}

void mgmt_reload(struct mgmt *m)
{
	uint64_t one = 1;
	atomic_store(&m->reload_wanted, true);
	if (write(m->done_fd, &one, sizeof(one)) < 0)
		log_debug("eventfd: %s", strerror(errno));
}

unsigned mgmt_turn(struct mgmt *m)
{
	struct mgmt_call *c = mgmt_queue_get(&m->to_control);
	if (!c)
		return 0;
	mgmt_call_answer(c, &m->provider);
	mgmt_queue_put(&m->to_mgmt, c);
	return 1;
}

static void take_back(struct mgmt *m, struct mgmt_queue *q)
{
	for (struct mgmt_call *call; (call = mgmt_queue_get(q));)
		if (call == &m->own)
			mgmt_call_fini(call);
		else
			container_of(call, struct client, call)->in_flight = false;
}

void mgmt_free(struct mgmt *m)
{
	if (!m)
		return;
	atomic_store(&m->stopping, true);
	uint64_t one = 1;
	if (write(m->done_fd, &one, sizeof(one)) < 0)
		log_debug("eventfd: %s", strerror(errno));
	pthread_join(m->thread, NULL);
	take_back(m, &m->to_control);
	take_back(m, &m->to_mgmt);
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++)
		if (m->clients[i])
			client_free(m, m->clients[i]);
	close_all(m);
}
