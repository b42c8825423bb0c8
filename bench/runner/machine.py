# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What the figures were measured on, as far as the kernel tells."""
import datetime
import os
import platform
import re
import subprocess
from pathlib import Path


def _read(path, without="not told"):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or without
    except OSError:
        return without


def _said(command, folder=None):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu():
    text = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*: *(.+)$", text, re.M)
    virtual = ", a virtual machine" if re.search(r"^flags.*\bhypervisor\b", text, re.M) else ""
    return (model.group(1) if model else platform.machine()) + virtual


def _memory():
    total = re.search(r"^MemTotal: *(\d+) kB", _read("/proc/meminfo"), re.M)
    return f"{int(total.group(1)) / 1048576:.1f} GiB" if total else "not told"


def load_average():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _cflags(build):
    found = re.search(r"^CFLAGS = *(.*)$", _read(build / "Makefile", ""), re.M)
    compiler = re.search(r"^CC = *(.*)$", _read(build / "Makefile", ""), re.M)
    if not found or not compiler:
        return "not told"
    version = _said([compiler.group(1).split()[0], "--version"]).splitlines()
    return f"{version[0] if version else compiler.group(1)}, {found.group(1) or 'no flags'}"


def _source(top):
    commit = _said(["git", "rev-parse", "--short=12", "HEAD"], top)
    if not commit:
        return ""
    changed = _said(["git", "status", "--porcelain", "--untracked-files=no", "--", "src"], top)
    return f", commit {commit}" + (" with changes in src" if changed else "")


def facts(top, build, programs):
    """What does not change while it is measured."""
    version = _said([str(programs["vhost-device-console"]), "--version"]).splitlines()
    return {
        "date": datetime.date.today().isoformat(),
        "version": (version[0] if version else "not told") + _source(top),
        "built by": _cflags(build),
        "processor": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "cpuidle driver": _read("/sys/devices/system/cpu/cpuidle/current_driver"),
        "load average before": load_average(),
    }
