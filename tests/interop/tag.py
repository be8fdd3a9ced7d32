#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# TRUNK LEG ID: what the kernel's 802.1Q would do, which a test machine may not have: LEG is made, a TAP
# in the VLAN of TRUNK.
import fcntl
import os
import select
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID = 1 << 4
ETH_P_ALL = 3
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def open_on(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.bind((interface, 0))
    return s


def tap_new(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def vlan_of(control):
    """The tag that the kernel took off, or None."""
    for level, kind, data in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return tci & 0xFFF
    return None


trunk, leg, vlan = open_on(sys.argv[1]), tap_new(sys.argv[2]), int(sys.argv[3])
tag = struct.pack(">HH", 0x8100, vlan)
print("ready", flush=True)
while True:
    readable = select.select([trunk, leg], [], [])[0]
    if leg in readable:
        frame = os.read(leg, 65536)
        trunk.send(frame[:12] + tag + frame[12:])
    if trunk in readable:
        try:
            frame, control, _, _ = trunk.recvmsg(65536, 256)
        except OSError:  # the interface has gone
            sys.exit(0)
        seen = vlan_of(control)
        if seen is None and frame[12:16] == tag:
            os.write(leg, frame[:12] + frame[16:])
        elif seen == vlan:
            os.write(leg, frame)
