// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/eal.h"

#include "base/log.h"
#include "dataplane/gather.h"
#include "dataplane/neigh.h"
#include "dataplane/policy.h"
#include "dataplane/worker.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_memory.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

LOG_SUBSYSTEM("dataplane");

#define ARGS_MAX     (16 + 2 * DP_PORTS_MAX * (1 + DP_MEMBERS_MAX))
#define LCORES_MAX   2048
#define HUGE_SYSFS   "/sys/kernel/mm/hugepages"
#define HUGE_LEAST   (2u << 20) // bytes of a hugepage
#define MBUF_CACHE   256
#define ESP_ROOM     128 // trailer, ICV and what stands before the inner packet, above the headroom
#define JOIN_BUFFERS 64  // of a worker
#define JOIN_ROOM    (9216 + 512)
#define PUNT_CACHE   32   // the punt pools' share of a thread
#define CTL_BUFFERS  1024 // in the control thread's hands
#define PREFIX_MAX   40

struct args {
	char *v[ARGS_MAX];
	int n;
};

__attribute__((format(printf, 2, 3))) static void arg_add(struct args *a, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	if (a->n < ARGS_MAX - 1 && vasprintf(&a->v[a->n], format, ap) >= 0)
		a->n++;
	va_end(ap);
}

static void args_free(struct args *a)
{
	for (int i = 0; i < a->n; i++)
		free(a->v[i]);
}

// ---- Hugepages ----

// "hugepages-2048kB": its free ones, in MiB.
static uint64_t free_huge_mb(const char *entry)
{
	char path[512];
	unsigned long kb, pages = 0;
	if (sscanf(entry, "hugepages-%lukB", &kb) != 1)
		return 0;
	snprintf(path, sizeof(path), HUGE_SYSFS "/%s/free_hugepages", entry);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * kb / 1024;
}

static bool huge_enough(uint32_t mb)
{
	uint64_t have = 0;
	struct dirent *e;
	DIR *dir = opendir(HUGE_SYSFS);
	if (!dir)
		return false;
	while ((e = readdir(dir)))
		have += free_huge_mb(e->d_name);
	closedir(dir);
	return have >= mb;
}

static bool any_pci(const struct cfg *c)
{
	for (size_t i = 0; i < c->port_count; i++)
		if (c->ports[i].pci || c->ports[i].pci_members)
			return true;
	return false;
}

static bool use_huge(const struct cfg *c)
{
	if (c->main.hugepages == CFG_HUGEPAGES_OFF)
		return false;
	if (c->main.hugepages == CFG_HUGEPAGES_REQUIRED || any_pci(c))
		return true;
	return huge_enough(c->main.memory_mb);
}

// ---- Command line ----

// The CPU itself, or where this machine does not let us have it, another: several workers on one
// CPU are slow, not wrong.
static unsigned cpu_of(unsigned wanted)
{
	cpu_set_t allowed;
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) || CPU_COUNT(&allowed) == 0 ||
		(wanted < CPU_SETSIZE && CPU_ISSET(wanted, &allowed)))
		return wanted;
	unsigned nth = wanted % (unsigned)CPU_COUNT(&allowed), cpu = 0;
	while (!CPU_ISSET(cpu, &allowed) || nth--)
		cpu++;
	log_warning("there is no CPU %u here: CPU %u takes its place", wanted, cpu);
	return cpu;
}

// "0@2,1@3,2@3": control on lcore 0, worker i on lcore i + 1; several may share a CPU.
static void add_lcores(struct args *a, const struct cfg_main *m)
{
	char text[LCORES_MAX];
	size_t at = (size_t)snprintf(text, sizeof(text), "0@%u", cpu_of(m->control_core));
	for (unsigned i = 0; i < m->worker_count && at < sizeof(text); i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, ",%u@%u", DP_LCORE(i), cpu_of(m->workers[i]));
	arg_add(a, "--lcores");
	arg_add(a, "%s", text);
	arg_add(a, "--main-lcore=0");
}

