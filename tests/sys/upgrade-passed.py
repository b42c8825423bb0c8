#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""upgrade-passed.py PROGRAM VHU-GUEST FOLDER: a daemon whose sockets are all passed to it
(LISTEN_FDS), as a device, a listening attachment, a connected one and a pipe; upgraded
between everything that is done with them."""

import os
import signal
import socket
import subprocess
import sys
import time

program, guest, folder = sys.argv[1:4]
log_path = f"{folder}/passed.log"
NAMES = ("dev", "listening", "connected", "out")
FIRST = 3


def log():
    with open(log_path, encoding="utf-8", errors="replace") as f:
        return f.read()


def wait_for(holds):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            fail("in vain")
        time.sleep(0.02)


def fail(why):
    print(why, log(), sep="\n")
    os.kill(pid, signal.SIGKILL)
    sys.exit(1)


def listen(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"{folder}/{name}")
    s.listen()
    return s


def become_daemon(passed):
    high = [os.dup2(fd, 100 + i) for i, fd in enumerate(passed)]
    os.dup2(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    for i, fd in enumerate(high):
        os.dup2(fd, FIRST + i)
    os.closerange(FIRST + len(high), 200)
    os.environ.update(
        LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=":".join(NAMES)
    )
    ports = ["0,console,null", "1,name=a,fd:listening", "2,name=b,fd:connected", "3,name=c,fd:out"]
    words = [word for port in ports for word in ("--port", port)]
    os.execv(program, [program, "--device", "fd=dev,name=x,max-ports=6", *words])


def upgrade():
    n = log().count("console: upgraded: ")
    os.kill(pid, signal.SIGUSR2)
    wait_for(lambda: log().count("console: upgraded: ") > n or "not upgraded" in log())
    if "not upgraded" in log():
        fail("it was not upgraded")


def play(*words):
    command = [guest, "--socket", f"{folder}/dev", "--timeout", "20000", *words]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def echo(port, sock, n):
    g = play("--port", port, "echo", str(n))
    data, got = os.urandom(n), b""
    sock.sendall(data)
    while len(got) < n:
        more = sock.recv(65536)
        if not more:
            break
        got += more
    if g.wait() != 0 or got != data:
        fail(f"port {port}: {len(got)} of {n} bytes, or others")


device, listening = listen("dev"), listen("listening")
ours, theirs = socket.socketpair()
reader, writer = os.pipe()
open(log_path, "w", encoding="utf-8").close()
pid = os.fork()
if pid == 0:
    become_daemon([device.fileno(), listening.fileno(), theirs.fileno(), writer])
theirs.close()
os.close(writer)
wait_for(lambda: "port 3 c" in log())
upgrade()
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
ours.settimeout(20)
client.connect(f"{folder}/listening")
for _ in range(2):
    echo("a", client, 30000)
    echo("b", ours, 30000)
    if play("--port", "c", "send", "hello").wait() != 0 or os.read(reader, 5) != b"hello":
        fail("the pipe")
    upgrade()
os.kill(pid, signal.SIGTERM)
status = os.waitpid(pid, 0)[1]
sys.exit(0 if status == 0 else 1)
