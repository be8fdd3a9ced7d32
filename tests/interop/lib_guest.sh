# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A virtual machine as a peer: Debian's kernel with its own ESP, which the machine of the tests may
# lack, and this machine's programs, emulated without help of the processor's. It has a router to itself.
#
#   guest (198.51.100.21) -- far (bridge) -- rt -- out (bridge) -- [sallyportd] -- in (10.99.0.10)
#
# The kernel's package is downloaded once, unpacked in the build directory, never installed.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST_CACHE=$BUILD/guest
GUEST_PORT=7007 # of the shell, on the loopback of FAR
GUEST4=198.51.100.21
GUEST6=2001:db8:2::21
GUEST_PID=

# --- the kernel ----------------------------------------------------------------------------------

# The package that Debian's name for the newest kernel depends on.
guest_kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

guest_kernel_download() { # DIRECTORY
	local package
	package=$(guest_kernel_package)
	[ -n "$package" ] || return
	(cd "$1" && apt-get -qq -o APT::Sandbox::User=root download "$package")
}

# What of the kernel's package the guest needs: the image, and the modules of networks and ciphers.
guest_kernel_unpack() { # DIRECTORY
	local modules
	dpkg -x "$1"/linux-image-*.deb "$1/all" || return
	modules=$(find "$1/all" -type d -path '*lib/modules/*' -name '[0-9]*' -prune)
	[ -d "$modules/kernel" ] || { echo "no modules in the package" && return 1; }
	mkdir -p "$1/kernel/lib/modules/${modules##*/}/kernel/drivers" || return
	cp "$1"/all/boot/vmlinuz-* "$1/kernel/vmlinuz" &&
		cp "$modules"/modules.{builtin,order} "$1/kernel/lib/modules/${modules##*/}" &&
		cp -r "$modules"/kernel/{net,crypto,arch,lib} "$1/kernel/lib/modules/${modules##*/}/kernel" &&
		cp -r "$modules"/kernel/drivers/{virtio,net} \
			"$1/kernel/lib/modules/${modules##*/}/kernel/drivers" &&
		busybox depmod -b "$1/kernel" "${modules##*/}"
}

# In GUEST_CACHE/kernel; package lists that are missing or too old are fetched anew.
guest_kernel() {
	local work=$GUEST_CACHE/work
	mkdir -p "$GUEST_CACHE" || return
	exec {GUEST_LOCK}>"$GUEST_CACHE/lock" && flock "$GUEST_LOCK" || return
	if [ ! -e "$GUEST_CACHE/kernel/vmlinuz" ]; then
		rm -rf "$work" && mkdir "$work" || return
		guest_kernel_download "$work" || { apt-get update -qq && guest_kernel_download "$work"; } ||
			{ echo "linux-image-cloud-amd64 cannot be downloaded" && return 1; }
		guest_kernel_unpack "$work" && mv -T "$work/kernel" "$GUEST_CACHE/kernel" || return
		rm -rf "$work"
	fi
	exec {GUEST_LOCK}>&-
}

# --- its programs --------------------------------------------------------------------------------

# Programs of this machine with the libraries that they load, at their places below ROOT.
guest_programs() { # ROOT FILE...
	local root=$1 f
	shift
	{
		printf '%s\n' "$@"
		ldd "$@" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | grep -v ':$'
	} | sort -u | while read -r f; do
		mkdir -p "$root${f%/*}" && cp -L "$f" "$root$f" || return
	done
}

# The first process. A connection to the port is a shell.
guest_init() {
	cat <<-'END'
		#!/bin/sh
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin
		/bin/busybox --install -s /bin
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs devtmpfs /dev
		mkdir -p /dev/shm /run /tmp
		modprobe -a virtio_pci virtio_net esp4 esp6 xfrm_user af_key authenc authencesn echainiv seqiv
		ip link set lo up
		sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
		for i in eth0 eth1; do ip link set $i up; done
		ip addr add 10.0.2.15/24 dev eth1
		ip addr add $GUEST4/24 dev eth0
		ip addr add $GUEST6/64 dev eth0 nodad
		ip route add default via 198.51.100.1
		ip -6 route add default via 2001:db8:2::1
		echo "guest is ready"
		exec nc -ll -p 7 -e /bin/sh
	END
}

guest_root() { # ROOT FILE...
	local root=$1
	shift
	mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,tmp,etc} "$root/usr/lib/ipsec/plugins" &&
		cp "$(command -v busybox)" "$root/bin/busybox" &&
		cp -L /bin/dash "$root/bin/sh" && # busybox's would prefer its own ip
		ln -s ../bin/busybox "$root/sbin/modprobe" &&
		guest_init | sed "s/\$GUEST4/$GUEST4/; s/\$GUEST6/$GUEST6/" >"$root/init" && chmod 755 "$root/init" &&
		cp -r "$GUEST_CACHE/kernel/lib" "$root/" &&
		printf 'root:x:0:0:root:/:/bin/sh\n' >"$root/etc/passwd" &&
		printf 'root:x:0:\n' >"$root/etc/group" &&
		printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf" &&
		guest_programs "$root" /bin/dash "$(command -v ip)" "$(command -v ping)" "$@"
}

