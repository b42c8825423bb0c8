# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Tells managers of virtual machines which back-end serves consoles. Made by
# make, not by configure, as bindir may still change on make's command line.
qemuvhostuserdir = $(datadir)/qemu/vhost-user
nodist_qemuvhostuser_DATA = %reldir%/50-vhu-console.json
EXTRA_DIST += %reldir%/50-vhu-console.json.in
CLEANFILES += %reldir%/50-vhu-console.json

%reldir%/50-vhu-console.json: %reldir%/50-vhu-console.json.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %reldir% && \
	$(SED) -e 's|@bindir[@]|$(bindir)|' $(srcdir)/%reldir%/50-vhu-console.json.in >$@.tmp && \
	mv $@.tmp $@

# Manuals. Parts of them are printed by programs from the lists of the sources;
# tests/sys/manual.sh compares, update-manuals puts them in anew.
dist_man_MANS += %reldir%/vhost-device-console.1 %reldir%/vhu-protocol.7
dist_doc_DATA += README.md CHANGELOG.md %reldir%/architecture.md %reldir%/hacking.md
EXTRA_DIST += %reldir%/splice.sh

update-manuals: src/console-options-dump src/vhu-dump
	$(MKDIR_P) %reldir%
	$(SHELL) $(srcdir)/%reldir%/splice.sh $(srcdir)/%reldir%/vhost-device-console.1 \
		src/console-options-dump >%reldir%/manual.tmp
	cp %reldir%/manual.tmp $(srcdir)/%reldir%/vhost-device-console.1
	$(SHELL) $(srcdir)/%reldir%/splice.sh $(srcdir)/%reldir%/vhu-protocol.7 \
		src/vhu-dump man >%reldir%/manual.tmp
	cp %reldir%/manual.tmp $(srcdir)/%reldir%/vhu-protocol.7
	rm %reldir%/manual.tmp

.PHONY: update-manuals
