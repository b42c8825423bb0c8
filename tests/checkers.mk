# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Targets that run a checker over the sources or the tests.

# C files and headers, relative to the top of the sources.
SOURCE_DIRS = src tests examples
CHECK_FLAGS = -std=gnu11 $(WARN_CFLAGS) -D_GNU_SOURCE -I$(abs_top_srcdir)/src \
	-I$(abs_top_builddir) $(LIBURING_CFLAGS) $(CMOCKA_CFLAGS)

check-format:
	@test -n "$(CLANG_FORMAT)" || { echo "check-format: clang-format is not installed"; exit 1; }
	cd $(top_srcdir) && find $(SOURCE_DIRS) -name '*.[ch]' | LC_ALL=C sort | \
		xargs $(CLANG_FORMAT) --dry-run --Werror

check-tidy:
	@test -n "$(CLANG_TIDY)" || { echo "check-tidy: clang-tidy is not installed"; exit 1; }
	cd $(top_srcdir) && find $(SOURCE_DIRS) -name '*.c' | LC_ALL=C sort | \
		xargs -I{} $(CLANG_TIDY) --quiet --warnings-as-errors='*' {} -- $(CHECK_FLAGS)

# Reasons for what is left out: every other warning is an error.
#  missingIncludeSystem, checkersReport: say nothing about the code
#  unusedFunction is not enabled: tests use functions that no program here does
check-cppcheck:
	@test -n "$(CPPCHECK)" || { echo "check-cppcheck: cppcheck is not installed"; exit 1; }
	cd $(top_srcdir) && $(CPPCHECK) --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability --suppress=missingIncludeSystem \
		-D_GNU_SOURCE -Isrc src

# A program under valgrind is some thirty times slower: its alarm waits longer.
# Registers are kept exact at every access, as code resumes after a SIGBUS that
# gmem's guard has handled. A thread that waits in io_uring_enter(2) stops all
# others under valgrind, so what has threads with loops is for --enable-sanitize.
# So is what starts processes and watches them: valgrind does not know pidfd_open(2);
# what runs out of descriptors, of which valgrind keeps some for itself; what stops a
# child after each instruction; what looks at mappings, of which it has its own; what
# reads a state that io_uring has brought, of which it does not know; and what gives a call
# of poll(2)'s engine memory that it cannot read.
check-valgrind: $(check_PROGRAMS)
	@test -n "$(VALGRIND)" || { echo "check-valgrind: valgrind is not installed"; exit 1; }
	UNIT_ALARM_SECONDS=600 $(MAKE) $(AM_MAKEFLAGS) check-TESTS \
		TESTS="$(filter-out %/test_workers %/test_conform_start %/test_conform_frontend \
			%/test_trace_relay %/test_inflight %/test_inflight_packed %/test_restart_kill \
			%/test_session_iommu_storm %/test_session_postcopy %/test_frontend_postcopy \
			%/test_session_state %/test_quiesce %/test_quiesce_deadline %/test_quiesce_ends \
			%/test_ring_hostile_packed %/test_workers_by_poll \
			%/test_loop_now_by_poll, \
			$(unit_tests))" \
		LOG_COMPILER="$(VALGRIND)" \
		AM_LOG_FLAGS="-q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
			--vex-iropt-register-updates=allregs-at-mem-access"

# All tests where io_uring is forbidden, as in most containers: on poll(2).
check-poll: $(check_PROGRAMS) $(bin_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS LOG_COMPILER='$(abs_top_builddir)/tests/tools/no-uring' \
		SH_LOG_COMPILER='$(abs_top_builddir)/tests/tools/no-uring $(SHELL)'

# Instructions and system calls of a message, against tests/budget/budgets.
check-budget: $(check_PROGRAMS) $(bin_PROGRAMS)
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
		$(SHELL) $(top_srcdir)/tests/budget/run.sh

.PHONY: check-format check-tidy check-cppcheck check-valgrind check-poll check-budget coverage

# Runs the tests and says, by file, how many lines of src they reach.
coverage:
if ENABLE_COVERAGE
	find . -name '*.gcda' -exec rm -f {} +
	$(MAKE) $(AM_MAKEFLAGS) check
	@echo "coverage by line:"; $(SHELL) $(top_srcdir)/tests/coverage.sh
else
	@echo "coverage: configure with --enable-coverage first"; exit 1
endif

clean-local:
	find . '(' -name '*.gcda' -o -name '*.gcno' ')' -exec rm -f {} +

EXTRA_DIST += tests/coverage.sh
