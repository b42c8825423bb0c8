# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The wire and the rings, seen and told.
noinst_LIBRARIES += %reldir%/libtrace.a
%canon_reldir%_libtrace_a_SOURCES =

# Records, and where they go.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/filter.c \
	%reldir%/filter.h \
	%reldir%/hub.c \
	%reldir%/hub.h \
	%reldir%/record.h \
	%reldir%/trace-command.c \
	%reldir%/trace-command.h \
	%reldir%/trace-options.def

# Where they come from: a proxy, and rings looked at.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/proxy/proxy-link.c \
	%reldir%/proxy/proxy-private.h \
	%reldir%/proxy/proxy-session.c \
	%reldir%/proxy/proxy.c \
	%reldir%/proxy/proxy.h \
	%reldir%/proxy/relay.c \
	%reldir%/proxy/relay.h \
	%reldir%/proxy/rings-look.c \
	%reldir%/proxy/rings-private.h \
	%reldir%/proxy/rings-watch.c \
	%reldir%/proxy/rings.c \
	%reldir%/proxy/rings.h

# What they mean.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/story/story-control.c \
	%reldir%/story/story-memory.c \
	%reldir%/story/story-messages.c \
	%reldir%/story/story-private.h \
	%reldir%/story/story-rings.c \
	%reldir%/story/story-waiting.c \
	%reldir%/story/story-words.c \
	%reldir%/story/story.c \
	%reldir%/story/story.h

# Lines of text and JSON.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/views/view-json-message.c \
	%reldir%/views/view-json-parts.c \
	%reldir%/views/view-json-private.h \
	%reldir%/views/view-json-state.c \
	%reldir%/views/view-json.c \
	%reldir%/views/view-stream.c \
	%reldir%/views/view-text-bytes.c \
	%reldir%/views/view-text-line.c \
	%reldir%/views/view-text-map.c \
	%reldir%/views/view-text-parts.c \
	%reldir%/views/view-text-record.c \
	%reldir%/views/view-text-ring.c \
	%reldir%/views/view-text.c \
	%reldir%/views/views-private.h \
	%reldir%/views/views.h

# A page for a browser.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/page/view-page.c

# Files in pcapng.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/capture/capture-bytes.h \
	%reldir%/capture/capture-read.c \
	%reldir%/capture/capture-write.c \
	%reldir%/capture/capture.h \
	%reldir%/capture/envelope.c \
	%reldir%/capture/envelope.h \
	%reldir%/capture/pcapng.h

# One message at a time.
%canon_reldir%_libtrace_a_SOURCES += \
	%reldir%/repl/compose-names.c \
	%reldir%/repl/compose-private.h \
	%reldir%/repl/compose-values.c \
	%reldir%/repl/compose.c \
	%reldir%/repl/compose.h \
	%reldir%/repl/repl-edit.c \
	%reldir%/repl/repl-edit.h \
	%reldir%/repl/repl-expect.c \
	%reldir%/repl/repl-options.def \
	%reldir%/repl/repl-private.h \
	%reldir%/repl/repl-talk.c \
	%reldir%/repl/repl-verbs.c \
	%reldir%/repl/repl.c \
	%reldir%/repl/repl.h

# The page as strings in a header.
nodist_%canon_reldir%_libtrace_a_SOURCES = %reldir%/page/page-text.h
trace_page = \
	%reldir%/page/page.html \
	%reldir%/page/page.css \
	%reldir%/page/page-bytes.js \
	%reldir%/page/page-chains.js \
	%reldir%/page/page-dom.js \
	%reldir%/page/page-memory.js \
	%reldir%/page/page-model.js \
	%reldir%/page/page-ring.js \
	%reldir%/page/page-sequence.js \
	%reldir%/page/page-summary.js \
	%reldir%/page/page.js
EXTRA_DIST += %reldir%/page/page-embed.sh $(trace_page)
BUILT_SOURCES += %reldir%/page/page-text.h
CLEANFILES += %reldir%/page/page-text.h

%reldir%/page/page-text.h: %reldir%/page/page-embed.sh $(trace_page)
	$(AM_V_GEN)$(MKDIR_P) %reldir%/page && \
	$(SHELL) $(srcdir)/%reldir%/page/page-embed.sh $(srcdir)/%reldir%/page >$@.tmp && mv $@.tmp $@

bin_PROGRAMS += src/vhu-trace
src_vhu_trace_SOURCES = src/vhu-trace.c
src_vhu_trace_LDADD = $(LIBTRACE)

# Prints what is generated of the manual, and the dissector; not installed.
noinst_PROGRAMS += src/vhu-trace-dump
src_vhu_trace_dump_SOURCES = src/vhu-trace-dump.c
src_vhu_trace_dump_LDADD = $(LIBTRACE)

# Wireshark's dissector. Its tables come from the lists.
trace_lua = \
	%reldir%/capture/dissector-fields.lua \
	%reldir%/capture/dissector-ring.lua \
	%reldir%/capture/dissector.lua
EXTRA_DIST += $(trace_lua)
CLEANFILES += %reldir%/capture/vhost-user.lua
noinst_DATA += %reldir%/capture/vhost-user.lua
if INSTALL_DISSECTOR
nodist_wiresharkplugin_DATA = %reldir%/capture/vhost-user.lua
endif

%reldir%/capture/vhost-user.lua: src/vhu-trace-dump $(trace_lua)
	$(AM_V_GEN)$(MKDIR_P) %reldir%/capture && for file in $(trace_lua); do \
		echo $(srcdir)/$$file; \
	done | xargs src/vhu-trace-dump lua >$@.tmp && mv $@.tmp $@
