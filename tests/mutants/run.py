#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Does vhu-conform notice? Builds the daemon once for each mutant, with one rule
broken, and runs the cases that name that rule: at least one must fail. Prints TAP.

Mutants are the blocks of the file `mutants` beside this one, and each row of
src/vhu/rules.def that the daemon refuses by, made a mere note."""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 120
BAD = ("fail", "warn", "crash", "hang")

# The daemon with all that its own cases need: ports of both kinds, and what a host does.
CTL = "{daemon} ctl --control {{dir}}/ctl"
EXEC = ("{daemon} --log-level error --control {{dir}}/ctl "
        "--device socket={{socket}},name=vm,max-ports=8,iommu=on "
        "--port 0,console,unix:{{dir}}/port0 "
        "--port 1,name=org.test.a,overflow=hold,unix:{{dir}}/port1 "
        "--port 2,name=org.test.b,overflow=hold,unix:{{dir}}/port2 "
        "--port 3,console,name=second,unix:{{dir}}/port3")
ACTIONS = ("resize=" + CTL + " set-port vm/{{port}} size={{cols}}x{{rows}}",
           "unplug=" + CTL + " remove-port vm/{{port}}",
           "plug=" + CTL + " add-port vm {{port}},name={{name}},overflow=hold,"
           "unix:{{dir}}/port{{port}}")


class Edit:
    """Lines of one file that are taken out, and those in their place."""

    def __init__(self, file):
        self.file, self.old, self.new = file, [], []

    def apply(self, source):
        old, new = "\n".join(self.old), "\n".join(self.new)
        if source.count(old) != 1:
            raise ValueError(f"{self.file} has its old lines {source.count(old)} times")
        return source.replace(old, new)


class Mutant:
    def __init__(self, name):
        self.name, self.clauses, self.cases, self.edits = name, [], [], []

    def sources(self, srcdir):
        """The files that differ, by their names."""
        sources = {}
        for edit in self.edits:
            if edit.file not in sources:
                sources[edit.file] = open(os.path.join(srcdir, edit.file)).read()
            sources[edit.file] = edit.apply(sources[edit.file])
        return sources


def read_blocks(path):
    mutants, mutant = [], None
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if word == "mutant":
            mutant = Mutant(rest)
            mutants.append(mutant)
        elif mutant and word == "file":
            mutant.edits.append(Edit(rest))
        elif mutant and word == "clause":
            mutant.clauses = rest.split()
        elif mutant and word == "case":
            mutant.cases += rest.split()
        elif mutant and mutant.edits and line[0] == "-":
            mutant.edits[-1].old.append(line[1:])
        elif mutant and mutant.edits and line[0] == "+":
            mutant.edits[-1].new.append(line[1:])
        else:
            sys.exit(f"{path}:{number}: expected mutant, clause, case, file, - or +")
    return mutants


def read_unreachable(path):
    """Rule rows that no case can show, which are "NAME reason"."""
    names = set()
    for number, line in enumerate(open(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.strip().partition(" ")
        if not reason.strip():
            sys.exit(f"{path}:{number}: expected the reason after {name}")
        names.add(name)
    return names


def read_rules(path, unreachable):
    """A mutant for each rule with a severity that refuses."""
    text, mutants = open(path).read(), []
    row = re.compile(r'RULE\((\w+), (REFUSE|CLOSE),\s*(?:"[^"]*"\s*)+,\s*"([^"]*)"\)')
    rows = row.findall(text)
    for name in unreachable - {row[0] for row in rows}:
        sys.exit(f"unreachable: {name} is no rule that refuses")
    for name, severity, clauses in rows:
        if name in unreachable:
            continue
        mutant = Mutant("rule-" + name.lower().replace("_", "-"))
        mutant.clauses = clauses.split(", ")
        edit = Edit("src/vhu/rules.def")
        edit.old = [f"RULE({name}, {severity},"]
        edit.new = [f"RULE({name}, NOTE,"]
        mutant.edits = [edit]
        mutants.append(mutant)
    return mutants


class Build:
    def __init__(self, options):
        self.src, self.build = options.srcdir, options.builddir
        self.conform = options.conform or os.path.join(self.build, "src", "vhu-conform")
        self.compile = shlex.split(options.compile)
        self.libs = shlex.split(options.libs)
        self.all = options.all

    def run(self, *words):
        done = subprocess.run(words, cwd=self.build, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        if done.returncode != 0:
            raise ValueError("does not compile: " + done.stdout[-2000:])

    def daemon(self, mutant, folder):
        """A daemon with the mutation, in folder. Its path."""
        objs, daemon = [], os.path.join(folder, "daemon")
        sources = mutant.sources(self.src)
        for file, source in sources.items():
            mutated = os.path.join(folder, file[len("src/"):])
            os.makedirs(os.path.dirname(mutated), exist_ok=True)
            with open(mutated, "w") as out:
                out.write(source)
        for file in sources:
            # A list is compiled by the file that expands it.
            unit = os.path.join(folder, file[len("src/"):]) if file.endswith(".c") else \
                os.path.join(self.src, re.sub(r"\.def$", ".c", file))
            objs.append(os.path.join(folder, f"mutant{len(objs)}.o"))
            self.run(*self.compile, "-iquote", folder, "-I" + folder,
                     "-I" + os.path.join(self.src, "src"), "-O0", "-w", "-c", unit, "-o", objs[-1])
        self.run(*self.compile, "-o", daemon, *objs, "src/vhost-device-console.o", *self.libs)
        return daemon

    def test(self, daemon, globs, folder, fail_fast):
        """What came of the cases that the globs select."""
        words = [self.conform, "--exec", EXEC.format(daemon=daemon), "--device", "console",
                 "--peer", "unix:{dir}/port{port}", "--hostile", "--strict", "--format", "jsonl"]
        for action in ACTIONS:
            words += ["--do", action.format(daemon=daemon)]
        for glob in globs:
            words += ["--select", glob]
        if fail_fast:
            words.append("--fail-fast")
        out = os.path.join(folder, "out.jsonl")
        with open(out, "w") as file:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=file,
                                  stderr=subprocess.PIPE, text=True, errors="replace",
                                  timeout=TIMEOUT_S, env=dict(os.environ, TMPDIR=folder))
        if done.returncode not in (0, 1, 4, 77):
            raise ValueError(f"vhu-conform ended with {done.returncode}: {done.stderr[-500:]}")
        results = [json.loads(line) for line in open(out) if line.startswith("{")]
        return [r for r in results if r.get("type") == "result"]

    def judge(self, mutant, daemon, folder):
        """The cases that noticed."""
        results = self.test(daemon, mutant.cases or mutant.clauses, folder, not self.all)
        noticed = [r["id"] for r in results if r["verdict"] in BAD and
                   {clause["id"] for clause in r["clauses"]} & set(mutant.clauses)]
        if noticed:
            return noticed, ""
        told = "\n".join(f"{r['id']}: {r['verdict']} {r.get('reason', '')}" for r in results)
        return [], told or "no case names its clauses"

    def try_one(self, mutant):
        with tempfile.TemporaryDirectory(prefix="vhu-mutant.") as folder:
            try:
                noticed, problem = self.judge(mutant, self.daemon(mutant, folder), folder)
            except (ValueError, OSError, subprocess.TimeoutExpired) as error:
                noticed, problem = [], str(error)
        return noticed, problem

    def unbroken(self, cases):
        """Why the cases cannot be trusted: those that the daemon as it is fails, too."""
        daemon = os.path.join(self.build, "src", "vhost-device-console")
        with tempfile.TemporaryDirectory(prefix="vhu-mutant.") as folder:
            results = self.test(daemon, cases, folder, False)
        return [f"{r['id']}: {r['verdict']} {r.get('reason')}" for r in results
                if r["verdict"] not in ("pass", "n/a")]


def tell(ok, number, what, comments):
    print(f"{'ok' if ok else 'not ok'} {number} - {what}")
    for line in comments:
        print(f"# {line}")
    sys.stdout.flush()


def tell_mutant(number, mutant, noticed, problem):
    tell(noticed, number, f"{mutant.name} ({' '.join(mutant.clauses)})",
         [f"by {' '.join(noticed)}"] if noticed else problem.splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--srcdir", required=True)
    parser.add_argument("--builddir", required=True)
    parser.add_argument("--compile", required=True, help="compiler with its flags")
    parser.add_argument("--libs", required=True, help="what the daemon is linked with")
    parser.add_argument("--conform", help="vhu-conform, if not that of the build")
    # Most of the time is spent waiting for silence.
    parser.add_argument("--jobs", type=int, default=3 * os.cpu_count())
    parser.add_argument("--only", default="", help="mutants whose name has this")
    parser.add_argument("--all", action="store_true",
                        help="name every case that notices, not just the first")
    options = parser.parse_args()
    options.srcdir = os.path.abspath(options.srcdir)
    options.builddir = os.path.abspath(options.builddir)
    unreachable = read_unreachable(os.path.join(HERE, "unreachable"))
    mutants = read_blocks(os.path.join(HERE, "mutants"))
    mutants += read_rules(os.path.join(options.srcdir, "src/vhu/rules.def"), unreachable)
    mutants = [m for m in mutants if options.only in m.name]
    build = Build(options)
    print(f"1..{len(mutants) + 1}", flush=True)
    missed, cases = [], set()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, (mutant, outcome) in enumerate(zip(mutants, pool.map(build.try_one, mutants)),
                                                   1):
            cases.update(outcome[0])
            if outcome[0]:
                tell_mutant(number, mutant, *outcome)
            else:
                missed.append((number, mutant))
    # A daemon that spins, and one that loses a race, may not show it under load.
    n_noticed = len(mutants) - len(missed)
    for number, mutant in missed:
        outcome = build.try_one(mutant)
        cases.update(outcome[0])
        n_noticed += bool(outcome[0])
        tell_mutant(number, mutant, *outcome)
    failures = build.unbroken(sorted(cases)) if cases else []
    tell(not failures, len(mutants) + 1, "the daemon as it is fails none of the cases that noticed",
         failures)
    print(f"# {n_noticed} of {len(mutants)} mutants noticed, by {len(cases)} cases")
    sys.exit(n_noticed < len(mutants) or bool(failures))


if __name__ == "__main__":
    main()
