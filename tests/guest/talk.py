#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""talk.py TRANSCRIPT: one conversation with a guest's port, over TCP or a Unix socket.

Reads commands from stdin, a line each, and answers each with one line on
stdout: "ok TEXT", or "no REASON". In TEXT and REASON a newline is \\n and a
backslash is \\\\. All that the guest says is added to the file TRANSCRIPT.

  open PORT              connect to 127.0.0.1:PORT, or to the Unix socket of that path
  sync                   read what was said up to now, with the shell's help
  close                  hang up
  expect SECONDS REGEX   wait until REGEX matches what was not yet consumed;
                         TEXT is the first group, or the whole match
  type TEXT              send TEXT as it stands and a carriage return
  run SECONDS COMMAND    type a shell command and wait for its end;
                         TEXT is "STATUS OUTPUT"
  md5 SECONDS COMMAND    the same, TEXT is the md5 sum of the output
  paste SECONDS COUNT    COUNT bytes in one write into `cat` on a raw terminal,
                         which must come back; TEXT is their sha256 sum. All
                         bytes but two: see INTERRUPT and SYSRQ

On ports that are no consoles, where nothing is read unless it is asked for:

  send TEXT              send TEXT and nothing else
  give SECONDS FILE      send what is in FILE
  take SECONDS COUNT     read COUNT bytes; TEXT is their sha256 sum
  bounce SECONDS FILE    send what is in FILE and read as much at the same time;
                         TEXT is the sha256 sum of what came back
  window COLUMNS ROWS    say as a telnet client that the window has that size
  ask SECONDS TEXT       send TEXT and a newline; TEXT is the line that comes back

