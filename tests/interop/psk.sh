#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IKEv2 with a PSK: the whole path once, what show says of it, and the end by SIGTERM.
. "$(dirname "$0")/lib.sh"

lab_begin psk
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
check "the client has an address of the pool" grep -Eq "^$POOL4\.[0-9]+$" <<<"$inner"
check "client pings inside" pings c1 "$inner" 10.99.0.10 20
check "inside pings the client" pings in 10.99.0.10 "$inner" 20
check "client pings the headend's inside address" pings c1 "$inner" 10.99.0.1
check "TCP from the client" tcp c1 "$inner" in 10.99.0.10
check "TCP to the client" tcp in 10.99.0.10 c1 "$inner"
check "show sessions describes the session" shows sessions ".sessions | length == 1 and (.[0] |
	.connection == \"clients\" and .ike_version == 2 and .state == \"established\" and
	.remote_id == \"c1.example\" and .remote_addr == \"192.0.2.11\" and
	.inner_addrs == [\"$inner\"] and .bytes_in > 2000000 and .bytes_out > 2000000 and
	(.child_sas | length == 1) and .child_sas[0].ts_remote == [\"$inner/32\"] and
	.child_sas[0].ts_local[0] == \"10.99.0.0/24\" and
	(.child_sas[0].spi_in | test(\"^0x[0-9a-f]{8}$\")) and .child_sas[0].name == \"lan\")"
check "show sa counts the packets" shows sa '.sas | length == 1 and .[0].packets_in > 40 and
	.[0].packets_out > 40 and .[0].auth_failed == 0 and .[0].replayed == 0'
check "show pools counts the lease" shows pools \
	'.pools | length == 2 and .[0].name == "ire" and .[0].in_use == 1 and .[0].size == 254'
check "show ports counts both ways" shows ports \
	'.ports | length == 2 and all(.driver == "net_tap" and .rx_packets > 0 and .tx_packets > 0)'
check "show workers names the owner" shows workers \
	'.workers | length == 1 and .[0].sas == 2 and .[0].tunnels == 1 and .[0].esp_in_packets > 40'
check "show status counts the session" shows status '.status.sessions == 1'
check "the tables are printed" cli show sessions
check "a wrong id is refused" bash -c "! $BUILD/app/sallyport --socket $LAB_DIR/run/control.sock \
	clear session 999999"
check "SIGTERM ends the headend with status 0" gw_stop
check "the client was told with DELETE" within 5 grep -q "received DELETE for IKE_SA" \
	"$LAB_DIR/c1.charon.log"
check "the socket has gone" test ! -e "$LAB_DIR/run/control.sock"
