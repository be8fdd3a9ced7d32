// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The collision matrix of IKEv2 (RFC 7296 2.8, 2.25).
#include "tests/engine/collide.h"

#define PSK                                                                                               \
	"credentials: { psk = ( { id = \"client@example\"; secret = \"a secret of the two of them\"; }, " \
	"{ id = \"gw.example\"; secret = \"a secret of the two of them\"; } ); };\n"
#define SIDE(mine, other)                                                                             \
	"ike_versions = [ 2 ]; mobike = false; ike_proposals = [ \"aes128gcm16-prfsha256-x25519\" ];" \
	" local = { id = \"" mine "\"; auth = \"psk\"; };"                                            \
	" remote = { id = \"" other "\"; auth = \"psk\"; };"
#define CHILD(mine, other)                                                   \
	" children = ( { name = \"lan\"; local_ts = [ \"" mine "\" ];" other \
	" esp_proposals = [ \"aes128gcm16\" ]; } );"

// Two gateways, each of which may begin everything.
#define SITE_A                                                                      \
	PSK "connections = ( { name = \"c\"; " SIDE("gw.example", "client@example") \
		CHILD("10.99.0.0/24", " remote_ts = [ \"10.7.0.0/16\" ];") " } );\n"
#define SITE_C                                                                      \
	PSK "connections = ( { name = \"c\"; " SIDE("client@example", "gw.example") \
		CHILD("10.7.0.0/16", " remote_ts = [ \"10.99.0.0/24\" ];") " } );\n"
static struct collide_world site = {.name = "site", .text = {SITE_A, SITE_C}};
static struct collide_world lively = {.name = "lively", .lively = true, .text = {SITE_A, SITE_C}};

// A gateway and its client, which alone can authenticate anew.
static struct collide_world lease = {.name = "lease",
	.leases = true,
	.one_sided = true,
	.text = {PSK "pools = ( { name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; "
		     "linger_s = 60; } );\n"
		     "connections = ( { name = \"c\"; mode_config = [ \"respond\" ]; "
		     "pools = [ \"p4\" ]; " SIDE("gw.example", "*")
			     CHILD("10.99.0.0/24", "") " } );\n",
		PSK "connections = ( { name = \"c\"; " SIDE("client@example", "gw.example")
			CHILD("0.0.0.0/0", " remote_ts = [ \"10.99.0.0/24\" ];") " } );\n"}};

int main(void)
{
	struct collide_world *worlds[] = {&site, &lease, &lively};
	return collide_main("collide_v2", worlds, 3, 60);
}
