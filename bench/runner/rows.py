# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The rows of the table: what is shown, and what is to be reached."""
from dataclasses import dataclass
from typing import Callable, Optional

from .figures import divided, less
from .workloads import SMALL_HISTORY

US = 1e-3
MS = 1e-6
KIB = 1 / 1024
MILLION = 1e-6


@dataclass(frozen=True)
class Row:
    """Each function takes one round of one daemon: {workload: {key: number}}.

    judged is compared with the bound; without one, the row only informs.
    """

    needs: tuple  # workloads
    what: str
    value: Callable
    unit: str
    target: str = ""
    limit: Optional[Callable] = None
    judged: Optional[Callable] = None
    at_most: Optional[float] = None
    at_least: Optional[float] = None

    def met(self, number):
        if self.at_most is not None:
            return number <= self.at_most
        return number >= self.at_least


def key(workload, name, scale=1.0):
    def get(one):
        value = one.get(workload, {}).get(name)
        return None if value is None else value * scale

    return get


def _over(above, below):
    return lambda one: divided(above(one), below(one))


def _ratio(workload, what, target, kind="latency", **bound):
    name, limit, unit, scale = {
        "latency": ("p50_ns", "limit_p50_ns", "us", US),
        "speed": ("mb_per_s", "limit_mb_per_s", "MB/s", 1),
        "cpu": ("cpu_ms_per_mb", "limit_cpu_ms_per_mb", "ms/MB", 1),
    }[kind]
    judged = key(workload, "cpu_ratio" if kind == "cpu" else "ratio")
    return Row((workload,), what, key(workload, name, scale), unit, target,
               key(workload, limit, scale), judged, **bound)


def _tail(workload, what):
    p50, p99 = key(workload, "p50_ns", US), key(workload, "p99_ns", US)
    return Row((workload,), what, p99, "us", "≤ 2.5 × its p50", p50, _over(p99, p50),
               at_most=2.5)


def _kick():
    polled, line = key("kick-poll", "p50_ns", US), key("cacheline", "p50_ns", US)
    return [
        _ratio("kick-asleep-0", "kick→used p50, 16 B, asleep, `--poll-us 0`",
               "≤ 1.15 × wake", at_most=1.15),
        _ratio("kick-asleep", "kick→used p50, 16 B, asleep, default options",
               "≤ 1.15 × wake", at_most=1.15),
        Row(("kick-poll", "cacheline"), "kick→used p50, 16 B, one after the other, polling",
            polled, "us", "≤ 3 us beyond a cache line's way", line,
            lambda one: less(polled(one), line(one)), at_most=3.0),
    ]


def _echo():
    return [
        _ratio("echo-poll", "echo p50, 1 B, driver polling", "≤ 0.30 × relay", at_most=0.30),
        _tail("echo-poll", "echo p99, 1 B, driver polling"),
        _ratio("echo-call", "echo p50, 1 B, driver sleeping", "≤ 1.0 × relay", at_most=1.0),
        _tail("echo-call", "echo p99, 1 B, driver sleeping"),
    ]


def _streams():
    best = key("tcp-best", "mb_per_s")
    rows = [
        _ratio("tx", "tx, data port, 4 KiB", "≥ 1.15 × relay", "speed", at_least=1.15),
        _ratio("tx", "tx, CPU of the daemon", "≤ 1.0 × relay's", "cpu", at_most=1.0),
        _ratio("rx", "rx, data port, 4 KiB", "≥ 1.45 × relay", "speed", at_least=1.45),
        _ratio("rx", "rx, CPU of the daemon", "≤ 1.0 × relay's", "cpu", at_most=1.0),
        Row(("duplex",), "duplex, data port, 4 KiB, both directions together",
            key("duplex", "mb_per_s"), "MB/s", "", key("duplex", "limit_mb_per_s"),
            key("duplex", "ratio")),
    ]
    for mode in ("tx", "rx"):
        for kind in ("direct", "indirect"):
            speed = key(f"{mode}-64k-{kind}", "mb_per_s")
            rows.append(Row((f"{mode}-64k-{kind}", "tcp-best"),
                            f"{mode}, 64 KiB chains of 16, {kind}", speed, "MB/s",
                            "≥ 0.95 × best TCP", best, _over(speed, best), at_least=0.95))
    return rows


