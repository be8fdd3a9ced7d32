// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases out of a store that no process has open, or that none would open.
#include "app/cli_leases.h"

#include "pools/store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int put_row(void *ctx, const struct lease_row *row)
{
	static const char *const origins[] = {
		[LEASE_OF_POOL] = "pool", [LEASE_OF_AAA] = "aaa", [LEASE_OF_DHCP] = "dhcp"};
	char address[IP_TEXT_MAX], key[2 * (POOL_OWNER_MAX + 4) + 1] = "";
	(void)ctx;
	for (size_t i = 0; !row->anonymous && i < row->owner.len && i < sizeof(key) / 2; i++)
		sprintf(key + 2 * i, "%02x", row->owner.p[i]);
	cli_leases_row(stdout, &(struct cli_export){.pool = row->pool,
				       .address = ip_text(&row->addr, address),
				       .prefix_len = row->prefix_len,
				       .state = "stored",
				       .owner = row->name,
				       .key = key,
				       .origin = origins[row->origin],
				       .since = row->written_s});
	return ferror(stdout) ? -EIO : 0;
}

enum cli_status cli_leases_salvage(const char *store)
{
	struct lease_salvage found;
	cli_leases_heading(stdout);
	int rc = lease_store_salvage(
		store, &(struct lease_salvage_to){put_row, NULL, stderr}, &found);
	if (fflush(stdout) && rc == 0)
		rc = -errno;
	if (rc) {
		fprintf(stderr, "sallyport: %s: %s\n", store,
			rc == -EBUSY ? "sallyportd has it open, export without --file"
				     : strerror(-rc));
		return CLI_REFUSED;
	}
	fprintf(stderr, "sallyport: %" PRIu64 " leases\n", found.readable);
	if (found.unreadable == UINT64_MAX)
		fputs("sallyport: how many could not be read is unknown\n", stderr);
	else if (found.unreadable)
		fprintf(stderr, "sallyport: %" PRIu64 " could not be read\n", found.unreadable);
	if (found.lost)
		fprintf(stderr, "sallyport: %" PRIu64 " of the last transactions are lost\n",
			found.lost);
	return found.unreadable || found.lost ? CLI_REFUSED : CLI_OK;
}
