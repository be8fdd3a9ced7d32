// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Configurations that many engine tests share: a gateway and a client, joined by a PSK.
#pragma once

#define BENCH_PSK \
	"credentials: { psk = ( { id = \"*\"; secret = \"correct horse battery\"; } ); };\n"

#define BENCH_POOLS \
	"pools = ( { name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.254\" ]; linger_s = 60; } );\n"

// One child "lan" between 10.99.0.0/24 at the gateway and the client's assigned address. extra: more
// options of the connection.
#define BENCH_GATEWAY_WITH(proposals, extra)                                                     \
	BENCH_PSK BENCH_POOLS "connections = ( { name = \"clients\"; ike_versions = [ 2 ];"      \
			      " ike_proposals = [ " proposals " ];"                              \
			      " local = { id = \"gw.example\"; auth = \"psk\"; };"               \
			      " remote = { id = \"*\"; auth = \"psk\"; };"                       \
			      " mode_config = [ \"respond\" ]; pools = [ \"p4\" ];" extra        \
			      " children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];" \
			      " esp_proposals = [ \"aes128gcm16\" ]; } ); } );\n"

#define BENCH_CLIENT_WITH(proposals, extra)                             \
	BENCH_PSK                                                       \
	"connections = ( { name = \"home\"; ike_versions = [ 2 ];"      \
	" ike_proposals = [ " proposals " ];"                           \
	" local = { id = \"client@example\"; auth = \"psk\"; };"        \
	" remote = { id = \"gw.example\"; auth = \"psk\"; };" extra     \
	" children = ( { name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];" \
	" remote_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ \"aes128gcm16\" ]; } ); } );\n"

#define BENCH_PROPOSAL "\"aes128gcm16-prfsha256-x25519\""
#define BENCH_GATEWAY  BENCH_GATEWAY_WITH(BENCH_PROPOSAL, "")
#define BENCH_CLIENT   BENCH_CLIENT_WITH(BENCH_PROPOSAL, "")