# strongSwan with the plugins of the laboratory, but the kernel's own ESP.
guest_charon_files() {
	local p
	command -v swanctl
	ldconfig -p | awk '$1 == "libgcc_s.so.1" { print $NF; exit }' # by pthread_cancel
	echo /usr/sbin/charon-systemd
	for p in $CHARON_PLUGINS; do
		[ "$p" = kernel-libipsec ] || find /usr/lib/ipsec/plugins -name "libstrongswan-$p.so"
	done
}

# --- running it ----------------------------------------------------------------------------------

# The router between the headend and the guest, which the headend takes for its default.
guest_router() {
	bridge_add far && leg_add rt 192.0.2.254/24 || return
	ns rt ip link add eth1 type veth peer name rt netns "$LAB-far" || return
	ns far ip link set rt master br0 up
	ns rt sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ns rt ip link set eth1 up
	ns rt ip addr add 198.51.100.1/24 dev eth1
	ns rt ip addr add 2001:db8:1::fe/64 dev eth0 nodad
	ns rt ip addr add 2001:db8:2::1/64 dev eth1 nodad
}

guest_boot() {
	local root=$LAB_DIR/guest-root
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$LAB_DIR/guest.cpio" || return
	rm -rf "$root"
	ns far ip tuntap add dev guest mode tap vnet_hdr || return
	ns far ip link set guest master br0 up
	nsenter --net="/run/netns/$LAB-far" -- qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 1 \
		-m 512 -nodefaults -no-reboot -display none -serial "file:$LAB_DIR/guest.log" \
		-kernel "$GUEST_CACHE/kernel/vmlinuz" -initrd "$LAB_DIR/guest.cpio" \
		-append "console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off ${GUEST_APPEND-}" \
		-netdev tap,id=outside,ifname=guest,script=no,downscript=no \
		-device virtio-net-pci,netdev=outside,mac=02:00:00:00:03:01,romfile= \
		-netdev "user,id=shell,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:$GUEST_PORT-:7" \
		-device virtio-net-pci,netdev=shell,mac=02:00:00:00:03:02,romfile= \
		>"$LAB_DIR/qemu.log" 2>&1 &
	GUEST_PID=$!
	LAB_PIDS+=("$GUEST_PID")
}

# The guest's shell answers; false as soon as the machine has ended.
guest_wait() {
	local end=$((SECONDS + 60))
	until grep -qs "guest is ready" "$LAB_DIR/guest.log"; do
		[ $SECONDS -lt $end ] && kill -0 "$GUEST_PID" 2>/dev/null || return 1
		sleep 0.1
	done
	within 10 guest true
}

# A command line in the guest, with its output and its status. What it leaves in the background may
# hold the connection open.
guest() { # COMMAND...
	local out
	# shellcheck disable=SC2016 # for the other shell
	out=$(printf '{ %s\n} </dev/null 2>&1\necho "rc=$?"\nexit\n' "$*" |
		nsenter --net="/run/netns/$LAB-far" -- timeout 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$GUEST_PORT &&
			cat >&3 && sed '/^rc=/q' <&3") || return
	printf '%s\n' "${out%rc=*}"
	[ "${out##*rc=}" = 0 ]
}

# Standard input becomes a file (text) in the guest.
guest_put() { # PATH
	guest "mkdir -p \$(dirname $1); cat >$1 <<'END-OF-FILE'
$(cat)
END-OF-FILE"
}

# --- strongSwan in the guest ---------------------------------------------------------------------

# Its swanctl.conf on standard input.
guest_charon() {
	guest_put /etc/swanctl/swanctl.conf || return
	guest_put /etc/strongswan.conf <<-END || return
		charon-systemd {
		  load_modular = no
		  load = $(sed 's/kernel-libipsec//' <<<"${CHARON_PLUGINS//$'\n'/ }")
		  filelog { lab { path = /tmp/charon.log
		    default = 1
		    ike = 2
		    knl = 2
		    flush_line = yes } }
		  plugins { vici { socket = unix:///run/charon.vici } }
		}
		swanctl { load = random openssl }
	END
	guest 'cd /etc/swanctl && mkdir -p x509 x509ca private && cd / || exit
		/usr/sbin/charon-systemd >/tmp/charon.out 2>&1 & i=0
		until [ -S /run/charon.vici ]; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done' &&
		guest_swan --load-all --noprompt
}

guest_swan() { # SWANCTL-ARGUMENTS...
	local command=$1
	shift
	guest "swanctl $command --uri unix:///run/charon.vici $*"
}

# What the guest knows, for a failure's log.
lab_snapshot() {
	kill -0 "$GUEST_PID" 2>/dev/null || return 0
	guest 'ip -s xfrm state; ip xfrm policy; ip route show table all; cat /proc/net/xfrm_stat' \
		>"$LAB_DIR/guest-xfrm.log"
	guest 'tail -n 300 /tmp/charon.log' >"$LAB_DIR/guest-charon.log"
}
