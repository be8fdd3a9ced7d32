#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Leases as an operator has them in hand: shown, exported, cleared, imported; and what a restart keeps.
. "$(dirname "$0")/lib.sh"

lab_begin leases
# The order of addresses is drawn: client c1's cannot be guessed, only kept.
gw_config_psk | sed -e 's/dns = \[ "9.9.9.9" \];/linger_s = 3600;/' \
	-e 's/pools = \[ "ire", "ire6" \]/pools = [ "ire" ]/' | gw_config
gw_up

leases() { # JQ-EXPRESSION [FILTER...]
	local json expression=$1
	shift
	json=$(cli show pools ire leases "$@" --json) || return
	jq -e "$expression" >/dev/null <<<"$json" || { echo "$json" && return 1; }
}
file_has() { # REGEX
	grep -Eq "$1" "$LAB_DIR/all.csv" || { cat "$LAB_DIR/all.csv" && return 1; }
}
refused() { # WORDS...: the command ends with status 1
	local rc=0
	cli "$@" || rc=$?
	[ $rc -eq 1 ]
}

for c in c1 c2; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
	need "client $c connects" connect $c
done
one=$(inner_address c1)
check "both are active, with their sessions" within 5 leases \
	'[.leases[] | select(.state == "active" and .session > 0) | .owner] | sort == ["c1.example", "c2.example"]'
check "one is found by its owner" leases ".leases | length == 1 and .[0].address == \"$one\"" --owner c1.example
check "none lingers" leases '.leases == []' --state lingering
check "the pool says where it begins and ends" shows pools \
	".pools[0].ranges == [{\"begin\": \"$POOL4.1\", \"end\": \"$POOL4.254\"}] and .pools[0].in_use == 2"

cli leases export >"$LAB_DIR/all.csv"
check "the export names both" file_has "^ire,$one,32,active,c1.example,[0-9a-f]+,pool,"

swan c1 --terminate --ike gw >/dev/null 2>&1
check "the first lingers once it has left" within 5 leases '.leases | length == 1' --state lingering
check "a lease that lingers is cleared" equals "$(cli clear lease "$one" --json)" '{"cleared":1}'
check "and is nobody's now" leases '.leases == []' --state lingering
check "clearing it again is refused" refused clear lease "$one"
check "the import brings it back" cli leases import "$LAB_DIR/all.csv"
check "for its owner" leases ".leases[0].address == \"$one\"" --owner c1.example --state lingering
printf '%s\n' "$one,somebody" "$POOL4.77,c9" "10.0.0.1,c8" >"$LAB_DIR/other.csv"
check "a file with an address of somebody else's is refused" refused leases import "$LAB_DIR/other.csv"
check "as a whole" leases '.leases == []' --owner c9
check "what is good of it is taken on request" refused leases import "$LAB_DIR/other.csv" --keep-going
check "and kept for its owner" leases ".leases[0].address == \"$POOL4.77\"" --owner c9
complains() { # REGEX FILE
	local rc=0
	cli leases import "$2" 2>"$LAB_DIR/cli.out" || rc=$?
	[ $rc -eq 1 ] && grep -Eq "$1" "$LAB_DIR/cli.out" || { cat "$LAB_DIR/cli.out" && return 1; }
}
printf 'pool,address,owner\nire\xff,%s,c7\n' "$POOL4.78" >"$LAB_DIR/other.csv"
check "a line whose pool is no text is named" complains ":2: not the name of a pool" "$LAB_DIR/other.csv"
printf '%s,c7\0not he\n' "$POOL4.78" >"$LAB_DIR/other.csv"
check "so is one with a zero byte" complains ":1: a zero byte" "$LAB_DIR/other.csv"
check "and neither is taken" leases '.leases == []' --owner c7

check "clearing a lease in use ends its session" equals "$(cli clear lease --owner c2.example --json)" '{"cleared":1}'
check "which is gone" within 5 shows sessions '.sessions == []'
cli leases export >"$LAB_DIR/all.csv"

# The power goes.
kill -KILL "$GW_PID"
wait "$GW_PID" 2>/dev/null
check "the store is read though nobody runs" cli leases export --file "$LAB_DIR/state"
need "sallyportd gets ready again" gw_start
need "the ports are attached" gw_attach
check "it says what it has of its last life" grep -Eq "2 leases restored in [0-9]+ ms" "$LAB_DIR/sallyportd.log"
check "all lingers for its owners" leases \
	"[.leases[] | select(.state == \"lingering\") | .address] | sort == ([\"$one\", \"$POOL4.77\"] | sort)"
need "client c1 connects" connect c1
check "client c1 has its address again" equals "$(inner_address c1)" "$one"
check "c1 pings" pings c1 "$one" 10.99.0.10
check "the store's state is in sight" shows status '.status | .lease_store == "embedded" and .lease_degraded == false'
check "sallyportd ends in order" gw_stop
need "and begins again" gw_start
check "leases are there" grep -Eq "2 leases restored" "$LAB_DIR/sallyportd.log"
gw_stop

# A store that is damaged is refused as it is, and what it has is still to be had.
find "$LAB_DIR/state" -name 'leases.db' -exec dd if=/dev/urandom of={} bs=1 count=64 seek=16 conv=notrunc status=none \;
sum=$(sha256sum "$LAB_DIR/state/leases.db")
damaged() {
	! gw_start && grep -q "leases.db" "$LAB_DIR/sallyportd.log"
}
check "a damaged store is refused by name" damaged
check "and left as it is" equals "$(sha256sum "$LAB_DIR/state/leases.db")" "$sum"
cli leases export --file "$LAB_DIR/state" >"$LAB_DIR/saved.csv" 2>"$LAB_DIR/salvage.log"
check "its leases are exported" grep -q "^ire,$one,32,stored,c1.example," "$LAB_DIR/saved.csv"
mkdir "$LAB_DIR/broken" && mv "$LAB_DIR"/state/leases.* "$LAB_DIR/broken/"
need "an empty store is begun" gw_start
check "the export is imported" cli leases import "$LAB_DIR/saved.csv"
check "and c1's address is c1's" leases ".leases[0].address == \"$one\"" --owner c1.example

# A range that is written wrongly: what no pool has is not kept, and that is said.
printf '%s\n' "$POOL4.55,c5" >"$LAB_DIR/other.csv"
need "one more is imported" cli leases import "$LAB_DIR/other.csv"
wrong=$(cli show pools ire leases --json | jq '[.leases[] | select((.address | split(".")[3] | tonumber) < 101)] | length')
gw_stop
sed -i "s/$POOL4.1-$POOL4.254/$POOL4.101-$POOL4.254/" "$LAB_DIR/gw.conf"
need "sallyportd starts with another range" gw_start
check "and says how many leases are forgotten" grep -q " $wrong leases of the last life are forgotten" "$LAB_DIR/sallyportd.log"
check "the others are there" leases '[.leases[].address | split(".")[3] | tonumber] | all(. > 100)'
