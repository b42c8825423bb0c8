# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# One guest that means harm among others: check-hostile runs it.
check_PROGRAMS += %reldir%/hostile
%canon_reldir%_hostile_SOURCES = %reldir%/hostile.c %reldir%/guests.c %reldir%/guests.h \
	%reldir%/crowd.c %reldir%/crowd.h %reldir%/intruder.c %reldir%/intruder.h \
	%reldir%/attacks.c %reldir%/attacks.h %reldir%/attacks.def \
	%reldir%/floods.c %reldir%/floods.h %reldir%/flooders.c %reldir%/flooders.h %reldir%/floods.def \
	tests/tools/held-pipe.c tests/tools/held-pipe.h \
	tests/restart/pattern.c tests/restart/pattern.h \
	tests/restart/side.c tests/restart/side.h tests/restart/run.c tests/restart/run.h
%canon_reldir%_hostile_LDADD = $(LIBGUEST)

check-hostile: %reldir%/hostile $(bin_PROGRAMS)
	%reldir%/hostile --conform src/vhu-conform src/vhost-device-console

.PHONY: check-hostile
