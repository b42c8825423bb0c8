#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""toy-frontend.py SOCKET HOW: a front-end that does little, and does it well or
not. HOW: good, early (starts a ring that has no size), crash or spin (when the
connection ends), gone (leaves at once)."""
import array
import os
import signal
import socket
import struct
import sys

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_VRING_KICK = 1, 2, 3, 12


def main():
    path, how = sys.argv[1:]
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)

    def send(request, payload=b"", fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        s.sendmsg([struct.pack("III", request, 1, len(payload)) + payload], ancillary if fds else [])

    def receive():
        header = s.recv(12, socket.MSG_WAITALL)
        return len(header) == 12 and s.recv(struct.unpack("III", header)[2], socket.MSG_WAITALL)

    if how == "gone":
        return
    send(SET_OWNER)
    send(GET_FEATURES)
    features = receive()
    if features and len(features) == 8:
        send(SET_FEATURES, features)
        if how == "early":
            send(SET_VRING_KICK, struct.pack("Q", 0), [os.eventfd(0)])
        send(GET_FEATURES)
        receive()
    try:
        while s.recv(4096):
            pass
    except ConnectionError:
        pass
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while how == "spin":
        pass


main()
