# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# What vhu-conform says of our own daemon, and whether it notices when one rule
# of the daemon is broken. Both print TAP.
EXTRA_DIST += %reldir%/daemon.sh tests/mutants/mutants tests/mutants/run.py \
	tests/mutants/unreachable

check-conform: src/vhu-conform src/vhost-device-console
	$(SHELL) $(srcdir)/%reldir%/daemon.sh src/vhu-conform src/vhost-device-console

check-mutants: src/vhu-conform src/vhost-device-console
	python3 $(srcdir)/tests/mutants/run.py --srcdir $(srcdir) --builddir . \
		--compile '$(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) -std=gnu11 $(INSTRUMENT_FLAGS)' \
		--libs '$(LIBDAEMON) $(LIBS)'

.PHONY: check-conform check-mutants