// run_dir as a file name; of a long one its end and a hash, as the telemetry socket's path behind it
// has but 108 bytes.
static void add_prefix(struct args *a, const char *run_dir)
{
	char text[PREFIX_MAX + 1];
	size_t n = 0, len = run_dir ? strlen(run_dir) : 0;
	uint32_t hash = 5381;
	for (size_t i = 0; i < len; i++)
		hash = hash * 33 + (uint8_t)run_dir[i];
	for (const char *p = len > PREFIX_MAX ? run_dir + len - PREFIX_MAX : run_dir; p && *p; p++)
		if (*p != '/' || n)
			text[n++] = *p == '/' ? '_' : *p;
	text[n] = 0;
	if (len > PREFIX_MAX)
		arg_add(a, "--file-prefix=%s_%08x", text, hash);
	else
		arg_add(a, "--file-prefix=%s", n ? text : "sallyport");
}

static void add_devices(struct args *a, const struct cfg *c)
{
	if (!any_pci(c)) {
		arg_add(a, "--no-pci");
		arg_add(a, "--iova-mode=va");
		return;
	}
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		if (p->pci && !p->shares) {
			arg_add(a, "-a");
			arg_add(a, "%s", p->device);
		}
		for (size_t k = 0; k < p->members.count; k++)
			if (p->pci_members >> k & 1) {
				arg_add(a, "-a");
				arg_add(a, "%s", p->members.items[k]);
			}
	}
}

static void add_memory(struct args *a, const struct cfg *c)
{
	// Nothing with keys stays behind in hugetlbfs.
	if (use_huge(c)) {
		arg_add(a, "--in-memory");
	} else {
		arg_add(a, "--no-huge");
		arg_add(a, "--no-shconf");
	}
	arg_add(a, "-m");
	arg_add(a, "%u", c->main.memory_mb);
}

// ---- Keys and packets stay out of core dumps ----

static int omit_list(const struct rte_memseg_list *msl, void *arg)
{
	(void)arg;
	madvise(msl->base_va, msl->len, MADV_DONTDUMP);
	return 0;
}

static void omit_new(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	(void)arg;
	if (event == RTE_MEM_EVENT_ALLOC)
		madvise((void *)(uintptr_t)addr, len, MADV_DONTDUMP);
}

static void omit_from_dumps(void)
{
	rte_memseg_list_walk(omit_list, NULL);
	// Without hugepages nothing is added later, and registering is refused.
	(void)rte_mem_event_callback_register("sallyport_dump", omit_new, NULL);
}

int dp_eal_start(const struct cfg *c)
{
	struct args a = {.n = 0};
	arg_add(&a, "sallyportd");
	add_lcores(&a, &c->main);
	add_prefix(&a, c->main.run_dir);
	add_devices(&a, c);
	add_memory(&a, c);
	arg_add(&a, "--log-level=warning");

	// EAL moves its arguments about.
	char *argv[ARGS_MAX];
	memcpy(argv, a.v, sizeof(argv));
	int rc = rte_eal_init(a.n, argv) < 0 ? -rte_errno : 0;
	if (rc)
		log_error("DPDK does not start (%s); memory_mb %u with%s hugepages",
			rte_strerror(-rc), c->main.memory_mb, use_huge(c) ? "" : "out");
	else
		omit_from_dumps();
	args_free(&a);
	return rc;
}

// ---- Buffers ----

static uint16_t largest_mtu(const struct cfg *c)
{
	uint16_t mtu = 1500;
	for (size_t i = 0; i < c->port_count; i++)
		mtu = RTE_MAX(mtu, c->ports[i].mtu);
	return mtu;
}

// One segment holds headroom, the port's MTU and what ESP adds.
static uint16_t data_room(const struct cfg *c)
{
	uint32_t len = RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN + largest_mtu(c) + ESP_ROOM;
	return (uint16_t)RTE_ALIGN_CEIL(len, 64u);
}

// Of one queue pair. A bond sets up as many at each member.
static unsigned descriptors(const struct cfg_port *p)
{
	unsigned devices = p->shares ? 0 : RTE_MAX(1u, (unsigned)p->members.count);
	return devices * (p->rx_descriptors + p->tx_descriptors);
}

// Every descriptor, every place in a hand-off ring and every one for packets that wait for an SA, or
// fragments for each other, can hold a packet at once.
static unsigned rx_buffers(const struct cfg *c)
{
	unsigned n = 0, workers = c->main.worker_count;
	for (size_t i = 0; i < c->port_count; i++)
		n += workers * descriptors(&c->ports[i]);
	n += workers * (workers - 1) * dp_handoff_ring_size(workers);
	n += workers * (DP_HOLD_WORKER + GATHER_HELD + 2 * MBUF_CACHE + 512);
	return n;
}

