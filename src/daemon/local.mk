# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The command line and the configuration file, and what can be written there.
noinst_LIBRARIES += %reldir%/libsetup.a
%canon_reldir%_libsetup_a_SOURCES = \
	src/console-options.c \
	src/console-options.h \
	src/options.def \
	%reldir%/config-file.c \
	%reldir%/config-file.h \
	%reldir%/device-options.def \
	%reldir%/port-options.def \
	%reldir%/setup-check.c \
	%reldir%/setup-check.h \
	%reldir%/setup-ports.c \
	%reldir%/setup.c \
	%reldir%/setup.h \
	%reldir%/spec-address.c \
	%reldir%/spec-device.c \
	%reldir%/spec-words.c \
	%reldir%/spec-words.h \
	%reldir%/spec.c \
	%reldir%/spec.h

# Guests as the daemon runs them, and the control socket.
noinst_LIBRARIES += %reldir%/libdaemon.a
%canon_reldir%_libdaemon_a_SOURCES = \
	%reldir%/control-arguments.def \
	%reldir%/control-commands.def \
	%reldir%/control-table.c \
	%reldir%/control-table.h \
	%reldir%/control.h \
	%reldir%/ctl-options.c \
	%reldir%/ctl-options.def \
	%reldir%/ctl-options.h \
	%reldir%/daemon.c \
	%reldir%/last-resort.c \
	%reldir%/last-resort.h \
	%reldir%/needs.c \
	%reldir%/needs.h \
	%reldir%/daemon.h \
	%reldir%/guest-apply.c \
	%reldir%/guest-journal.c \
	%reldir%/guest-handover.c \
	%reldir%/guest-ports.c \
	%reldir%/guest-private.h \
	%reldir%/guest.c \
	%reldir%/guest.h \
	%reldir%/places.c \
	%reldir%/places.h \
	%reldir%/reload.c \
	%reldir%/trace.c \
	%reldir%/trace.h \
	%reldir%/upgrade-private.h \
	%reldir%/upgrade-probe.c \
	%reldir%/upgrade.c \
	%reldir%/upgrade.h \
	%reldir%/workers.c \
	%reldir%/workers.h

# The control socket needs json-c; control-none.c stands for all of it.
control_sources = \
	%reldir%/control-access.c \
	%reldir%/control-access.h \
	%reldir%/control-commands.c \
	%reldir%/control-commands.h \
	%reldir%/control-handover.c \
	%reldir%/control-private.h \
	%reldir%/control-request.c \
	%reldir%/control-request.h \
	%reldir%/control-status.c \
	%reldir%/control-status.h \
	%reldir%/control-text.c \
	%reldir%/control-text.h \
	%reldir%/control.c \
	%reldir%/ctl-request.c \
	%reldir%/ctl-status.c \
	%reldir%/ctl-status.h \
	%reldir%/ctl-table.c \
	%reldir%/ctl-table.h \
	%reldir%/ctl.c \
	%reldir%/ctl.h
if HAVE_JSON_C
%canon_reldir%_libdaemon_a_SOURCES += $(control_sources)
EXTRA_DIST += %reldir%/control-none.c
else
%canon_reldir%_libdaemon_a_SOURCES += %reldir%/control-none.c
EXTRA_DIST += $(control_sources)
endif