def _flat(kind):
    small, large = key("ring", f"{kind} 64"), key("ring", f"{kind} 32768")
    return Row(("ring",), f"ring engine, {kind}, ring 32768 beside ring 64", large, "ns",
               "flat (≤ 1.10)", small, _over(large, small), at_most=1.10)


def _ring():
    direct, indirect = key("ring", "direct 256"), key("ring", "indirect of 4 256")
    return [
        Row(("ring",), "ring engine, pop+push, direct, ring 256", direct, "ns", "≤ 12 ns",
            None, direct, at_most=12),
        Row(("ring",), "ring engine, pop+push, indirect of 4, ring 256", indirect, "ns",
            "≤ 20 ns", None, indirect, at_most=20),
        _flat("direct"),
        _flat("indirect of 4"),
    ]


def _crowd(n, before):
    now, then = (key(f"many-{i}", "messages_per_s", MILLION) for i in (n, before))
    return Row((f"many-{n}", f"many-{before}"), f"messages of {n} guests beside {before}", now,
               "million/s", "falls < 10 % (≥ 0.90)", then, _over(now, then), at_least=0.90)


def _memory(workload, what, minus=0):
    def kib(one):
        return less(key(workload, "private_bytes_per_guest", KIB)(one), minus * KIB)

    return Row((workload,), what, kib, "KiB", "≤ 48 KiB beside its ring", None, kib, at_most=48)


def _crowds():
    starved = key("many-256", "starved_ns", MS)
    wakeups = key("idle-256", "wakeups_per_s")
    return [
        _crowd(64, 1),
        _crowd(256, 64),
        Row(("many-256",), "the longest wait of one of 256 guests", starved, "ms", "< 1000 ms",
            None, starved, at_most=1000),
        _memory("idle-256", "private memory a guest, 256 idle"),
        _memory("many-memory", "private memory a guest, 256 that print", SMALL_HISTORY),
        Row(("idle-256",), "wake-ups, 256 idle guests", wakeups, "/s", "0", None, wakeups,
            at_most=0),
    ]


def _start():
    listen, shake = key("start", "listen_ns", MS), key("handshake", "p50_ns", MS)
    return [
        Row(("start",), "start to listening", listen, "ms", "< 5 ms", None, listen, at_most=5),
        Row(("handshake",), "handshake of a guest, of 16 in turn", shake, "ms", "< 2 ms", None, shake, at_most=2),
    ]


ALL = _kick() + _echo() + _streams() + _ring() + _crowds() + _start()

# Columns of the two engines, as those of the sweep below.
ENGINE = (
    ("kick→used p50, asleep, us", "kick", "p50_ns", US),
    ("its CPU, us", "kick", "cpu_us_per_message", 1),
    ("echo p50, us", "echo", "p50_ns", US),
    ("tx 4 KiB, MB/s", "tx", "mb_per_s", 1),
    ("its CPU, ms/MB", "tx", "cpu_ms_per_mb", 1),
    ("rx 4 KiB, MB/s", "rx", "mb_per_s", 1),
    ("its CPU, ms/MB", "rx", "cpu_ms_per_mb", 1),
    ("messages of 64 guests, million/s", "many", "messages_per_s", MILLION),
    ("of 256", "crowd", "messages_per_s", MILLION),
    ("wake-ups/s, 64 idle", "idle", "wakeups_per_s", 1),
)

# Columns of the sweep over --poll-us: title, workload's end, key, scale.
SWEEP = (
    ("echo p50, us", "echo", "p50_ns", US),
    ("kick at 1000/s p50, us", "kick", "p50_ns", US),
    ("its CPU, % of a core", "kick", "cpu_cores", 100),
    ("tx 4 KiB, MB/s", "tx", "mb_per_s", 1),
    ("its CPU, ms/MB", "tx", "cpu_ms_per_mb", 1),
)
