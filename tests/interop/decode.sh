#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# What no peer here speaks is read by tshark, with the keys: per-resource child SAs (RFC 9611), IKE SAs
# without a child SA (RFC 6023), quick crash detection (RFC 6290). Two engines on a wire in memory say
# it (tests/engine/decode_tool.c). Everything is decrypted, and tshark complains of nothing.
. "$(dirname "$0")/lib.sh"

lab_begin decode
need "two engines talk" "$BUILD/tests/engine/decode_tool" "$LAB_DIR"

read_wire() { # NAME TSHARK-ARGUMENTS...
	local dir=$LAB_DIR/$1
	shift
	WIRESHARK_CONFIG_DIR=$dir tshark -r "$dir/wire.pcap" "$@" 2>"$LAB_DIR/tshark.log"
}

# Nothing of a frame is malformed, or worth more than a chat.
no_complaint() { # NAME
	local bad
	bad=$(read_wire "$1" -Y '_ws.malformed || _ws.expert.severity >= "Note"' \
		-T fields -e frame.number -e _ws.expert.message) && [ -z "$bad" ] || {
		echo "$bad"
		cat "$LAB_DIR/tshark.log"
		return 1
	}
}

# Each frame with an encrypted payload (46) is decrypted, its integrity checked, and there are some.
decrypted() { # NAME
	local all open
	read -r all open < <(read_wire "$1" -Y 'isakmp.typepayload == 46' -T fields \
		-e isakmp.enc.decrypted | awk '{ open += $0 != "" } END { print NR, open + 0 }')
	echo "$open of $all frames are decrypted"
	[ "$all" -gt 0 ] && [ "$open" -eq "$all" ]
}

# The exchange types of all frames, in order, begin so.
exchanges() { # NAME TYPES
	local got
	got=$(read_wire "$1" -T fields -e isakmp.exchangetype | tr '\n' ' ')
	echo "exchanges: $got"
	[[ $got == "$2 "* ]]
}

# COUNT frames of this exchange hold a notify of this number, which tshark calls TEXT.
notifies() { # NAME EXCHANGE NUMBER COUNT TEXT
	local n
	n=$(read_wire "$1" -Y "isakmp.exchangetype == $2 && isakmp.notify.msgtype == $3" \
		-T fields -e frame.number | wc -l)
	[ -s "$LAB_DIR/$1/text" ] || read_wire "$1" -V >"$LAB_DIR/$1/text"
	grep "($3)" "$LAB_DIR/$1/text"
	echo "$n frames"
	[ "$n" -eq "$4" ] && grep -Eq "Notify Message Type: ($5).* \($3\)" "$LAB_DIR/$1/text"
}

for name in per_resource max_queue childless childless_cbc quick_crash auth_lifetime; do
	check "$name: every message is decrypted" decrypted $name
	check "$name: tshark complains of nothing" no_complaint $name
done
# tshark 4.0 knows these numbers only as what IANA may give away.
check "RFC 9611: SA_RESOURCE_INFO in the request and the answer of IKE_AUTH" \
	notifies per_resource 35 16444 2 "RESERVED TO IANA|SA_RESOURCE_INFO"
check "RFC 9611: and in CREATE_CHILD_SA, the rekeying too" \
	notifies per_resource 36 16444 4 "RESERVED TO IANA|SA_RESOURCE_INFO"
check "RFC 9611: TS_MAX_QUEUE refuses one too many" notifies max_queue 36 48 1 "RESERVED TO IANA|TS_MAX_QUEUE"
for name in childless childless_cbc; do
	check "RFC 6023: $name: the responder says that it can" \
		notifies $name 34 16418 1 CHILDLESS_IKEV2_SUPPORTED
	check "RFC 6023: $name: IKE_AUTH, then a child SA of its own" \
		exchanges $name "34 34 34 34 35 35 36 36"
done
no_child_in_auth() { # no SA (33) nor traffic selectors (44) in IKE_AUTH
	equals "$(read_wire childless -Y 'isakmp.exchangetype == 35 &&
		(isakmp.typepayload == 33 || isakmp.typepayload == 44)' -T fields -e frame.number)" ""
}
check "RFC 6023: IKE_AUTH has no child SA" no_child_in_auth
check "RFC 6290: both give a token in IKE_AUTH" notifies quick_crash 35 16419 2 QUICK_CRASH_DETECTION
check "RFC 6290: it is shown after the crash" notifies quick_crash 37 16419 1 QUICK_CRASH_DETECTION
in_clear() {
	equals "$(read_wire quick_crash -Y 'isakmp.notify.msgtype == 16419 &&
		!(isakmp.typepayload == 46)' -T fields -e isakmp.exchangetype)" 37
}
check "RFC 6290: in clear, with INVALID_IKE_SPI" in_clear
same_token() { # as in the responder's IKE_AUTH
	local token
	token=$(read_wire quick_crash -Y 'isakmp.notify.msgtype == 16419 && !(isakmp.typepayload == 46)' \
		-T fields -e isakmp.notify.data)
	token=${token##*,}
	echo "token $token"
	[ ${#token} -ge 32 ] && read_wire quick_crash -Y 'isakmp.exchangetype == 35' \
		-T fields -e isakmp.notify.data | grep -q "$token"
}
check "RFC 6290: it is the one that was given" same_token
check "RFC 4478: AUTH_LIFETIME" notifies auth_lifetime 35 16403 1 AUTH_LIFETIME