talk.py --free-ports COUNT prints the first of COUNT free ports in a row.
"""
import hashlib
import os
import random
import re
import select
import socket
import sys
import time

CURSOR_QUERY = b"\x1b[6n"  # the shell asks a terminal where its cursor is
PROMPT = rb"# "
ENOUGH = 160  # bytes of the guest's last words in a REASON
INTERRUPT = b"\x1d"  # ends the raw cat
SYSRQ = b"\x0f"  # Linux takes this one and the next byte on a kernel console


class Failure(Exception):
    pass


class Talk:
    def __init__(self, transcript):
        self.log = open(transcript, "ab", buffering=0)
        self.sock = None
        self.unread = b""
        self.count = 0
        # The kept output, which a client is given first, may show another's marks.
        self.name = os.urandom(4).hex()

    def open(self, port):
        self.close()
        if "/" in port:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(10)
            self.sock.connect(port)
        else:
            self.sock = socket.create_connection(("127.0.0.1", int(port)), 10)
        self.unread = b""

    def sync(self):
        self.run(20, ":")

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def receive(self, deadline, want):
        left = deadline - time.monotonic()
        if not self.sock:
            raise Failure("not connected")
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            words = repr(self.unread[-ENOUGH:])[1:]
            raise Failure("no %s in time; the guest said last %s" % (want, words))
        data = self.sock.recv(1 << 20)
        if not data:
            raise Failure("the connection was closed while waiting for " + want)
        self.log.write(data)
        self.unread += data

    def wait(self, seconds, regex):
        """Returns the match and what came before it; consumes both."""
        deadline = time.monotonic() + float(seconds)
        while True:
            found = re.search(regex, self.unread, re.DOTALL)
            if found:
                before, self.unread = self.unread[:found.start()], self.unread[found.end():]
                return found, before
            self.receive(deadline, regex.decode(errors="replace"))

    def expect(self, seconds, regex):
        found, _ = self.wait(seconds, regex.encode())
        return found[1 if found.re.groups else 0].decode(errors="replace")

    def type(self, text):
        self.sock.sendall(text.encode() + b"\r")

    def output_of(self, seconds, command):
        """What is typed is echoed, and must not look like the marks."""
        self.count += 1
        tag = "%s.%d" % (self.name, self.count)
        mark = b"<%s:" % tag.encode()
        self.type("echo '<'%s:; %s; echo '<'%s:$?'>'" % (tag, command, tag))
        self.wait(seconds, mark + rb"\r?\n")
        found, output = self.wait(seconds, mark + rb"(\d+)>\r?\n")
        self.wait(seconds, PROMPT)
        return int(found[1]), output.replace(CURSOR_QUERY, b"").replace(b"\r\n", b"\n")

    def run(self, seconds, command):
        status, output = self.output_of(seconds, command)
        return "%d %s" % (status, output.decode(errors="replace"))

    def md5(self, seconds, command):
        status, output = self.output_of(seconds, command)
        if status:
            raise Failure("status %d of %s" % (status, command))
        return hashlib.md5(output).hexdigest()

    def send(self, text):
        self.sock.sendall(text.encode())

    def give(self, seconds, path):
        self.sock.settimeout(float(seconds))
        with open(path, "rb") as file:
            self.sock.sendall(file.read())

    def take(self, seconds, count):
        deadline = time.monotonic() + float(seconds)
        while len(self.unread) < int(count):
            self.receive(deadline, "%s bytes" % count)
        data, self.unread = self.unread[:int(count)], self.unread[int(count):]
        return hashlib.sha256(data).hexdigest()

    def window(self, columns, rows):
        iac, sb, se, will, naws = b"\xff", b"\xfa", b"\xf0", b"\xfb", b"\x1f"
        size = int(columns).to_bytes(2, "big") + int(rows).to_bytes(2, "big")
        self.sock.sendall(iac + will + naws + iac + sb + naws + size + iac + se)

    def bounce(self, seconds, path):
        deadline = time.monotonic() + float(seconds)
        with open(path, "rb") as file:
            left = memoryview(file.read())
        count, back = len(left), bytearray()
        self.sock.setblocking(False)
        while len(back) < count:
            ready = select.select([self.sock], [self.sock] if left else [], [],
                                  max(0, deadline - time.monotonic()))
            if ready[0]:
                back += self.sock.recv(1 << 20)
            if ready[1]:
                left = left[self.sock.send(left):]
            if not ready[0] and not ready[1]:
                raise Failure("%d of %d bytes came back" % (len(back), count))
        self.sock.setblocking(True)
        return hashlib.sha256(back).hexdigest()

    def ask(self, seconds, text):
        self.send(text + "\n")
        found, _ = self.wait(seconds, rb"([^\n]*)\n")
        return found[1].decode(errors="replace")

    def paste(self, seconds, count):
        values = bytes(set(range(256)) - set(INTERRUPT + SYSRQ))
        data = bytes(random.Random(int(count)).choices(values, k=int(count)))
        self.type("stty raw -echo isig quit undef susp undef intr ^]; echo '<'%s; cat" % self.name)
        self.wait(seconds, b"<%s\n" % self.name.encode())
        sent = self.sock.send(data)
        if sent != len(data):
            raise Failure("one write took %d of %d bytes" % (sent, len(data)))
        deadline = time.monotonic() + float(seconds)
        while len(self.unread) < len(data):
            self.receive(deadline, "echo of %d bytes, have %d" % (len(data), len(self.unread)))
        back, self.unread = self.unread, b""
        self.sock.sendall(INTERRUPT)
        self.wait(seconds, PROMPT)
        self.run(seconds, "stty sane")
        if hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
            raise Failure(difference(data, back))
        return hashlib.sha256(back).hexdigest()

    def obey(self, line):
        """The last argument is the rest of the line, as it stands."""
        name, _, rest = line.partition(" ")
        verbs = {
            "open": (self.open, 1),
            "close": (self.close, 0),
            "sync": (self.sync, 0),
            "expect": (self.expect, 2),
            "type": (self.type, 1),
            "run": (self.run, 2),
            "md5": (self.md5, 2),
            "paste": (self.paste, 2),
            "send": (self.send, 1),
            "give": (self.give, 2),
            "take": (self.take, 2),
            "ask": (self.ask, 2),
            "bounce": (self.bounce, 2),
            "window": (self.window, 2),
        }
        verb, n_arguments = verbs[name]
        return verb(*rest.split(" ", n_arguments - 1)) if n_arguments else verb()


def difference(sent, back):
    same = next((i for i, (a, b) in enumerate(zip(sent, back)) if a != b), len(sent))
    return "%d bytes sent, %d came back, the first %d are equal" % (len(sent), len(back), same)


def free_ports(count):
    """Fails with OSError when the bind does, which is how a taken port shows."""
    for _ in range(100):
        first = random.randrange(20000, 32000)
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
            return first
        except OSError:
            continue
    sys.exit("talk.py: no %d free ports in a row" % count)


def escape(text):
    return text.replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n")


def main():
    if sys.argv[1:2] == ["--free-ports"] and len(sys.argv) == 3:
        print(free_ports(int(sys.argv[2])))
        return
    if len(sys.argv) != 2:
        sys.exit("usage: talk.py TRANSCRIPT | talk.py --free-ports COUNT")
    talk = Talk(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = "ok " + (talk.obey(line.rstrip("\n")) or "")
        except (Failure, OSError) as failure:
            answer = "no " + str(failure)
        try:
            print(escape(answer), flush=True)
        except BrokenPipeError:  # who asked is gone
            os._exit(0)


main()
