#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# listen ADDRESS PORT, connect FROM ADDRESS PORT: one TCP connection; prints the MSS that the peer's SYN
# has left it.
import socket
import sys
import time


def maxseg(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(address, port):
    with socket.create_server((address, int(port)), family=family(address)) as server:
        server.settimeout(20)
        connection, _ = server.accept()
        with connection:
            print(maxseg(connection))


def connect(source, address, port):
    for attempt in range(100):
        try:
            with socket.create_connection(
                (address, int(port)), timeout=20, source_address=(source, 0)
            ) as connection:
                print(maxseg(connection))
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("nobody listens")


if sys.argv[1] == "listen":
    listen(*sys.argv[2:])
else:
    connect(*sys.argv[2:])
