# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Command lines: ours, and those of another daemon from templates."""
import re
import shlex
import socket

from .workloads import DATA

# Below the ports that the kernel hands out.
TCP_FIRST, TCP_LAST = 18000, 32000
WORDS = ("prefix", "socket", "tcp", "n")


class BadTemplate(Exception):
    """A template with a word that means nothing."""


class Template:
    """A command line with {prefix}, {socket}, {tcp} and {n} in it."""

    def __init__(self, text):
        unknown = set(re.findall(r"{(\w*)}", text)) - set(WORDS)
        if unknown:
            raise BadTemplate(f"'{{{sorted(unknown)[0]}}}' in '{text}': expected one of "
                              + ", ".join(f"{{{word}}}" for word in WORDS))
        self.text = text

    def command(self, prefix, tcp, n):
        values = {"prefix": prefix, "socket": f"{prefix}0", "tcp": str(tcp), "n": str(n)}
        return re.sub(r"{(\w+)}", lambda m: values[m.group(1)], self.text)


class Daemon:
    """A back-end: a name, and how it is started for each kind of device."""

    def __init__(self, name, templates, takes_options=False):
        self.name = name
        self.templates = templates
        self.takes_options = takes_options

    def serves(self, workload):
        if workload.ours_only and not self.takes_options:
            return False
        return workload.device in self.templates

    def command(self, workload, prefix, tcp):
        line = self.templates[workload.device].command(prefix, tcp, workload.guests)
        return f"{line} {workload.daemon_args}" if self.takes_options else line


def ours(program):
    quiet = f"{shlex.quote(str(program))} --log-level error"
    return Daemon("ours", {
        "console": Template(quiet + " -s {prefix} -c {n} -b network -p {tcp}"),
        "data": Template(quiet + " --device socket={socket} --port console,null"
                         " --port name=data,tcp:127.0.0.1:{tcp}"),
    }, takes_options=True)


def other(console, data):
    templates = {"console": Template(console)}
    if data:
        templates["data"] = Template(data)
    return Daemon("other", templates)


def load_args(workload, prefix, tcp):
    """Where vhu-load finds the guests' sockets and the other side."""
    if workload.device == DATA:
        return ["--socket", f"{prefix}0", "--port", "data", "--peer", f"tcp:127.0.0.1:{tcp}"]
    return ["--socket-path", prefix, "--guests", str(workload.guests), "--tcp-port", str(tcp)]


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_tcp_ports(n):
    """The first of n ports in a row that nobody listens on."""
    first = TCP_FIRST
    while first + n <= TCP_LAST:
        taken = [p for p in range(first, first + n) if not _is_free(p)]
        if not taken:
            return first
        first = taken[-1] + 1
    raise OSError(f"no {n} TCP ports in a row are free from {TCP_FIRST} to {TCP_LAST}")
