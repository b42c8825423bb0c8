#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""upgrade-client.py ADDRESS BLOCKS FILE: sends at least that many blocks of 4096 bytes to a
port whose guest sends them back, until there is FILE; compares, and says what was wrong.
ADDRESS: tcp:PORT, telnet:PORT, unix:PATH or pty:PATH. It writes READY to standard output
when the first byte has come back."""

import os
import random
import socket
import sys
import termios
import threading
import tty

IAC, SB, SE, WILL, WONT, DO, DONT, BINARY = 255, 250, 240, 251, 252, 253, 254, 0
BLOCK = 4096


class Wire:
    """A connected descriptor, bytes as they are."""

    def __init__(self, address):
        kind, where = address.split(":", 1)
        if kind == "unix":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(where)
            self.fd = self.sock.fileno()
        elif kind == "pty":
            self.fd = os.open(where, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self.fd, termios.TCSANOW)
        else:
            self.sock = socket.create_connection(("127.0.0.1", int(where)))
            self.fd = self.sock.fileno()

    def send(self, data):
        while data:
            data = data[os.write(self.fd, data) :]

    def receive(self):
        return os.read(self.fd, 65536)


class Telnet(Wire):
    """Agrees to eight-bit bytes, and to nothing else."""

    def __init__(self, address):
        super().__init__(address)
        self.pending = b""
        self.agreed = set()
        while len(self.agreed) < 2:
            self.pending += super().receive()
            self.take()

    def send(self, data):
        super().send(data.replace(b"\xff", b"\xff\xff"))

    def take(self):
        """The data at the start of what has come; commands are answered."""
        data, raw, at = bytearray(), self.pending, 0
        while at < len(raw):
            if raw[at] != IAC:
                data.append(raw[at])
                at += 1
                continue
            if at + 1 == len(raw) or (WILL <= raw[at + 1] <= DONT and at + 2 == len(raw)):
                break
            if raw[at + 1] == IAC:
                data.append(IAC)
                at += 2
            elif WILL <= raw[at + 1] <= DONT:
                self.answer(raw[at + 1], raw[at + 2])
                at += 3
            else:
                at += 2
        self.pending = raw[at:]
        return bytes(data)

    def answer(self, verb, option):
        if option == BINARY and verb in (WILL, DO):
            self.agreed.add(verb)
            super().send(bytes([IAC, DO if verb == WILL else WILL, BINARY]))

    def receive(self):
        while True:
            more = super().receive()
            if not more:
                return b""
            self.pending += more
            data = self.take()
            if data:
                return data


def block(address, number):
    return random.Random(f"{address} {number}").randbytes(BLOCK)


class Sent:
    """What has been sent so far, and whether that is all."""

    def __init__(self):
        self.n_blocks = 0
        self.all = False


def feed(wire, address, least, stop, sent):
    while not sent.all:
        sent.all = sent.n_blocks + 1 >= least and os.path.exists(stop)
        sent.n_blocks += 1
        wire.send(block(address, sent.n_blocks - 1))


def compare(wire, address, sent):
    """None, or what is wrong."""
    number, want = 0, b""
    while want or not (sent.all and number == sent.n_blocks):
        got = wire.receive()
        if not got:
            return f"the connection ended in block {number}"
        if number == 0 and not want:
            print("READY", flush=True)
        while got:
            if not want:
                want = block(address, number)
                number += 1
            part, got = got[: len(want)], got[len(want) :]
            if part != want[: len(part)]:
                return f"block {number - 1} is not what was sent"
            want = want[len(part) :]
    return None


def main():
    address, least, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    wire = (Telnet if address.startswith("telnet:") else Wire)(address)
    sent = Sent()
    args = (wire, address, least, stop, sent)
    threading.Thread(target=feed, args=args, daemon=True).start()
    wrong = compare(wire, address, sent)
    print(f"{address}: {sent.n_blocks} blocks, {wrong or 'all as they were sent'}", flush=True)
    os._exit(1 if wrong else 0)


main()
