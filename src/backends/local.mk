# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Where consoles go, and the port that a device and a backend share.
noinst_LIBRARIES += %reldir%/libbackends.a
%canon_reldir%_libbackends_a_SOURCES = \
	%reldir%/backend.h \
	%reldir%/backends.def \
	%reldir%/escape.c \
	%reldir%/escape.h \
	%reldir%/nested.c \
	%reldir%/network.c \
	%reldir%/port.c \
	%reldir%/port.h \
	%reldir%/replay.c \
	%reldir%/replay.h \
	%reldir%/stream.c \
	%reldir%/stream.h \
	%reldir%/telnet.c \
	%reldir%/telnet.h
