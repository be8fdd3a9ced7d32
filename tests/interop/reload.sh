#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Pools grow and shrink while clients are connected: what they have goes on.
. "$(dirname "$0")/lib.sh"

lab_begin reload

config() { # RANGES [SED-EXPRESSION]
	gw_config_psk | sed -e "s/\"$POOL4.1-$POOL4.254\"/$1/" -e 's/dns = \[ "9.9.9.9" \];/linger_s = 0;/' \
		-e 's/pools = \[ "ire", "ire6" \]/pools = [ "ire" ]/' -e "${2:-}" | gw_config
}
config "\"$POOL4.1\""
gw_up
for c in c1 c2 c3; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
done
need "client c1 connects" connect c1
check "client c2 finds no address" bash -c '! "$@"' - connect c2
refused() { # WORDS...
	local rc=0
	cli "$@" >"$LAB_DIR/cli.out" 2>&1 || rc=$?
	cat "$LAB_DIR/cli.out"
	[ $rc -eq 1 ]
}
says() { # REGEX WORDS...
	local want=$1
	shift
	cli "$@" >"$LAB_DIR/cli.out" 2>&1
	grep -Eq "$want" "$LAB_DIR/cli.out" || { cat "$LAB_DIR/cli.out" && return 1; }
}
check "a reload without changes says so" says "^nothing has changed" reload

# c1's traffic goes on through all that follows.
# Not by ns(): what is started in the background is the program itself, for its PID.
nsenter --net="/run/netns/$LAB-c1" -- ping -i 0.02 -c 100000 -I "$(inner_address c1)" 10.99.0.10 \
	>"$LAB_DIR/ping.log" 2>&1 &
ping=$!
LAB_PIDS+=("$ping")

config "\"$POOL4.1-$POOL4.3\""
check "what would change is said before" says "^pools\[0\].ranges: changed" reload --check
check "and is not done" shows pools '.pools[0].size == 1'
check "the pool grows" says "^reloaded" reload
check "and shows it" shows pools ".pools[0] | .size == 3 and .ranges[0].end == \"$POOL4.3\" and .in_use == 1"
need "client c2 connects now" connect c2
check "c2 pings" pings c2 "$(inner_address c2)" 10.99.0.10

config "\"$POOL4.1-$POOL4.3\"" 's/memory_mb/max_sessions = 77; memory_mb/;s/mode_config/mss = 1200; mode_config/'
sed -i 's/memory_mb = 256/memory_mb = 512/' "$LAB_DIR/gw.conf"
check "what needs a restart is refused" refused reload
check "line by line" grep -Eq "^main.memory_mb: changed, needs a restart" "$LAB_DIR/cli.out"
check "with its place" grep -Eq "^connections\[0\].mss: changed, needs a restart" "$LAB_DIR/cli.out"
echo "pools = (" >"$LAB_DIR/gw.conf"
check "a file with mistakes is refused" refused reload
check "which are named" grep -Eq "gw.conf:[0-9]+: error: " "$LAB_DIR/cli.out"

# The range moves away below the clients, by a signal this time.
config "\"$POOL4.100\""
kill -HUP "$GW_PID"
check "the pool shrinks" within 5 shows pools '.pools[0] | .size == 1 and .in_use == 0 and .outside == 2'
check "c1 goes on" pings c1 "$(inner_address c1)" 10.99.0.10
check "c2 goes on" pings c2 "$(inner_address c2)" 10.99.0.10
need "client c3 connects" connect c3
check "with an address of the new range" equals "$(inner_address c3)" "$POOL4.100"
check "c3 pings" pings c3 "$POOL4.100" 10.99.0.10
swan c2 --terminate --ike gw >/dev/null 2>&1
check "c2's address goes with its session" within 5 shows pools '.pools[0].outside == 1'
check "and is not given again" bash -c '! "$@"' - connect c2
swan c3 --terminate --ike gw >/dev/null 2>&1
need "client c2 has the one that c3 gave back" within 5 connect c2
check "within the new range" equals "$(inner_address c2)" "$POOL4.100"

# And comes back, wider: c1's address is c1's.
config "\"$POOL4.1-$POOL4.100\""
check "the range comes back" says "^reloaded" reload
check "with the client that is in it" within 5 shows pools '.pools[0] | .size == 100 and .in_use == 2 and .outside == 0'
need "client c3 connects again" connect c3
check "its address is its own" test "$(inner_address c3)" != "$(inner_address c1)" -a "$(inner_address c3)" != "$(inner_address c2)"
all_ping() {
	local c
	for c in c1 c2 c3; do pings $c "$(inner_address $c)" 10.99.0.10 || return; done
}
check "all three ping" all_ping

kill -INT "$ping"
wait "$ping" 2>/dev/null
# No hole but one; what is under way at the end, on a busy machine dozens, is a second's at the most.
lost() {
	local sent
	sent=$(grep -Eo "^[0-9]+ packets transmitted" "$LAB_DIR/ping.log" | cut -d' ' -f1)
	grep -Eo "icmp_seq=[0-9]+" "$LAB_DIR/ping.log" | cut -d= -f2 | sort -nu |
		awk -v sent="${sent:-999999}" '{ last = $1 }
		END { print NR " of " last ", sent " sent
			exit !(last > 50 && last - NR <= 1 && sent - last <= 50) }' ||
		{ tail -3 "$LAB_DIR/ping.log" && return 1; }
}
check "c1 has lost nothing meanwhile" lost