// A pool has a buffer for each place where one can be: ring, threads' caches (which keep up to half
// as much again) and the burst being worked on. So a ring that is not full always finds one.
static unsigned punt_buffers(const struct cfg *c)
{
	unsigned workers = c->main.worker_count;
	return workers * DP_PUNT_RING + (workers + 1) * PUNT_CACHE * 3 / 2 + DP_PUNT_POLL;
}

// Buffers for packets that came in fragments hold more than a port's MTU: a peer may encrypt a packet
// before it looks at the size (Linux does, RFC 4301 8.2 allows it). They are few, as one is free again
// when the packet has been cut for the inside.
static unsigned join_buffers(const struct cfg *c)
{
	return c->main.worker_count * JOIN_BUFFERS;
}

// What the control thread sends, and what waits for a neighbour, goes on to inject rings and
// transmit queues; a PMD may keep it there until others come behind. What goes into a tunnel may wait
// there for an SA.
static unsigned sent_buffers(const struct cfg *c)
{
	unsigned n = DP_INJECT_RING + DP_HOLD_WORKER;
	for (size_t i = 0; i < c->port_count; i++)
		n += c->ports[i].tx_descriptors;
	return c->main.worker_count * n + neigh_limits_default.waiting + CTL_BUFFERS;
}

static unsigned ring_buffers(const struct cfg *c, unsigned ring)
{
	return punt_buffers(c) + (ring == DP_RING_REST ? sent_buffers(c) : 0);
}

// ---- Whether memory_mb is enough ----

static uint16_t meta_room(void)
{
	return RTE_ALIGN_CEIL(sizeof(struct dp_meta), RTE_MBUF_PRIV_ALIGN);
}

// Room of one object: none lies across two pages, as those may be anywhere. Of 4 KiB, most hold one alone.
static uint64_t object_size(uint32_t element)
{
	uint64_t size = rte_mempool_calc_obj_size(element, 0, NULL);
	uint64_t page = rte_eal_has_hugepages() ? HUGE_LEAST : (uint64_t)sysconf(_SC_PAGESIZE);
	return size > page ? RTE_ALIGN_CEIL(size, page) : page / (page / size);
}

// With the pool's own ring of pointers, and its caches.
static uint64_t buffers_size(unsigned n, unsigned cache, uint16_t room)
{
	uint32_t element = (uint32_t)sizeof(struct rte_mbuf) + meta_room() + room;
	uint64_t caches = cache ? RTE_MAX_LCORE * sizeof(struct rte_mempool_cache) : 0;
	return n * object_size(element) + rte_align32pow2(n + 1) * sizeof(void *) + caches;
}

static uint64_t punt_size(const struct cfg *c)
{
	uint64_t sum = 0;
	for (unsigned ring = 0; ring < DP_PUNT_RINGS; ring++)
		sum += buffers_size(ring_buffers(c, ring), PUNT_CACHE, data_room(c));
	return sum;
}

static uint64_t worker_size(const struct cfg *c)
{
	uint64_t handoff =
		(uint64_t)c->main.worker_count * dp_handoff_ring_size(c->main.worker_count);
	return sizeof(struct dp_worker) + DP_SA_RING * sizeof(struct dp_msg) +
	       DP_EVENT_RING * sizeof(struct sa_event) + DP_RETURN_RING * sizeof(struct dp_return) +
	       (DP_INJECT_RING + DP_PUNT_RINGS * DP_PUNT_RING + handoff) * sizeof(void *);
}

uint64_t dp_memory_fixed(const struct cfg *c, unsigned sockets)
{
	return sockets * buffers_size(rx_buffers(c), MBUF_CACHE, data_room(c)) + punt_size(c) +
	       buffers_size(join_buffers(c), 0, RTE_MAX(data_room(c), JOIN_ROOM)) +
	       c->main.worker_count * worker_size(c) + dp_policy_memory(c);
}

// A tunnel, and one child with both directions.
uint64_t dp_memory_sessions(const struct cfg *c)
{
	return (uint64_t)c->main.max_sessions * (2 * dp_sa_stride() + sizeof(struct dp_tunnel));
}

