#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# receive ADDRESS PORT: one connection's bytes to standard output.
# send FROM ADDRESS PORT: standard input to the receiver, which may take a moment to listen.
import shutil
import socket
import sys
import time


def receive(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(port)), family=family) as server:
        server.settimeout(60)
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(60)
            shutil.copyfileobj(stream, sys.stdout.buffer)


def send(source, address, port):
    for attempt in range(100):
        try:
            connection = socket.create_connection(
                (address, int(port)), timeout=30, source_address=(source, 0)
            )
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    else:
        sys.exit("nobody listens")
    with connection, connection.makefile("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)


if sys.argv[1] == "receive":
    receive(*sys.argv[2:])
else:
    send(*sys.argv[2:])
