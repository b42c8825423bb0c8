# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Targets that run a checker over the sources or the tests.

# C files and headers, relative to the top of the sources.
SOURCE_DIRS = src tests examples
CHECK_FLAGS = -std=gnu11 $(WARN_CFLAGS) -D_GNU_SOURCE -I$(abs_top_srcdir)/src \
	-I$(abs_top_builddir)/src -I$(abs_top_builddir) $(LIBURING_CFLAGS) $(CMOCKA_CFLAGS) \
	$(LIBTELNET_CFLAGS) $(JSON_C_CFLAGS) $(LIBEDIT_CFLAGS) \
	$(GNUTLS_CFLAGS) $(LIBSECCOMP_CFLAGS) $(LIBCAP_NG_CFLAGS)
CHECK_EACH = CC='$(CC)' CHECK_FLAGS='$(CHECK_FLAGS)' top_srcdir='$(abs_top_srcdir)' \
	$(SHELL) '$(abs_top_srcdir)/tests/checkers/each.sh'

check-format:
	@test -n "$(CLANG_FORMAT)" || { echo "check-format: clang-format is not installed"; exit 1; }
	cd $(top_srcdir) && find $(SOURCE_DIRS) -name '*.[ch]' | LC_ALL=C sort | \
		xargs $(CLANG_FORMAT) --dry-run --Werror

# What is as it was is not looked at again: the first run takes long.
check-tidy: $(BUILT_SOURCES)
	@test -n "$(CLANG_TIDY)" || { echo "check-tidy: clang-tidy is not installed"; exit 1; }
	@$(CHECK_EACH) tidy '$(SOURCE_DIRS)' $(CLANG_TIDY) --quiet '--warnings-as-errors=*' {} --

# tests/checkers/analyze.sh says what is left out.
check-analyzer: $(BUILT_SOURCES)
	@$(CHECK_EACH) analyzer src tests/checkers/analyze.sh $(ANALYZER_CC) {}

# Reasons for what is left out: every other warning is an error.
#  missingIncludeSystem: says nothing about the code
#  unusedFunction is not enabled: tests use functions that no program here does
#  uninitialised, in cases of vhu-conform only: a step sets its outputs when it returns 0,
#    which cppcheck cannot see in another file; the compiler and valgrind look for the same
check-cppcheck:
	@test -n "$(CPPCHECK)" || { echo "check-cppcheck: cppcheck is not installed"; exit 1; }
	@mkdir -p check-cppcheck && build=$$PWD/check-cppcheck && cd $(top_srcdir) && \
	{ $(CPPCHECK) --quiet --std=c11 -j "$$(nproc)" --cppcheck-build-dir="$$build" \
		--error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
		--suppress=missingIncludeSystem --suppress='uninitvar:src/conform/cases/*' \
		--suppress='legacyUninitvar:src/conform/cases/*' \
		--suppress='uninitStructMember:src/conform/cases/*' -D_GNU_SOURCE -Isrc src 2>"$$build.log"; status=$$?; \
	cat "$$build.log"; \
	echo "check-cppcheck: $$(find src -name '*.c' | wc -l) files," \
		"$$(grep -c ': \(error\|warning\|performance\|portability\): ' "$$build.log") findings"; \
	exit $$status; }

# A program under valgrind is some thirty times slower: its alarm waits longer.
# Registers are kept exact at every access, as code resumes after a SIGBUS that
# gmem's guard has handled. A thread that waits in io_uring_enter(2) stops all
# others under valgrind, so what has threads with loops is for --enable-sanitize.
# So is what starts processes and watches them: valgrind does not know pidfd_open(2);
# what runs out of descriptors, of which valgrind keeps some for itself; what stops a
# child after each instruction; what looks at mappings, of which it has its own; what
# reads a state that io_uring has brought, of which it does not know; and what gives a call
# of poll(2)'s engine memory that it cannot read. test_session_handover
# makes some thousand processes, each of which would start slowly.
check-valgrind: $(check_PROGRAMS)
	@test -n "$(VALGRIND)" || { echo "check-valgrind: valgrind is not installed"; exit 1; }
	UNIT_ALARM_SECONDS=600 $(MAKE) $(AM_MAKEFLAGS) check-TESTS \
		TESTS="$(filter-out %/test_workers %/test_conform_start %/test_conform_frontend \
			%/test_trace_relay %/test_inflight %/test_inflight_packed %/test_restart_kill \
			%/test_session_iommu_storm %/test_session_postcopy %/test_frontend_postcopy \
			%/test_conn_fd_limit %/test_loop_attempt %/test_session_scarce \
			%/test_session_state %/test_quiesce %/test_quiesce_deadline %/test_quiesce_ends \
			%/test_ring_hostile_packed %/test_postcopy_scarce %/test_session_handover \
			%/test_workers_by_poll %/test_loop_now_by_poll, \
			$(unit_tests))" \
		LOG_COMPILER="timeout --kill-after=10 900 $(VALGRIND)" \
		AM_LOG_FLAGS="-q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
			--vex-iropt-register-updates=allregs-at-mem-access"
	@echo "check-valgrind: no finding"

