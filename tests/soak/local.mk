# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Many guests and clients that behave badly, for long.
check_PROGRAMS += %reldir%/soak
%canon_reldir%_soak_SOURCES = \
	%reldir%/check.c %reldir%/check.h \
	%reldir%/clients.c %reldir%/clients.h \
	%reldir%/front-boot.c %reldir%/front-ports.c %reldir%/front.h \
	%reldir%/fronts.c \
	%reldir%/guest.c \
	%reldir%/ports.c \
	%reldir%/rude.c \
	%reldir%/sample.c \
	%reldir%/soak.c %reldir%/soak.h \
	tests/restart/pattern.c tests/restart/pattern.h \
	tests/restart/side.c tests/restart/side.h tests/restart/run.c tests/restart/run.h
%canon_reldir%_soak_LDADD = $(LIBGUEST)

# A minute of it, as TAP: not part of make check, run by scripts/check.
soak-programs: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) %reldir%/soak src/vhost-device-console

check-soak: soak-programs
	%reldir%/soak --seconds 60 --guests 16 src/vhost-device-console

EXTRA_DIST += %reldir%/report.awk

.PHONY: check-soak soak-programs
