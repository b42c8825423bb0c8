# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# What a front-end does, as statements.
noinst_LIBRARIES += %reldir%/libscript.a
%canon_reldir%_libscript_a_SOURCES = \
	%reldir%/script-messages.c \
	%reldir%/script-player.h \
	%reldir%/script-things.c \
	%reldir%/script.c \
	%reldir%/script.h
