#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The reference's configuration example as it stands in docs/examples: pool "ire", initiate and
# respond, DES and MD5, the clients' traffic with the router's own outside address.
. "$(dirname "$0")/lib_v1.sh"

lab_begin reference
EXAMPLE=$LAB_ROOT/docs/examples/ios-mode-configuration.conf
# What the machine asks for stands before it, in place of its own group "main".
{
	cat <<-END
		main: { workers = [ 1 ];  control_core = 0;  helper_cores = [ 0 ];  idle = "sleep";
		  hugepages = "off";  memory_mb = 256;
		  state_dir = "$LAB_DIR/state";  run_dir = "$LAB_DIR/run"; };
	END
	sed '/^main:/d' "$EXAMPLE"
} >"$LAB_DIR/gw.conf"
SECRET=$(sed -n 's/.*secret = "\([^"]*\)".*/\1/p' "$EXAMPLE")
check "the example stands on one line of main" equals "$(grep -c '^main:' "$EXAMPLE")" 1
need "namespaces are made" gw_namespaces
need "sallyportd --check accepts the example" "$BUILD/app/sallyportd" --check "$LAB_DIR/gw.conf"
need "and the file as it is" "$BUILD/app/sallyportd" --check "$EXAMPLE"
need "sallyportd gets ready" gw_start
attach() {
	ns gw ip link set sp-outside netns "$LAB-out" &&
		ns out ip link set sp-outside address 02:00:00:00:01:02 master br0 up
}
need "the port is attached" attach

CHARON_EXTRA=$CHARON_MARK
client() { # NAME IKE CONNECTION-EXTRA
	leg_add "$1" "172.21.230.4${1#c}/27" || return
	charon_start "$1" <<-END
		connections { dyn { version = 1
		  remote_addrs = 172.21.230.34
		  proposals = $2
		  vips = 0.0.0.0
		  $3
		  local { auth = psk }
		  remote { auth = psk
		    id = 172.21.230.34 }
		  children { lan { remote_ts = 172.21.230.34/32
		    esp_proposals = des-md5 } } } }
		secrets { ike-1 { secret = "$SECRET" } }
	END
}
joins() { # NAME IKE CONNECTION-EXTRA HOW
	local inner
	need "the client that waits for a $4 starts" client "$1" "$2" "$3"
	need "it connects" connect "$1"
	inner=$(inner_address "$1")
	check "its address is one of the pool ire" grep -Eq "^171\.72\.1\.[0-9]+$" <<<"$inner"
	check "it pings 172.21.230.34 through the tunnel" pings "$1" "$inner" 172.21.230.34 10
	check "show sessions says $4, and marks the algorithms" shows sessions "[.sessions[] | select(
		.inner_addrs == [\"$inner\"])] | length == 1 and (.[0] | .mode_config == \"$4\" and
		.legacy and .packets_in == 10 and .packets_out == 10 and .child_sas[0].legacy and
		.child_sas[0].ts_local == [\"172.21.230.34/32\"] and
		.child_sas[0].ts_remote == [\"$inner/32\"])"
}
joins c1 des-sha1-modp768 "" pull
joins c2 des-md5-modp768 "pull = no" push
check "both have an address of their own" shows pools \
	'.pools | length == 1 and .[0].name == "ire" and .[0].size == 254 and .[0].in_use == 2'
check "a client ends its session" swan c1 --terminate --ike dyn
check "its address is free again" within 5 shows pools '.pools[0].in_use == 1'
check "the other one too" swan c2 --terminate --ike dyn
check "nothing is left" within 5 headend_empty
check "SIGTERM ends the headend with status 0" gw_stop
