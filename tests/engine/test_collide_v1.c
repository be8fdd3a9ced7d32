// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The collision matrix of IKEv1: rekeying of the ISAKMP SA is re-authentication, and a DELETE is said
// once and never answered.
#include "tests/engine/collide.h"

// Main mode with a key for each other's address and name, so that the identity is proven.
#define PSK(id, address)                                                                \
	"credentials: { psk = ( { id = \"" id "\"; addresses = [ \"" address "/32\" ];" \
	" secret = \"a secret of the two of them\"; } ); };\n"
#define SIDE(mine, other)                                                     \
	"ike_versions = [ 1 ]; ike_proposals = [ \"aes128-sha256-ecp256\" ];" \
	" local = { id = \"" mine "\"; auth = \"psk\"; };"                    \
	" remote = { id = \"" other "\"; auth = \"psk\"; };"
#define CHILD(mine, other)                                                   \
	" children = ( { name = \"lan\"; local_ts = [ \"" mine "\" ];" other \
	" esp_proposals = [ \"aes128-sha256\" ]; } );"
#define PSK_A PSK("client@example", "198.51.100.2")
#define PSK_C PSK("gw.example", "192.0.2.1")

// Two gateways, each of which may begin everything.
#define SITE_A                                                                        \
	PSK_A "connections = ( { name = \"c\"; " SIDE("gw.example", "client@example") \
		CHILD("10.99.0.0/24", " remote_ts = [ \"10.7.0.0/16\" ];") " } );\n"
#define SITE_C                                                                        \
	PSK_C "connections = ( { name = \"c\"; " SIDE("client@example", "gw.example") \
		CHILD("10.7.0.0/16", " remote_ts = [ \"10.99.0.0/24\" ];") " } );\n"
static struct collide_world site = {.name = "site", .ikev1 = true, .text = {SITE_A, SITE_C}};
static struct collide_world lively = {
	.name = "lively", .lively = true, .ikev1 = true, .text = {SITE_A, SITE_C}};

// A gateway and its client, which asks for an address.
static struct collide_world lease = {.name = "lease",
	.ikev1 = true,
	.leases = true,
	.one_sided = true,
	.text = {PSK_A "pools = ( { name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; "
		       "linger_s = 60; } );\n"
		       "connections = ( { name = \"c\"; mode_config = [ \"respond\" ]; "
		       "pools = [ \"p4\" ]; " SIDE("gw.example", "*")
			       CHILD("10.99.0.0/24", "") " } );\n",
		PSK_C "connections = ( { name = \"c\"; " SIDE("client@example", "gw.example")
			CHILD("0.0.0.0/0", " remote_ts = [ \"10.99.0.0/24\" ];") " } );\n"}};

int main(void)
{
	struct collide_world *worlds[] = {&site, &lease, &lively};
	return collide_main("collide_v1", worlds, 3, 40);
}