# All tests where io_uring is forbidden, as in most containers: on poll(2). But for
# sandbox.sh: what forbids io_uring is a sandbox itself, and the walls are told apart there.
check-poll: $(check_PROGRAMS) $(bin_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS="$(filter-out %/sandbox.sh, \
			$(TESTS))" \
		LOG_COMPILER='$(abs_top_builddir)/tests/tools/no-uring' \
		SH_LOG_COMPILER='$(abs_top_builddir)/tests/tools/no-uring $(SHELL)'

# Instructions and system calls of a message, against tests/budget/budgets.
check-budget: $(check_PROGRAMS) $(bin_PROGRAMS)
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
		$(SHELL) $(top_srcdir)/tests/budget/run.sh

.PHONY: check-format check-tidy check-analyzer check-cppcheck check-valgrind check-poll \
	check-budget check-thread coverage check-coverage

# What has threads, under ThreadSanitizer: a build of its own. Left out, with reasons:
#  test_ring_*: sides that meet by fences alone, which the sanitizer does not know
#  test_loop_held_by_poll: a loop that is freed waits for no thread, so nothing orders the two
#  daemon-life.sh: a daemon must not wake up idle, but the sanitizer's own thread does
thread_scripts = tests/sys/daemon-guests.sh tests/sys/daemon-ports.sh \
	tests/sys/daemon-reload.sh tests/sys/daemon-loops.sh tests/sys/ctl.sh

check-thread: $(bin_PROGRAMS)
	@case '$(INSTRUMENT_FLAGS)' in *sanitize=thread*) ;; \
		*) echo "check-thread: configure with --enable-sanitize=thread first"; exit 1 ;; esac
	@tests='$(filter %/test_workers %/test_loop %/test_loop_park %/test_loop_cancel \
		%/test_loop_apart_by_poll \
		%/test_gmem %/test_dirtylog %/test_session_postcopy %/test_frontend_postcopy \
		%/test_session_iommu_storm %/test_trace_relay %/test_port_journal,$(unit_tests))'; \
	$(MAKE) $(AM_MAKEFLAGS) $$tests tests/tools/vhu-guest tests/tools/no-uring && \
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS="$$tests" && \
	VHU_LOOPS=3 $(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(thread_scripts)' && \
	echo "check-thread: $$(echo $$tests | wc -w) programs," \
		"$$(echo $(thread_scripts) | wc -w) scripts, no data race"

# Runs the tests and says, by file, how many lines of src they reach.
# check-coverage runs those that src/vhu and src/virtio are reached by, and judges:
# tests/coverage-why has what may stay unreached, with the reason. Left out is what reaches
# nothing there: clients; and two sides that meet by fences, which a busy machine holds up.
coverage_scripts = tests/sys/restart.sh tests/sys/daemon-upgrade.sh tests/sys/daemon-guests.sh \
	tests/sys/dump.sh tests/sys/conform.sh

if ENABLE_COVERAGE
coverage:
	find . -name '*.gcda' -exec rm -f {} +
	$(MAKE) $(AM_MAKEFLAGS) check
	@echo "coverage by line:"; top_srcdir='$(abs_top_srcdir)' $(SHELL) $(top_srcdir)/tests/coverage.sh

check-coverage: $(unit_tests) $(bin_PROGRAMS) $(check_PROGRAMS)
	find . -name '*.gcda' -exec rm -f {} +
	@status=0; UNIT_ALARM_SECONDS=600 $(MAKE) $(AM_MAKEFLAGS) check-TESTS \
		TESTS='$(filter-out %/test_client %/test_client_hold %/test_client_bulk \
			%/test_client_bulk_end %/test_client_bulk_input %/test_connect \
			%/test_ring_meeting,$(unit_tests)) $(coverage_scripts)' || \
		status=1; \
	top_srcdir='$(abs_top_srcdir)' $(SHELL) $(top_srcdir)/tests/coverage.sh judge && exit $$status
else
coverage check-coverage:
	@echo "$@: configure with --enable-coverage first"; exit 1
endif

clean-local:
	rm -rf check-tidy check-analyzer check-cppcheck check-cppcheck.log
	find . '(' -name '*.gcda' -o -name '*.gcno' ')' -exec rm -f {} +

EXTRA_DIST += src/conform/.clang-tidy tests/.clang-tidy tests/coverage.sh tests/coverage-why \
	tests/checkers/each.sh tests/checkers/analyze.sh \
	tests/checkers/analyzer-known
