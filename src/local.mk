# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

noinst_LIBRARIES += %reldir%/libbase.a
%canon_reldir%_libbase_a_SOURCES = \
	%reldir%/base.h \
	%reldir%/bytering.c \
	%reldir%/bytering.h \
	%reldir%/fd.c \
	%reldir%/fd.h \
	%reldir%/list.h \
	%reldir%/log.c \
	%reldir%/log.h \
	%reldir%/options.c \
	%reldir%/options.h

noinst_LIBRARIES += %reldir%/libloop.a
%canon_reldir%_libloop_a_SOURCES = \
	%reldir%/listener.c \
	%reldir%/listener.h \
	%reldir%/loop.c \
	%reldir%/loop.h

# The command line of vhost-device-console, linked by its tests too.
noinst_LIBRARIES += %reldir%/libconsoleoptions.a
%canon_reldir%_libconsoleoptions_a_SOURCES =

# Prints the description of the protocol; not installed.
noinst_PROGRAMS += %reldir%/vhu-dump
%canon_reldir%_vhu_dump_SOURCES = %reldir%/vhu-dump.c
%canon_reldir%_vhu_dump_LDADD = $(LIBVHUMODEL)
