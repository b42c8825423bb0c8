# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

TEST_EXTENSIONS = .sh

# Every test, program or script, speaks TAP.
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)

# What the tests find in their environment. The scripts run in the build tree.
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	ASAN_OPTIONS="$${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}"; \
	UBSAN_OPTIONS="$${UBSAN_OPTIONS:-print_stacktrace=1}"; \
	export ASAN_OPTIONS UBSAN_OPTIONS; \
	top_srcdir='$(abs_top_srcdir)'; top_builddir='$(abs_top_builddir)'; \
	CC='$(CC)'; CHECK_FLAGS='$(CHECK_FLAGS)'; \
	export top_srcdir top_builddir CC CHECK_FLAGS;

# Measures; never part of make check.
EXTRA_PROGRAMS = %reldir%/bench/bench_virtq
%canon_reldir%_bench_bench_virtq_LDADD = $(LIBVIRTIO)

# A guest without a machine, and a launcher that forbids io_uring.
check_PROGRAMS += %reldir%/tools/vhu-guest %reldir%/tools/no-uring
%canon_reldir%_tools_vhu_guest_SOURCES = %reldir%/tools/vhu-guest.c
%canon_reldir%_tools_vhu_guest_LDADD = $(LIBGUEST)
%canon_reldir%_tools_no_uring_LDADD =

# The daemon with a guest's code in it, as far as the sandbox can tell.
check_PROGRAMS += %reldir%/tools/breakout
%canon_reldir%_tools_breakout_SOURCES = %reldir%/tools/breakout.c src/vhost-device-console.c
%canon_reldir%_tools_breakout_LDADD = $(LIBDAEMON)
%canon_reldir%_tools_breakout_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=loop_run

# A daemon that is killed again and again.
check_PROGRAMS += %reldir%/restart/restart
%canon_reldir%_restart_restart_SOURCES = %reldir%/restart/restart.c \
	%reldir%/restart/pattern.c %reldir%/restart/pattern.h \
	%reldir%/restart/side.c %reldir%/restart/side.h %reldir%/restart/run.c %reldir%/restart/run.h
%canon_reldir%_restart_restart_LDADD = $(LIBGUEST)

# A guest that moves from one daemon to another.
check_PROGRAMS += %reldir%/migrate/migrate
%canon_reldir%_migrate_migrate_SOURCES = %reldir%/migrate/migrate.c %reldir%/migrate/migrate.h \
	%reldir%/migrate/memory.c %reldir%/migrate/control.c %reldir%/migrate/clients.c \
	%reldir%/restart/pattern.c %reldir%/restart/pattern.h \
	%reldir%/restart/side.c %reldir%/restart/side.h %reldir%/restart/run.c %reldir%/restart/run.h
%canon_reldir%_migrate_migrate_LDADD = $(LIBGUEST)

# Back-ends that are wrong in one way each.
check_PROGRAMS += %reldir%/tools/fake-backend
%canon_reldir%_tools_fake_backend_SOURCES = %reldir%/tools/fake-backend.c
%canon_reldir%_tools_fake_backend_LDADD = $(LIBVHUMODEL)

# What a message costs, counted: not part of make check, run by scripts/check.
check_PROGRAMS += %reldir%/budget/budget_play %reldir%/budget/budget_ring
%canon_reldir%_budget_budget_play_SOURCES = %reldir%/budget/budget_play.c
%canon_reldir%_budget_budget_play_LDADD = $(LIBLOAD)
%canon_reldir%_budget_budget_ring_SOURCES = %reldir%/budget/budget_ring.c
%canon_reldir%_budget_budget_ring_LDADD = $(LIBVIRTIO)
EXTRA_DIST += %reldir%/budget/run.sh %reldir%/budget/workloads %reldir%/budget/budgets

# System tests with every daemon in the strict sandbox. Not among them: what is about upgrades,
# which strict has none of, and what starts no daemon.
strict_tests = \
	tests/sys/ctl.sh \
	tests/sys/conform.sh \
	tests/sys/daemon-guests.sh \
	tests/sys/daemon-life.sh \
	tests/sys/daemon-loops.sh \
	tests/sys/daemon-options.sh \
	tests/sys/daemon-ports.sh \
	tests/sys/daemon-reload.sh \
	tests/sys/daemon-upgrade.sh \
	tests/sys/load.sh \
	tests/sys/restart.sh \
	tests/sys/systemd.sh \
	tests/sys/trace.sh
EXTRA_DIST += %reldir%/strict.sh

check-strict: $(check_PROGRAMS) $(bin_PROGRAMS)
	$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/%reldir%/strict.sh $(srcdir) . $(strict_tests)

.PHONY: check-strict
