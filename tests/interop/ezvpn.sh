#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The EasyVPN example as it stands in docs/examples, with vpnc as the example's comment configures
# it.
. "$(dirname "$0")/lib_v1.sh"

lab_begin ezvpn
EXAMPLE=$LAB_ROOT/docs/examples/ezvpn.conf
# What the machine asks for stands before it, in place of its own group "main".
{
	cat <<-END
		main: { workers = [ 1 ];  control_core = 0;  helper_cores = [ 0 ];  idle = "sleep";
		  hugepages = "off";  memory_mb = 256;
		  state_dir = "$LAB_DIR/state";  run_dir = "$LAB_DIR/run"; };
	END
	sed '/^main:/d' "$EXAMPLE"
} >"$LAB_DIR/gw.conf"
sed -n 's/^#   //p' "$EXAMPLE" >"$LAB_DIR/vpnc.conf"
check "the example stands on one line of main" equals "$(grep -c '^main:' "$EXAMPLE")" 1
check "its comment configures vpnc" equals "$(wc -l <"$LAB_DIR/vpnc.conf")" 6
gw_up
ns in ip route add 10.99.8.0/24 via 10.99.0.1
leg_add c1 192.0.2.11/24 || exit 1
vpnc_script
VPNC_TOLD=$LAB_DIR/c1 nsenter --net="/run/netns/$LAB-c1" -- vpnc --no-detach --non-inter \
	--ifname tun-c1 --script "$LAB_DIR/vpnc-script" --pid-file "$LAB_DIR/c1.pid" --debug 2 \
	"$LAB_DIR/vpnc.conf" >"$LAB_DIR/c1.vpnc.log" 2>&1 </dev/null &
VPNC_PID=([c1]=$!)
LAB_PIDS+=("$!")
need "vpnc connects" vpnc_up c1
inner=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
check "its address is one of the pool" grep -Eq "^10\.99\.8\.[0-9]+$" <<<"$inner"
check "client pings inside" pings c1 "$inner" 10.99.0.10 10
check "inside pings the client" pings in 10.99.0.10 "$inner" 10
check "the client was told the banner" equals "$(vpnc_told c1 CISCO_BANNER)" \
	"$(sed -n 's/.*banner *= "\([^"]*\)".*/\1/p' "$EXAMPLE")"
check "the network of the tunnel" equals "$(vpnc_told c1 CISCO_SPLIT_INC) $(
	vpnc_told c1 CISCO_SPLIT_INC_0_ADDR)/$(vpnc_told c1 CISCO_SPLIT_INC_0_MASKLEN)" \
	"1 10.99.0.0/24"
check "the name server and the domain" equals \
	"$(vpnc_told c1 INTERNAL_IP4_DNS) $(vpnc_told c1 CISCO_DEF_DOMAIN)" "10.99.0.53 corp.example"
check "show sessions says who it is" shows sessions '.sessions | length == 1 and (.[0] |
	.user == "user1" and .group == "staff" and .mode_config == "pull" and (.legacy | not))'
check "vpnc leaves" vpnc_stop c1
check "and nothing of it stays" within 5 headend_empty
check "SIGTERM ends the headend with status 0" gw_stop
