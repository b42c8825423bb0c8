#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""systemd-store.py PROGRAM VHU-GUEST FOLDER PORT: plays a service manager that keeps
descriptors (FDSTORE=1), and kills the daemon: who connects before it is started again is
served by the next one."""

import array
import os
import signal
import socket
import subprocess
import sys

program, guest, folder, port = sys.argv[1:5]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(f"{folder}/manager")
manager.settimeout(20)
store = {}
ARGUMENTS = ["--device", f"socket={folder}/kept,name=x,max-ports=4", "--port", "0,console,null"]
ARGUMENTS += ["--port", f"1,name=a,tcp:{port}", "--port", f"2,name=b,unix:{folder}/b"]


def take_word():
    """One datagram of the daemon; what it wants to be kept or forgotten is."""
    text, ancillary, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for _, _, data in ancillary:
        fds.frombytes(data)
    words = dict(line.split("=", 1) for line in text.decode().splitlines())
    name = words.get("FDNAME")
    if words.get("FDSTORE") == "1":
        if words.get("FDPOLL") != "0" or len(fds) != 1:
            sys.exit(f"not as sd_notify(3) wants it: {words}, {len(fds)} descriptors")
        if name in store:
            os.close(store[name])
        store[name] = fds[0]
    if words.get("FDSTOREREMOVE") == "1" and name in store:
        os.close(store.pop(name))
    return words


def start():
    pid = os.fork()
    if pid:
        while "READY" not in take_word():
            pass
        return pid
    names = sorted(store)
    high = [os.dup2(store[name], 100 + i) for i, name in enumerate(names)]
    for i, fd in enumerate(high):
        os.dup2(fd, 3 + i)
    os.closerange(3 + len(high), 200)
    os.environ.update(NOTIFY_SOCKET=f"{folder}/manager", FDSTORE="64")
    if names:
        passed = {"PID": str(os.getpid()), "FDS": str(len(names)), "FDNAMES": ":".join(names)}
        os.environ.update({f"LISTEN_{key}": value for key, value in passed.items()})
    os.execv(program, [program, *ARGUMENTS])


def end(pid, signo):
    os.kill(pid, signo)
    os.waitpid(pid, 0)


pid = start()
if len(store) != 3:
    sys.exit(f"3 sockets are expected to be kept: {sorted(store)}")
for _ in range(3):
    end(pid, signal.SIGKILL)
    client = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
    words = [guest, "--socket", f"{folder}/kept", "--port", "a", "--timeout", "20000"]
    machine = subprocess.Popen([*words, "echo", "5"], stderr=subprocess.DEVNULL)
    client.sendall(b"hello")
    pid = start()
    got = client.recv(5)
    if machine.wait() != 0 or got != b"hello":
        sys.exit(f"the guest that came in between: {machine.returncode}, its client {got}")
    if len(store) != 3:
        sys.exit(f"3 sockets are expected to be kept: {sorted(store)}")
# One that is not wanted any more is closed and forgotten.
end(pid, signal.SIGKILL)
ARGUMENTS = ARGUMENTS[:-2]
pid = start()
if len(store) != 2:
    sys.exit(f"2 sockets are expected to be kept: {sorted(store)}")
os.kill(pid, signal.SIGTERM)
while store:
    take_word()
sys.exit(0 if os.waitpid(pid, 0)[1] == 0 else 1)
