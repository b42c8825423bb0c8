#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""upgrade-terminal.py PROGRAM VHU-GUEST FOLDER: a daemon on a terminal of ours, upgraded
between keys; the terminal stays raw, and is put back when the guest goes."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

program, guest, folder = sys.argv[1:4]


def fail(why):
    print(why)
    os.kill(pid, signal.SIGKILL)
    sys.exit(1)


def read_until(text):
    """The terminal's output up to and with this text."""
    seen, deadline = b"", time.monotonic() + 20
    while text not in seen:
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            fail(f"no {text!r} in {seen[-500:]!r}")
        seen += os.read(fd, 4096)


def is_raw():
    return not termios.tcgetattr(fd)[3] & termios.ICANON


def expect_raw(raw):
    deadline = time.monotonic() + 20
    while is_raw() != raw:
        if time.monotonic() > deadline:
            fail(f"raw is not {raw}")
        time.sleep(0.02)


def upgrade():
    os.kill(pid, signal.SIGUSR2)
    read_until(b"console: upgraded: ")


pid, fd = pty.fork()
if pid == 0:
    os.execv(program, [program, "--socket-path", f"{folder}/term", "--backend", "nested"])
read_until(b"front-end socket")
before = termios.tcgetattr(fd)
upgrade()
words = [guest, "--socket", f"{folder}/term0", "--timeout", "20000", "echo", "1000000"]
machine = subprocess.Popen(words, stderr=subprocess.DEVNULL)
read_until(b"connected")
expect_raw(True)
for i in range(3):
    os.write(fd, b"key%d" % i)
    read_until(b"key%d" % i)
    upgrade()
    if not is_raw():
        fail("the terminal is not raw any more")
    os.write(fd, b"x" * 3000 + b"end%d" % i)
    read_until(b"end%d" % i)
machine.terminate()
machine.wait()
expect_raw(False)
upgrade()
if termios.tcgetattr(fd) != before:
    fail("the terminal has other modes")
os.write(fd, b"\x03")
status = os.waitpid(pid, 0)[1]
sys.exit(0 if status == 0 else 1)
