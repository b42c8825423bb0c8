#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""bench.py FOLDER [OPTION]...: the host's side of bench/guest.

A guest runs bench-agent, which FOLDER/agent leads to. Each device, ours and
theirs, has a data port and a console in it; FOLDER/DEVICE-data and
FOLDER/DEVICE-console lead to them. The same files go the same ways through
both devices in turn. A round begins with the one that came second before.
"""
import argparse
import hashlib
import json
import os
import re
import socket
import statistics
import sys
import time

DEVICES = ("ours", "theirs")
MB = 1000 * 1000
MIB = 1 << 20
CHUNK = 1 << 20
LOST_SECONDS = 2  # what has not come after such a pause is lost
PATIENCE_SECONDS = 60  # a transfer that takes longer has hung
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    pass


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE_SECONDS)
    sock.connect(path)
    return sock


class Agent:
    """The guest's shell, without a console in between."""

    def __init__(self, path):
        self.sock = connect(path)
        self.lines = self.sock.makefile("r")

    def begin(self, command):
        self.sock.sendall(command.encode() + b"\n")

    def end(self):
        line = self.lines.readline()
        status, _, output = line.strip().partition(" ")
        if status != "0":
            raise Failure("the guest answered: " + (line.strip() or "nothing"))
        return output

    def run(self, command):
        self.begin(command)
        return self.end()


class Use:
    """What processes have used up: processor time, and how often they went to sleep."""

    def __init__(self, pids):
        self.pids = pids
        self.before = self.now()

    def now(self):
        ms, sleeps = 0, 0
        for pid in self.pids:
            with open("/proc/%d/stat" % pid) as stat:
                fields = stat.read().rpartition(")")[2].split()
            ms += (int(fields[11]) + int(fields[12])) * TICK_MS
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/status" % (pid, task)) as status:
                    sleeps += int(re.search(r"\nvoluntary\D*(\d+)", status.read())[1])
        return ms, sleeps

    def since(self):
        return [now - before for now, before in zip(self.now(), self.before)]


def receive(sock, count, patience):
    """COUNT bytes or what there is of them; the times of the first and the last."""
    data = bytearray(count)
    view, got, first, last = memoryview(data), 0, 0.0, 0.0
    sock.settimeout(patience)
    while got < count:
        try:
            n = sock.recv_into(view[got:got + CHUNK])
        except TimeoutError:
            n = 0
        if n == 0:
            break
        last = time.monotonic()
        first = first or last
        got += n
    return data[:got], first, last


