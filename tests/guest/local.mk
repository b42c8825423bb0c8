# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Real guests: not part of make check, run by scripts/check.
EXTRA_DIST += \
	bench/guest \
	bench/run \
	%reldir%/bench-agent \
	%reldir%/bench.py \
	%reldir%/connect.c \
	%reldir%/disk.sh \
	%reldir%/fxsave.py \
	%reldir%/init \
	%reldir%/nested.sh \
	%reldir%/network.sh \
	%reldir%/ports.sh \
	%reldir%/profile \
	%reldir%/reload \
	%reldir%/scenario.sh \
	%reldir%/talk.py \
	%reldir%/try \
	%reldir%/upgrade.sh \
	%reldir%/use \
	%reldir%/vport.c \
	scripts/check \
	scripts/compat \
	scripts/soak \
	scripts/demo \
	scripts/lib/guests.sh \
	scripts/lib/peers.sh \
	scripts/lib/setup.sh

# The benchmark.
EXTRA_DIST += \
	bench/runner/__init__.py \
	bench/runner/daemons.py \
	bench/runner/figures.py \
	bench/runner/machine.py \
	bench/runner/main.py \
	bench/runner/measure.py \
	bench/runner/report.py \
	bench/runner/rows.py \
	bench/runner/table.py \
	bench/runner/workloads.py
