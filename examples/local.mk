# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The smallest back-end: of libc alone, as a reader would build it.
noinst_PROGRAMS += %reldir%/minimal-backend
%canon_reldir%_minimal_backend_SOURCES = %reldir%/minimal-backend.c
dist_examples_DATA += %reldir%/minimal-backend.c
