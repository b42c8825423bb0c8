# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The command line of bench/run."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from . import daemons, machine, measure, report, table, workloads

TOP = Path(__file__).resolve().parent.parent.parent
ROUNDS, ROUNDS_AGAINST = 7, 5

EPILOG = """\
CMD is a command line that sh runs by exec, so one program. In it stand
  {prefix}  for the path of sockets: guests are on {prefix}0, {prefix}1, ...
  {socket}  for {prefix}0, where there is one guest only
  {tcp}     for the first TCP port on 127.0.0.1: guest i is on {tcp} + i
  {n}       for the number of guests
as in --against 'other-console -s {prefix} -c {n} -b network -p {tcp}'.
Without --against-data, the rows about data ports are of our daemon alone.
"""


def _stop(text):
    print(f"bench/run: {text}", file=sys.stderr)
    return 2


def _positive(text):
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 1000")
    return int(text)


def _groups(text):
    names = text.split(",")
    for name in names:
        if name not in workloads.GROUPS:
            raise argparse.ArgumentTypeError(
                f"'{name}' is not one of {', '.join(workloads.GROUPS)}")
    return names


def _template(text):
    try:
        daemons.Template(text)
    except daemons.BadTemplate as why:
        raise argparse.ArgumentTypeError(str(why)) from None
    return text


def _parse(argv):
    p = argparse.ArgumentParser(
        prog="bench/run", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="How fast the daemon is, beside what the machine can do at all.",
        allow_abbrev=False)
    p.add_argument("--build", type=Path, metavar="DIR",
                   help="where it was built (default: here, or build in the source)")
    p.add_argument("--rounds", type=_positive, metavar="N",
                   help=f"rounds (default {ROUNDS}; {ROUNDS_AGAINST} with --against)")
    p.add_argument("--against", type=_template, metavar="CMD",
                   help="another daemon in the same rounds, see below")
    p.add_argument("--against-data", type=_template, metavar="CMD",
                   help="it with a data port named data, which is at {tcp}")
    p.add_argument("--only", type=_groups, metavar="NAME,...",
                   help=f"some rows: {', '.join(workloads.GROUPS)}")
    p.add_argument("--out", type=Path, metavar="FILE",
                   help="page to write (default, with all rows: doc/performance.md)")
    p.add_argument("--json", type=Path, metavar="FILE", help="all figures of all runs")
    p.add_argument("--quick", action="store_true",
                   help="one round of a few messages: does it work?")
    p.add_argument("--guest", action="store_true",
                   help="bench/guest too; it takes minutes more, and installs what it needs")
    return p.parse_args(argv)


def _find_build(build):
    places = [build] if build else [Path.cwd(), TOP / "build", TOP]
    for place in places:
        if (place / "src" / "vhu-load").exists():
            return place.resolve()
    return None


def _make(build, target):
    """An extra program that make alone does not build."""
    if (build / "Makefile").exists() and shutil.which("make"):
        subprocess.run(["make", "-s", target], cwd=build, stdout=sys.stderr, check=False)


def _programs(build, names):
    """Paths of what is run; the names of those that are not there."""
    if "bench_virtq" in names:
        _make(build, "tests/bench/bench_virtq")
    folders = {"bench_virtq": build / "tests" / "bench"}
    paths = {name: folders.get(name, build / "src") / name for name in names}
    return paths, [str(p) for p in paths.values() if not os.access(p, os.X_OK)]


def _out_path(options):
    if options.out or options.only or options.quick:
        return options.out
    return TOP / "doc" / "performance.md"


def _run_guest(options, build):
    """Lines of its table, or of what went wrong."""
    command = [str(TOP / "bench" / "guest"), "--build", str(build)]
    done = subprocess.run(command + (["--rounds", "1"] if options.quick else []),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    failed = [f"failed, status {done.returncode}"] if done.returncode else []
    return done.stdout.splitlines() + failed


def _measure(options, build, programs, chosen):
    sides = [daemons.ours(programs["vhost-device-console"])]
    if options.against:
        sides.append(daemons.other(options.against, options.against_data))
    usual = 1 if options.quick else ROUNDS_AGAINST if options.against else ROUNDS
    n_rounds = options.rounds or usual
    about = machine.facts(TOP, build, programs)
    with tempfile.TemporaryDirectory(prefix="vhu-bench.") as tmp:
        bench = measure.Bench(programs, tmp, options)
        rounds = measure.run_rounds(bench, chosen, sides, n_rounds)
    about["load average after"] = machine.load_average()
    return SimpleNamespace(
        runs=rounds, rounds=n_rounds, machine=about, other=options.against,
        pinned=bool(bench.pin), depth=workloads.MANY_DEPTH,
        violations=table.violations(rounds),
        results=table.results(rounds, {w.name for w in chosen}))


def _tables(found, chosen):
    found.table = table.main_table(found.results, found.other is not None)
    groups = {w.group for w in chosen}
    found.sweep = table.sweep_table(found.runs) if "poll" in groups else []
    found.engine = table.engine_table(found.runs) if "engine" in groups else []


def _write_json(path, found):
    whole = {
        "schema": 1,
        "machine": found.machine,
        "rounds": found.rounds,
        "against": found.other,
        "violations": found.violations,
        "rows": [table.plain(r) for r in found.results],
        "runs": found.runs,
    }
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _publish(options, found):
    print("\n".join(report.sections(found)))
    if options.json:
        _write_json(options.json, found)
    out = _out_path(options)
    if out:
        out.write_text(report.page(found, out), encoding="utf-8")
        print(f"bench/run: {out} is written", file=sys.stderr)


def main(argv):
    """0: measured; 1: measured, but runs failed or there were violations; 2: not measured."""
    options = _parse(argv)
    if options.against_data and not options.against:
        return _stop("--against-data: needs --against")
    build = _find_build(options.build)
    if not build:
        return _stop("no src/vhu-load: build it first, and name the folder with --build")
    chosen = workloads.chosen(options.only or workloads.GROUPS)
    names = ["vhost-device-console", "vhu-load"]
    names += ["bench_virtq"] if any(w.program == "ring" for w in chosen) else []
    programs, missing = _programs(build, names)
    if missing:
        return _stop(f"{', '.join(missing)}: not built; run make there")
    try:
        found = _measure(options, build, programs, chosen)
    except OSError as why:
        return _stop(str(why))
    except KeyboardInterrupt:
        return _stop("interrupted; nothing is written")
    _tables(found, chosen)
    found.guest = _run_guest(options, build) if options.guest else []
    _publish(options, found)
    failed = any("error" in run for one in found.runs for side in one.values()
                 for run in side.values())
    return 1 if found.violations or failed else 0
