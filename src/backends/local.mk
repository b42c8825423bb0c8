# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Where ports go, and the port that a device and its attachments share.
noinst_LIBRARIES += %reldir%/libbackends.a
%canon_reldir%_libbackends_a_SOURCES = \
	%reldir%/address.c \
	%reldir%/address.h \
	%reldir%/attachment-options.def \
	%reldir%/attachment.c \
	%reldir%/attachment.h \
	%reldir%/attachments.def \
	%reldir%/client-handover.c \
	%reldir%/client-private.h \
	%reldir%/client-record.c \
	%reldir%/client-wire.c \
	%reldir%/client.c \
	%reldir%/client.h \
	%reldir%/connect.c \
	%reldir%/descriptor.c \
	%reldir%/escape.c \
	%reldir%/escape.h \
	%reldir%/file.c \
	%reldir%/greeting.c \
	%reldir%/greeting.h \
	%reldir%/log-file-handover.c \
	%reldir%/log-file-private.h \
	%reldir%/log-file.c \
	%reldir%/log-files.c \
	%reldir%/log-files.h \
	%reldir%/log-text.c \
	%reldir%/log-text.h \
	%reldir%/nature.c \
	%reldir%/nature.h \
	%reldir%/null.c \
	%reldir%/outfile.c \
	%reldir%/outfile.h \
	%reldir%/peer-lookup.c \
	%reldir%/peer-names.c \
	%reldir%/peer.c \
	%reldir%/peer.h \
	%reldir%/port-journal.c \
	%reldir%/port-journal.h \
	%reldir%/port-freeze.c \
	%reldir%/port-handover.c \
	%reldir%/port-handover.h \
	%reldir%/port-now.c \
	%reldir%/port-private.h \
	%reldir%/port-read.c \
	%reldir%/port-settings.c \
	%reldir%/port-state.c \
	%reldir%/port-state.h \
	%reldir%/port.c \
	%reldir%/port.h \
	%reldir%/pty-device.c \
	%reldir%/pty-device.h \
	%reldir%/pty.c \
	%reldir%/reach.c \
	%reldir%/reach.h \
	%reldir%/replay.c \
	%reldir%/replay.h \
	%reldir%/sanitize.c \
	%reldir%/sanitize.h \
	%reldir%/server.c \
	%reldir%/server.h \
	%reldir%/stream.c \
	%reldir%/stream.h \
	%reldir%/telnet.c \
	%reldir%/telnet.h \
	%reldir%/terminal-modes.c \
	%reldir%/terminal-modes.h \
	%reldir%/terminal.c \
	%reldir%/tls-private.h \
	%reldir%/tls-words.c \
	%reldir%/tls.h

if HAVE_GNUTLS
%canon_reldir%_libbackends_a_SOURCES += \
	%reldir%/tls-credentials.c \
	%reldir%/tls-files.c \
	%reldir%/tls.c
else
%canon_reldir%_libbackends_a_SOURCES += %reldir%/tls-none.c
endif
