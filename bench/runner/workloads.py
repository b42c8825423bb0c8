# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What is run in each round: one row for each run of a program."""
from dataclasses import dataclass

CONSOLE = "console"
DATA = "data"

ENGINES = ("uring", "poll")
POLL_US = (0, 10, 20, 50, 100, 200)
MANY = (1, 64, 256)
# Messages under way for each of many guests: one guest alone has a batch, too.
MANY_DEPTH = 16
SMALL_HISTORY = 4096


@dataclass(frozen=True)
class Workload:
    """One run. program: load (a daemon under vhu-load), limit or ring."""

    name: str
    group: str
    program: str = "load"
    args: str = ""  # of vhu-load, its mode first
    device: str = CONSOLE  # what the daemon is asked for
    daemon_args: str = ""  # of our daemon alone
    guests: int = 1
    with_limit: bool = False
    ours_only: bool = False
    seconds: float = 1.1  # about as long as it takes


def _limited(name, group, args, **more):
    return Workload(name, group, args=args, with_limit=True, seconds=2.1, **more)


def _latencies():
    return [
        _limited("kick-asleep-0", "kick", "kick --asleep",
                 daemon_args="--poll-us 0", ours_only=True),
        _limited("kick-asleep", "kick", "kick --asleep"),
        _limited("kick-poll", "kick", "kick"),
        Workload("cacheline", "kick", "limit", "cacheline", seconds=1.0),
        _limited("echo-poll", "echo", "echo --wait poll"),
        _limited("echo-call", "echo", "echo --wait call"),
    ]


def _streams():
    rows = [_limited(mode, mode, f"{mode} --chunk 4K", device=DATA)
            for mode in ("tx", "rx", "duplex")]
    chains = [Workload(f"{mode}-64k-{name}", "chains", device=DATA,
                       args=f"{mode} --chunk 64K --chain 16{option}")
              for mode in ("tx", "rx")
              for name, option in (("direct", ""), ("indirect", " --indirect"))]
    # Amid what is compared with it.
    chains.insert(2, Workload("tcp-best", "chains", "limit", "tcp-best --chunk 4K"))
    return rows + chains


def _crowds():
    rows = [Workload(f"many-{n}", "many", args=f"many --depth {MANY_DEPTH}", guests=n,
                     seconds=1.1 + n / 800) for n in MANY]
    rows.append(Workload("many-memory", "memory", args="many", guests=256, seconds=1.4,
                         daemon_args=f"--history {SMALL_HISTORY}", ours_only=True))
    rows.append(Workload("idle-256", "idle", args="idle", guests=256, seconds=1.4))
    rows.append(Workload("start", "start", args="start", seconds=0.1))
    rows.append(Workload("handshake", "start", args="start", guests=16, seconds=0.2))
    return rows


def _sweep():
    modes = (
        ("echo", "echo --wait poll", CONSOLE),
        ("kick", "kick --rate 1000", CONSOLE),
        ("tx", "tx --chunk 4K", DATA),
    )
    return [Workload(f"poll-{us}-{name}", "poll", args=args, device=device,
                     daemon_args=f"--poll-us {us}", ours_only=True)
            for us in POLL_US for name, args, device in modes]


def _engines():
    """Each kind of work on both engines, one beside the other."""
    modes = (
        ("kick", "kick --asleep", CONSOLE, 1),
        ("echo", "echo --wait poll", CONSOLE, 1),
        ("tx", "tx --chunk 4K", DATA, 1),
        ("rx", "rx --chunk 4K", DATA, 1),
        ("many", f"many --depth {MANY_DEPTH}", CONSOLE, 64),
        ("crowd", f"many --depth {MANY_DEPTH}", CONSOLE, 256),
        ("idle", "idle", CONSOLE, 64),
    )
    return [Workload(f"{engine}-{name}", "engine", args=args, device=device, guests=guests,
                     daemon_args=f"--engine {engine}", ours_only=True, seconds=1.1 + guests / 800)
            for name, args, device, guests in modes for engine in ENGINES]


ALL = (_latencies() + _streams() + _crowds()
       + [Workload("ring", "ring", "ring", ours_only=True, seconds=2.0)] + _sweep() + _engines())
GROUPS = tuple(dict.fromkeys(w.group for w in ALL))


def chosen(groups):
    return [w for w in ALL if w.group in groups]
