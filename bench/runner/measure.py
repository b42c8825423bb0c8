# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Runs the workloads, round after round, each on all daemons in turn."""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

from . import daemons

PATIENCE_S = 40
VIOLATIONS = 3  # vhu-load has measured, and found some
RING_LINE = re.compile(r"ring +(\d+) +(.+?) +([\d.]+) ns")
FEW = 2000  # messages of a quick run


class Failed(Exception):
    """One run has no figures; the text says why."""


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def _run(command):
    """Standard output. The command has a group of its own, so that nothing of it stays."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            out, err = child.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise Failed(f"no end after {PATIENCE_S} s") from None
        except BaseException:
            child.terminate()
            raise
    if child.returncode not in (0, VIOLATIONS):
        raise Failed(_last_line(err))
    return out


def _object(text):
    try:
        return json.loads(text)
    except ValueError as why:
        raise Failed(f"what it printed is no JSON: {why}") from None


class Bench:
    """Programs, folders and ports of all runs."""

    def __init__(self, programs, tmp, options):
        self.programs = programs
        self.tmp = tmp
        self.options = options
        self.pin = ["--pin"] if os.cpu_count() > 1 else []
        self.tcp = daemons.free_tcp_ports(256)

    def _length(self, workload):
        few = self.options.quick and workload.args.split()[0] not in ("idle", "start", "tcp-best")
        return ["--seconds", "1"] + (["--messages", str(FEW)] if few else [])

    def _load(self, workload, daemon):
        prefix = os.path.join(self.tmp, "con")
        command = [str(self.programs["vhu-load"]), *workload.args.split(), "--json", *self.pin,
                   *self._length(workload), *daemons.load_args(workload, prefix, self.tcp),
                   "--exec", daemon.command(workload, prefix, self.tcp)]
        if not workload.with_limit:
            command.append("--no-limit")
        return _object(_run(command))

    def _limit(self, workload):
        command = [str(self.programs["vhu-load"]), "limit", *workload.args.split(), "--json",
                   *self.pin, *self._length(workload)]
        return _object(_run(command))["limits"][0]

    def _ring(self):
        command = [str(self.programs["bench_virtq"])]
        found = RING_LINE.findall(_run(command))
        if not found:
            raise Failed(f"{shlex.join(command)} printed no figures")
        return {f"{kind} {size}": float(ns) for size, kind, ns in found}

    def figures(self, workload, daemon):
        if workload.program == "load":
            return self._load(workload, daemon)
        return self._limit(workload) if workload.program == "limit" else self._ring()


class Progress:
    """A line for each run, with the time that is left by what was needed so far."""

    def __init__(self, runs):
        self.planned = sum(w.seconds for w in runs)
        self.n = len(runs)
        self.began = time.monotonic()
        self.done = 0.0
        self.i = 0

    def _left(self):
        spent = time.monotonic() - self.began
        pace = spent / self.done if self.done > 10 else 1.05
        return (self.planned - self.done) * pace

    def say(self, number, workload, name):
        self.i += 1
        left = int(self._left())
        print(f"[{self.i:3}/{self.n}] round {number}: {workload.name} ({name}), "
              f"{left // 60} min {left % 60:02} s left", file=sys.stderr, flush=True)
        self.done += workload.seconds


def _in_turn(number, workload, sides):
    """Who goes first changes from round to round."""
    takers = [s for s in sides if s.serves(workload)] if workload.program == "load" else sides[:1]
    return takers if number % 2 else takers[::-1]


def run_rounds(bench, workloads, sides, n_rounds):
    """For each round {side: {workload: {key: number}}}; {"error": text} where a run failed."""
    plan = [(i, w, s) for i in range(1, n_rounds + 1) for w in workloads
            for s in _in_turn(i, w, sides)]
    progress = Progress([w for _, w, _ in plan])
    rounds = [{s.name: {} for s in sides} for _ in range(n_rounds)]
    for i, workload, side in plan:
        progress.say(i, workload, side.name)
        try:
            result = bench.figures(workload, side)
        except Failed as why:
            print(f"    failed: {why}", file=sys.stderr)
            result = {"error": str(why)}
        rounds[i - 1][side.name][workload.name] = result
    for one in rounds:
        _share_limits(one, workloads, sides)
    return rounds


def _share_limits(one, workloads, sides):
    """What is measured without a daemon is the same for all."""
    for workload in workloads:
        if workload.program == "limit":
            for side in sides[1:]:
                one[side.name][workload.name] = one[sides[0].name][workload.name]
