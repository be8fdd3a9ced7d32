#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: perf/pktgen/gateways.sh encrypt|decrypt TUNNELS DIRECTORY [A-INSIDE A-OUTSIDE B-OUTSIDE B-INSIDE]
#
# Writes a.conf and b.conf, two gateways back to back, to DIRECTORY: A calls B once for each tunnel,
# whose only destination is 10.1.x.y behind B, and whose only source is 10.2.x.y behind A. encrypt: A
# has one worker and B two, so that A is the bottleneck; decrypt: the reverse. The ports are PCI
# addresses, or without them memif sockets in DIRECTORY, to whose insides Pktgen connects.
# CPUS: A's control and workers, then B's (default "0 1 2 0 3 4": on each side the control's first).
set -eu
[ $# -eq 3 ] || [ $# -eq 7 ] || { sed -n '5,13s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
DIRECTION=$1
TUNNELS=$2
DIR=$3
shift 3
case $DIRECTION in
encrypt) A_WORKERS=1 B_WORKERS=2 ;;
decrypt) A_WORKERS=2 B_WORKERS=1 ;;
*) echo "gateways.sh: encrypt or decrypt" >&2 && exit 2 ;;
esac
if [ "$TUNNELS" -lt 1 ] || [ "$TUNNELS" -gt 60000 ]; then
	echo "gateways.sh: 1 to 60000 tunnels" >&2 && exit 2
fi
read -r -a CPU <<<"${CPUS:-0 1 2 0 3 4}"
mkdir -p "$DIR"
SECRET=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')

memif() { # NAME SOCKET ROLE
	echo "net_memif_$1,socket=$DIR/$2.sock,socket-abstract=no,role=$3,id=0,rsize=12,bsize=2176"
}

DEVICE_A_INSIDE=${1-$(memif a_inside a-inside server)}
DEVICE_A_OUTSIDE=${2-$(memif a_outside outside server)}
DEVICE_B_OUTSIDE=${3-$(memif b_outside outside client)}
DEVICE_B_INSIDE=${4-$(memif b_inside b-inside server)}

cpus() { # COUNT CPU...
	local n=$1
	shift
	echo "${*:1:$n}" | tr -s ' ' ','
}

head_of() { # SIDE CONTROL-CPU WORKERS
	cat <<-END
		main: { control_core = $2;  helper_cores = [ $2 ];  workers = [ $3 ];
		  memory_mb = $((512 + TUNNELS / 100));  max_sessions = $((TUNNELS + 16));
		  run_dir = "$DIR/$1";  state_dir = "$DIR/$1"; };
		credentials: { psk = ( { id = "*";  secret = "$SECRET"; } ); };
	END
}

address() { # NETWORK NUMBER
	echo "10.$1.$(($2 / 256)).$(($2 % 256))"
}

connection() { # NUMBER
	cat <<-END
		  { name = "t$1";  ike_versions = [ 2 ];
		    local = { id = "t$1.a.bench";  auth = "psk"; };
		    remote = { id = "b.bench";  auth = "psk";  addresses = [ "192.0.2.2" ]; };
		    initiate = "start";
		    children = ( { name = "c";  esp_proposals = [ "${ESP:-aes128gcm16}" ];
		      local_ts = [ "$(address 2 "$1")/32" ];  remote_ts = [ "$(address 1 "$1")/32" ]; } ); }
	END
}

gateway_a() {
	local i
	head_of a "${CPU[0]}" "$(cpus $A_WORKERS "${CPU[@]:1:2}")"
	cat <<-END
		ports = (
		  { name = "outside";  role = "outside";  device = "$DEVICE_A_OUTSIDE";
		    mac = "02:00:00:00:0a:01";  addresses = [ "192.0.2.1/24" ]; },
		  { name = "inside";  role = "inside";  device = "$DEVICE_A_INSIDE";
		    mac = "02:00:00:00:0a:02";  addresses = [ "10.99.0.1/24" ];
		    routes = ( { prefix = "10.2.0.0/16";  via = "10.99.0.5"; } ); }
		);
		connections = (
	END
	for ((i = 1; i <= TUNNELS; i++)); do
		[ "$i" -eq 1 ] || echo "  ,"
		connection "$i"
	done
	echo ");"
}

gateway_b() {
	head_of b "${CPU[3]}" "$(cpus $B_WORKERS "${CPU[@]:4:2}")"
	cat <<-END
		ports = (
		  { name = "outside";  role = "outside";  device = "$DEVICE_B_OUTSIDE";
		    mac = "02:00:00:00:0b:01";  addresses = [ "192.0.2.2/24" ]; },
		  { name = "inside";  role = "inside";  device = "$DEVICE_B_INSIDE";
		    mac = "02:00:00:00:0b:02";  addresses = [ "10.98.0.1/24" ];
		    routes = ( { prefix = "10.1.0.0/16";  via = "10.98.0.5"; } ); }
		);
		connections = (
		  { name = "a";  ike_versions = [ 2 ];
		    local = { id = "b.bench";  auth = "psk"; };
		    remote = { id = "*";  auth = "psk"; };
		    responder_only = true;
		    children = ( { name = "c";  esp_proposals = [ "${ESP:-aes128gcm16}" ];
		      local_ts = [ "10.1.0.0/16" ];  remote_ts = [ "10.2.0.0/16" ]; } ); }
		);
	END
}

mkdir -p "$DIR/a" "$DIR/b"
(umask 077 && gateway_a >"$DIR/a.conf" && gateway_b >"$DIR/b.conf")
echo "$DIR/a.conf $DIR/b.conf"
