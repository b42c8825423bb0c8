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
	%reldir%/daemon-control.c \
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
	%reldir%/sandbox-descriptors.c \
	%reldir%/sandbox-descriptors.h \
	%reldir%/sandbox-groups.def \
	%reldir%/sandbox-landlock.c \
	%reldir%/sandbox-landlock.h \
	%reldir%/sandbox-needs.c \
	%reldir%/sandbox-needs.h \
	%reldir%/sandbox-paths.def \
	%reldir%/sandbox-privileges.c \
	%reldir%/sandbox-privileges.h \
	%reldir%/sandbox-seccomp.h \
	%reldir%/sandbox-violation.c \
	%reldir%/sandbox-violation.h \
	%reldir%/sandbox-walls.def \
	%reldir%/sandbox.c \
	%reldir%/sandbox.h \
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

# The sandbox: which system calls may be made is written beside the code that makes them, and
# what numbers are called is the kernel's.
if HAVE_SECCOMP
%canon_reldir%_libdaemon_a_SOURCES += %reldir%/sandbox-seccomp.c
EXTRA_DIST += %reldir%/sandbox-seccomp-none.c
else
%canon_reldir%_libdaemon_a_SOURCES += %reldir%/sandbox-seccomp-none.c
EXTRA_DIST += %reldir%/sandbox-seccomp.c
endif
EXTRA_DIST += %reldir%/sandbox-calls.awk
BUILT_SOURCES += %reldir%/sandbox-calls.h %reldir%/sandbox-names.h
CLEANFILES += %reldir%/sandbox-calls.h %reldir%/sandbox-names.h
sandbox_sources = $(src_libbase_a_SOURCES) $(src_libloop_a_SOURCES) \
	$(src_vhu_libvhumodel_a_SOURCES) $(src_vhu_libvhu_a_SOURCES) \
	$(src_virtio_libvirtio_a_SOURCES) $(src_virtio_libdevice_a_SOURCES) \
	$(src_backends_libbackends_a_SOURCES) $(src_daemon_libsetup_a_SOURCES) \
	$(src_daemon_libdaemon_a_SOURCES) $(src_trace_libtrace_a_SOURCES) \
	$(src_vhost_device_console_SOURCES)

%reldir%/sandbox-calls.h: %reldir%/sandbox-calls.awk $(sandbox_sources)
	$(AM_V_GEN)$(MKDIR_P) %reldir% && ( cd $(srcdir) && \
	$(AWK) -f %reldir%/sandbox-calls.awk $(sandbox_sources) ) >$@.tmp && mv $@.tmp $@

%reldir%/sandbox-names.h: Makefile
	$(AM_V_GEN)$(MKDIR_P) %reldir% && \
	$(CC) $(CPPFLAGS) -E -dM -include sys/syscall.h -x c /dev/null | LC_ALL=C sort | \
	$(SED) -n 's|^#define __NR_\([a-z0-9_]*\) .*|{ SYS_\1, "\1" },|p' >$@.tmp && mv $@.tmp $@

%reldir%/sandbox-seccomp.$(OBJEXT): %reldir%/sandbox-calls.h
%reldir%/sandbox-violation.$(OBJEXT): %reldir%/sandbox-names.h