static unsigned sockets_in_use(const struct cfg *c)
{
	uint64_t seen = 0;
	for (unsigned i = 0; i < c->main.worker_count; i++)
		seen |= 1ull << (rte_lcore_to_socket_id(DP_LCORE(i)) & 63);
	return (unsigned)__builtin_popcountll(seen);
}

static unsigned to_mb(uint64_t bytes)
{
	return (unsigned)((bytes >> 20) + 1);
}

int dp_memory_check(const struct cfg *c)
{
	uint64_t fixed = dp_memory_fixed(c, sockets_in_use(c));
	uint64_t all = fixed + dp_memory_sessions(c);
	if (c->main.memory_mb < to_mb(fixed)) {
		log_error("memory_mb is %u, but buffers and rings of %u workers and %zu ports need "
			  "%u (%u with %u sessions)",
			c->main.memory_mb, c->main.worker_count, c->port_count, to_mb(fixed),
			to_mb(all), c->main.max_sessions);
		return -ENOMEM;
	}
	if (c->main.memory_mb < to_mb(all))
		log_warning("memory_mb is %u: enough to start, but %u sessions need %u",
			c->main.memory_mb, c->main.max_sessions, to_mb(all));
	return 0;
}

// ---- Pools ----

static struct rte_mempool *pool_new(
	const char *name, unsigned n, unsigned cache, uint16_t room, int socket)
{
	static unsigned more;
	char other[RTE_MEMPOOL_NAMESIZE];
	// A process has one data plane; tests have two that talk to each other.
	if (rte_mempool_lookup(name)) {
		snprintf(other, sizeof(other), "%s_%u", name, ++more);
		name = other;
	}
	struct rte_mempool *p = rte_pktmbuf_pool_create(name, n, cache, meta_room(), room, socket);
	if (!p)
		log_error("no memory for %u buffers of %u bytes (%s): raise memory_mb", n, room,
			rte_strerror(rte_errno));
	return p;
}

static int punt_pools_new(struct dp *d)
{
	static const char *const names[DP_PUNT_RINGS] = {
		[DP_RING_IKE_KNOWN] = "sallyport_ike",
		[DP_RING_IKE_NEW] = "sallyport_ike_new",
		[DP_RING_REST] = "sallyport_ctl",
		[DP_RING_EXCEPTION] = "sallyport_exc",
	};
	const struct cfg *c = d->cfg;
	for (unsigned ring = 0; ring < DP_PUNT_RINGS; ring++) {
		d->punt_pool[ring] = pool_new(names[ring], ring_buffers(c, ring), PUNT_CACHE,
			data_room(c), (int)rte_socket_id());
		if (!d->punt_pool[ring])
			return -ENOMEM;
	}
	return 0;
}

int dp_pools_new(struct dp *d)
{
	const struct cfg *c = d->cfg;
	char name[32];
	for (unsigned i = 0; i < c->main.worker_count; i++) {
		unsigned socket = rte_lcore_to_socket_id(DP_LCORE(i));
		if (socket >= RTE_DIM(d->rx_pool))
			socket = 0;
		if (d->rx_pool[socket])
			continue;
		snprintf(name, sizeof(name), "sallyport_rx_%u", socket);
		d->rx_pool[socket] =
			pool_new(name, rx_buffers(c), MBUF_CACHE, data_room(c), (int)socket);
		if (!d->rx_pool[socket])
			return -ENOMEM;
	}
	d->join_pool = pool_new("sallyport_join", join_buffers(c), 0,
		RTE_MAX(data_room(c), JOIN_ROOM), (int)rte_socket_id());
	return d->join_pool ? punt_pools_new(d) : -ENOMEM;
}

void dp_pools_free(struct dp *d)
{
	for (size_t i = 0; i < RTE_DIM(d->rx_pool); i++) {
		rte_mempool_free(d->rx_pool[i]);
		d->rx_pool[i] = NULL;
	}
	rte_mempool_free(d->join_pool);
	d->join_pool = NULL;
	for (size_t i = 0; i < RTE_DIM(d->punt_pool); i++) {
		rte_mempool_free(d->punt_pool[i]);
		d->punt_pool[i] = NULL;
	}
}
