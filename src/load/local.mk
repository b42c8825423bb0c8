# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Load on a back-end, and what the machine itself can do.
noinst_LIBRARIES += %reldir%/libload.a
%canon_reldir%_libload_a_SOURCES = \
	%reldir%/latency.c \
	%reldir%/latency.h \
	%reldir%/limit-cores.c \
	%reldir%/limit-cores.h \
	%reldir%/limit-ping.c \
	%reldir%/limit-relay-drive.c \
	%reldir%/limit-relay.c \
	%reldir%/limit-relay.h \
	%reldir%/limit-shared.c \
	%reldir%/limit-shared.h \
	%reldir%/limit-side.c \
	%reldir%/limit-side.h \
	%reldir%/limit-tcp.c \
	%reldir%/limit-tcp.h \
	%reldir%/limit.c \
	%reldir%/limit.h \
	%reldir%/load-command.c \
	%reldir%/load-command.h \
	%reldir%/load-exec.c \
	%reldir%/load-exec.h \
	%reldir%/load-guests.c \
	%reldir%/load-guests.h \
	%reldir%/load-limits.def \
	%reldir%/load-line.c \
	%reldir%/load-line.h \
	%reldir%/load-many.c \
	%reldir%/load-message.c \
	%reldir%/load-modes.c \
	%reldir%/load-modes.def \
	%reldir%/load-modes.h \
	%reldir%/load-options.def \
	%reldir%/load-pace.c \
	%reldir%/load-pace.h \
	%reldir%/load-pattern.c \
	%reldir%/load-pattern.h \
	%reldir%/load-peer.c \
	%reldir%/load-peer.h \
	%reldir%/load-stream.c \
	%reldir%/load.c \
	%reldir%/load.h \
	%reldir%/report-json.c \
	%reldir%/report-json.h \
	%reldir%/report-keys.c \
	%reldir%/report-keys.def \
	%reldir%/report-keys.h \
	%reldir%/report-plot.c \
	%reldir%/report.c \
	%reldir%/report.h \
	%reldir%/syscount.c \
	%reldir%/syscount.h \
	%reldir%/usage.c \
	%reldir%/usage.h

bin_PROGRAMS += src/vhu-load
src_vhu_load_SOURCES = src/vhu-load.c
src_vhu_load_LDADD = $(LIBLOAD)

# Prints what is generated of the manual; not installed.
noinst_PROGRAMS += src/vhu-load-dump
src_vhu_load_dump_SOURCES = src/vhu-load-dump.c
src_vhu_load_dump_LDADD = $(LIBLOAD)
