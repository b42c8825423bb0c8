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

# Units of systemd, one instance for each file of the configuration folder.
EXTRA_DIST += %reldir%/systemd/vhost-device-console@.service.in
CLEANFILES += %reldir%/systemd/vhost-device-console@.service
if INSTALL_UNITS
nodist_systemdsystemunit_DATA = %reldir%/systemd/vhost-device-console@.service
dist_systemdsystemunit_DATA = %reldir%/systemd/vhost-device-console@.socket
endif

%reldir%/systemd/vhost-device-console@.service: %reldir%/systemd/vhost-device-console@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %reldir%/systemd && \
	$(SED) -e 's|@bindir[@]|$(bindir)|' -e 's|@sysconfdir[@]|$(sysconfdir)|' \
		'$(srcdir)/%reldir%/systemd/vhost-device-console@.service.in' >'$@.tmp' && \
	mv '$@.tmp' '$@'

# Manuals and completions. Parts of them are printed by programs from the lists
# of the sources; tests/sys/manual.sh compares, update-manuals puts them in anew.
dist_man_MANS += \
	%reldir%/vhost-device-console-ctl.1 \
	%reldir%/vhost-device-console.1 \
	%reldir%/vhost-device-console.conf.5 \
	%reldir%/vhu-conform.1 \
	%reldir%/vhu-load.1 \
	%reldir%/vhu-protocol.7 \
	%reldir%/vhu-trace.1
dist_doc_DATA += README.md CHANGELOG.md SECURITY.md %reldir%/architecture.md %reldir%/compatibility.md \
	%reldir%/hacking.md %reldir%/performance.md %reldir%/soak.md
examplesdir = $(docdir)/examples
dist_examples_DATA += %reldir%/examples/vhu-conform.yml
EXTRA_DIST += %reldir%/splice.sh %reldir%/compatibility.notes

# The course: chapters, exercises, and the captures that they show.
EXTRA_DIST += %reldir%/wire-format

# bash looks for a file of the command's name.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_zshcompletion_DATA = %reldir%/completion/_vhost-device-console
dist_fishcompletion_DATA = %reldir%/completion/vhost-device-console.fish
EXTRA_DIST += %reldir%/completion/vhost-device-console.bash

install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(srcdir)/%reldir%/completion/vhost-device-console.bash \
		'$(DESTDIR)$(bashcompletiondir)/vhost-device-console'

uninstall-local:
	rm -f '$(DESTDIR)$(bashcompletiondir)/vhost-device-console'

# PAGE:COMMAND; the words of a command are separated by commas.
generated = \
	%reldir%/vhost-device-console.1:src/console-options-dump,options \
	%reldir%/vhost-device-console.conf.5:src/console-options-dump,ports \
	%reldir%/vhost-device-console-ctl.1:src/console-options-dump,ctl \
	%reldir%/completion/vhost-device-console.bash:src/console-options-dump,bash \
	%reldir%/completion/_vhost-device-console:src/console-options-dump,zsh \
	%reldir%/completion/vhost-device-console.fish:src/console-options-dump,fish \
	%reldir%/vhu-conform.1:src/vhu-conform-dump \
	%reldir%/vhu-load.1:src/vhu-load-dump \
	%reldir%/vhu-protocol.7:src/vhu-dump,man \
	%reldir%/vhu-trace.1:src/vhu-trace-dump,options

update-manuals: src/console-options-dump src/vhu-conform-dump src/vhu-dump src/vhu-load-dump \
		src/vhu-trace-dump
	$(MKDIR_P) %reldir%
	for row in $(generated); do \
		page=$(srcdir)/$${row%%:*}; \
		$(SHELL) $(srcdir)/%reldir%/splice.sh $$page \
			$$(echo $${row#*:} | tr , ' ') >%reldir%/manual.tmp || exit 1; \
		cp %reldir%/manual.tmp $$page; \
	done
	rm %reldir%/manual.tmp
	src/vhu-dump html >%reldir%/messages.tmp
	mv %reldir%/messages.tmp $(srcdir)/%reldir%/wire-format/messages.html

.PHONY: update-manuals
