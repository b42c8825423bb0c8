# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# A guest's console driver on a front-end: for tests, testers and load.
noinst_LIBRARIES += %reldir%/libguest.a
%canon_reldir%_libguest_a_SOURCES = \
	%reldir%/guest-await.c \
	%reldir%/guest.c \
	%reldir%/guest.h
