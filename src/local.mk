# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

noinst_LIBRARIES += %reldir%/libbase.a
%canon_reldir%_libbase_a_SOURCES = \
	%reldir%/base.h \
	%reldir%/bytering.c \
	%reldir%/bytering.h \
	%reldir%/clock.h \
	%reldir%/encode.c \
	%reldir%/encode.h \
	%reldir%/fd.c \
	%reldir%/fd.h \
	%reldir%/fdkind.c \
	%reldir%/fdkind.h \
	%reldir%/histogram.c \
	%reldir%/histogram.h \
	%reldir%/journal.c \
	%reldir%/journal.h \
	%reldir%/list.h \
	%reldir%/log.c \
	%reldir%/log.h \
	%reldir%/options-text.c \
	%reldir%/options-values.c \
	%reldir%/options.c \
	%reldir%/options.h \
	%reldir%/proc.c \
	%reldir%/proc.h \
	%reldir%/ringmark.h \
	%reldir%/handover.c \
	%reldir%/handover.h \
	%reldir%/state.c \
	%reldir%/state.h \
	%reldir%/thread.c \
	%reldir%/thread.h

noinst_LIBRARIES += %reldir%/libloop.a
%canon_reldir%_libloop_a_SOURCES = \
	%reldir%/listener.c \
	%reldir%/listener.h \
	%reldir%/loop-apart.c \
	%reldir%/loop-apart.h \
	%reldir%/loop-attempt.c \
	%reldir%/loop-attempt.h \
	%reldir%/loop-guard.c \
	%reldir%/loop-guard.h \
	%reldir%/loop-park.c \
	%reldir%/loop-poll.c \
	%reldir%/loop-pollset.c \
	%reldir%/loop-pollset.h \
	%reldir%/loop-private.h \
	%reldir%/loop-scope.c \
	%reldir%/loop-fair.c \
	%reldir%/loop-fair.h \
	%reldir%/loop-share.c \
	%reldir%/loop-share.h \
	%reldir%/loop-setup.c \
	%reldir%/loop-setup.h \
	%reldir%/loop-timers.c \
	%reldir%/loop-timers.h \
	%reldir%/loop-uring.c \
	%reldir%/loop.c \
	%reldir%/loop.h \
	%reldir%/systemd-store.c \
	%reldir%/systemd.c \
	%reldir%/systemd.h

bin_PROGRAMS += %reldir%/vhost-device-console
%canon_reldir%_vhost_device_console_SOURCES = %reldir%/vhost-device-console.c
%canon_reldir%_vhost_device_console_LDADD = $(LIBDAEMON)

# Prints the description of the protocol; not installed.
noinst_PROGRAMS += %reldir%/vhu-dump
%canon_reldir%_vhu_dump_SOURCES = %reldir%/vhu-dump.c %reldir%/vhu-dump-html.c %reldir%/vhu-dump-words.c %reldir%/vhu-dump.h
%canon_reldir%_vhu_dump_LDADD = $(LIBVHUMODEL)

# Prints what is generated of manuals and completions; not installed.
noinst_PROGRAMS += %reldir%/console-options-dump
%canon_reldir%_console_options_dump_SOURCES = \
	%reldir%/console-completion.c \
	%reldir%/console-completion.h \
	%reldir%/console-options-dump.c
%canon_reldir%_console_options_dump_LDADD = $(LIBDAEMON)
