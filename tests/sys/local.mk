# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

EXTRA_DIST += %reldir%/tap.sh %reldir%/daemon.sh
EXTRA_DIST += \
	%reldir%/systemd-store.py \
	%reldir%/without-call.py \
	%reldir%/upgrade-client.py \
	%reldir%/upgrade-newer.py \
	%reldir%/upgrade-passed.py \
	%reldir%/upgrade-terminal.py

# Structure of the sources.
sys_tests += \
	%reldir%/descriptor.sh \
	%reldir%/dump.sh \
	%reldir%/headers.sh \
	%reldir%/includes.sh \
	%reldir%/manual.sh \
	%reldir%/sizes.sh \
	%reldir%/spdx.sh

# The daemon as a program, with guests that are programs too.
sys_tests += \
	%reldir%/daemon-guests.sh \
	%reldir%/daemon-life.sh \
	%reldir%/daemon-loops.sh \
	%reldir%/daemon-options.sh \
	%reldir%/daemon-ports.sh \
	%reldir%/daemon-reload.sh \
	%reldir%/restart.sh \
	%reldir%/sandbox-calls.sh \
	%reldir%/sandbox.sh \
	%reldir%/daemon-upgrade.sh \
	%reldir%/peers.sh \
	%reldir%/sanitize.sh \
	%reldir%/systemd.sh \
	%reldir%/tls.sh

# Load on it, and what the machine itself can do.
sys_tests += %reldir%/load.sh %reldir%/bench.sh

# The tester, on this daemon and on front-ends that are programs of the tests.
EXTRA_DIST += %reldir%/toy-frontend.py
sys_tests += %reldir%/conform.sh %reldir%/conform-frontend.sh

# The tracer, with what reads its output; the course and the smallest back-end.
EXTRA_DIST += tests/page/package.json tests/page/package-lock.json tests/page/page.test.js
sys_tests += \
	%reldir%/course.sh \
	%reldir%/minimal-backend.sh \
	%reldir%/trace-page.sh \
	%reldir%/trace-repl.sh \
	%reldir%/trace-tshark.sh \
	%reldir%/trace.sh

# Its control socket, and the shells that complete its command line.
sys_tests += \
	%reldir%/completion.sh \
	%reldir%/ctl.sh

EXTRA_DIST += $(sys_tests)
TESTS += $(sys_tests)