class Bench:
    def __init__(self, args):
        self.args = args
        self.agent = Agent(args.folder + "/agent")
        self.data, self.console, self.port = {}, {}, {}
        for name in DEVICES:
            self.data[name] = connect("%s/%s-data" % (args.folder, name))
            self.console[name] = connect("%s/%s-console" % (args.folder, name))
            self.port[name] = self.agent.run("device org.vhu.%s" % name)
        self.tty = {"ours": "/dev/hvc0", "theirs": "/dev/hvc1"}
        self.pids = {"all": [args.qemu], "daemon": [args.daemon]}
        self.pids["all"] += self.pids["daemon"]
        self.sums = {}

    def make(self, path, size):
        """A file in the guest; it is told apart from others by its sum."""
        command = "dd if=/dev/urandom of=%s bs=64k count=%d 2>/dev/null && md5sum <%s"
        self.sums[path] = self.agent.run(command % (path, size // 65536, path)).split()[0]

    def check(self, expected, data):
        got = data if isinstance(data, str) else hashlib.md5(data).hexdigest()
        if expected != got:
            raise Failure("what arrived is not what was sent")

    def start_uses(self):
        self.uses = {name: Use(pids) for name, pids in self.pids.items()}

    def end_uses(self):
        self.uses = {name: use.since() for name, use in self.uses.items()}

    def out(self, sock, path, size, command, may_lose=False):
        """From the guest: from the first byte to the last. Returns what was lost, too."""
        receive(sock, CHUNK, 0.2)  # a console's older words
        self.start_uses()
        self.agent.begin(command)
        data, first, last = receive(sock, size, LOST_SECONDS if may_lose else PATIENCE_SECONDS)
        self.agent.end()
        self.end_uses()
        lost = size - len(data)
        if lost > 0 and not may_lose:
            raise Failure("%d bytes of %d are missing" % (lost, size))
        if lost == 0:
            self.check(self.sums[path], data)
        return last - first, lost

    def out_cat(self, name):
        command = "cat /run/big >%s" % self.port[name]
        return self.out(self.data[name], "/run/big", self.args.size, command)

    def out_dd(self, name):
        command = "dd if=/run/big of=%s bs=64k 2>/dev/null" % self.port[name]
        return self.out(self.data[name], "/run/big", self.args.size, command)

    def into(self, name):
        """To the guest: from the first byte until the guest has all of them in a file."""
        data, size = self.bytes, self.args.size
        self.agent.run("rm -f /run/in")
        self.data[name].settimeout(PATIENCE_SECONDS)
        self.start_uses()
        self.agent.begin("dd if=%s of=/run/in bs=64k count=%d "
                         "iflag=fullblock 2>/dev/null" % (self.port[name], size // 65536))
        start = time.monotonic()
        self.data[name].sendall(data)
        self.agent.end()
        took = time.monotonic() - start
        self.end_uses()
        self.check(self.bytes_sum, self.agent.run("md5sum </run/in").split()[0])
        return took, 0

    def hvc(self, name):
        """A console may drop what its client does not take in time."""
        command = "raw_console %s /run/small" % self.tty[name]
        return self.out(self.console[name], "/run/small", self.args.console_size, command, True)

    def measure(self, kind, name, number):
        size = self.args.console_size if kind == "hvc" else self.args.size
        try:
            took, lost = getattr(self, kind)(name)
        except (Failure, OSError) as failure:
            raise Failure("round %d, %s, %s: %s" % (number, KINDS[kind], name, failure)) from None
        result = {
            "MB/s": (size - lost) / MB / took,
            "CPU ms/MB": self.uses["all"][0] / (size / MB),
            "lost": lost,
        }
        if name == "ours":
            result["daemon CPU ms/MB"] = self.uses["daemon"][0] / (size / MB)
            result["daemon sleeps/MB"] = self.uses["daemon"][1] / (size / MB)
        return result

    def run(self):
        self.make("/run/big", self.args.size)
        self.make("/run/small", self.args.console_size)
        self.bytes = os.urandom(self.args.size)
        self.bytes_sum = hashlib.md5(self.bytes).hexdigest()
        results = {kind: {name: [] for name in DEVICES} for kind in KINDS}
        for i in range(self.args.rounds):
            for kind in KINDS:
                for name in DEVICES[::-1] if i % 2 else DEVICES:
                    results[kind][name].append(self.measure(kind, name, i + 1))
                print("round %d: %s" % (i + 1, kind), file=sys.stderr)
        return results


KINDS = {
    "out_cat": "guest to host, cat",
    "out_dd": "guest to host, dd bs=64k",
    "into": "host to guest",
    "hvc": "cat to the console",
}


def summary(samples):
    """Of each thing measured: median, least, most."""
    result = {}
    for what in samples[0]:
        values = [sample[what] for sample in samples]
        result[what] = {"median": statistics.median(values), "min": min(values),
                        "max": max(values)}
    return result


def summaries(results):
    rows = []
    for kind, title in KINDS.items():
        row = {"name": kind, "title": title, "samples": results[kind]}
        row.update((name, summary(results[kind][name])) for name in DEVICES)
        row["ratio"] = row["ours"]["MB/s"]["median"] / row["theirs"]["MB/s"]["median"]
        rows.append(row)
    return rows


def speed(values):
    return "%8.2f (%.2f to %.2f)" % (values["median"], values["min"], values["max"])


def table(rows):
    form = "%-26s %-28s %-28s %5s"
    print(form % ("MB/s, median (range)", "    ours", "    QEMU's", "ratio"))
    for row in rows:
        print(form % (row["title"], speed(row["ours"]["MB/s"]), speed(row["theirs"]["MB/s"]),
                      "%.2f" % row["ratio"]))
    print("\nCPU ms per MB, QEMU and daemon together (ours: of that the daemon; its sleeps per MB)")
    for row in rows:
        ours = {what: values["median"] for what, values in row["ours"].items()}
        print("%-26s %8.2f (%.2f; %.0f)            %8.2f" % (
            row["title"], ours["CPU ms/MB"], ours["daemon CPU ms/MB"], ours["daemon sleeps/MB"],
            row["theirs"]["CPU ms/MB"]["median"]))
    for row in rows:
        for name, who in zip(DEVICES, ("ours", "QEMU's")):
            lost = [sample["lost"] for sample in row["samples"][name] if sample["lost"]]
            if lost:
                print("%s: %s lost output in %d rounds, %d bytes in all" % (
                    row["title"], who, len(lost), sum(lost)))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--qemu", type=int, required=True, help="its pid")
    parser.add_argument("--daemon", type=int, required=True, help="its pid")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="MiB")
    parser.add_argument("--console-size", type=int, required=True, help="KiB")
    parser.add_argument("--ring", required=True, help="what is said about the queues")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.size *= MIB
    args.console_size *= 1024
    try:
        rows = summaries(Bench(args).run())
    except (Failure, OSError) as failure:
        sys.exit("bench.py: %s" % failure)
    table(rows)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"size": args.size, "console_size": args.console_size, "ring": args.ring,
                       "rounds": args.rounds, "rows": rows}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
