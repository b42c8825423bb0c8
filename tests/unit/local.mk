# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Calls that fail in turn: fail_rig.h.
fail_flags = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray \
	-Wl,--wrap=mmap -Wl,--wrap=eventfd -Wl,--wrap=memfd_create -Wl,--wrap=ftruncate \
	-Wl,--wrap=pipe2 -Wl,--wrap=socketpair

# For children that leave with _exit() and write down what they have reached.
if ENABLE_COVERAGE
dump_flags = -Wl,-u,__gcov_dump
endif

# One program per module, linked with its own layer and those below.
EXTRA_DIST += %reldir%/driver_ring.h %reldir%/packed_rig.h %reldir%/ring_rig.h %reldir%/unit.h %reldir%/wild_rig.h %reldir%/no-cmocka.sh

# Without _SOURCES, automake takes the .c file of the program's name.

unit_tests += %reldir%/test_base
%canon_reldir%_test_base_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_fd
%canon_reldir%_test_fd_LDADD = $(LIBBASE) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_proc
%canon_reldir%_test_proc_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_log
%canon_reldir%_test_log_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_bytering
%canon_reldir%_test_bytering_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_journal
%canon_reldir%_test_journal_LDADD = $(LIBBASE) $(CMOCKA_LIBS)
unit_tests += %reldir%/test_state
%canon_reldir%_test_state_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_options
%canon_reldir%_test_options_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_proto
%canon_reldir%_test_proto_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_codec
%canon_reldir%_test_codec_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_rules
%canon_reldir%_test_rules_SOURCES = %reldir%/test_rules.c %reldir%/rules_rig.h
%canon_reldir%_test_rules_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_checks
%canon_reldir%_test_checks_SOURCES = %reldir%/test_checks.c %reldir%/rules_rig.h
%canon_reldir%_test_checks_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_nego
%canon_reldir%_test_nego_SOURCES = %reldir%/test_nego.c %reldir%/rules_rig.h
%canon_reldir%_test_nego_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_format
%canon_reldir%_test_format_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_gmem
%canon_reldir%_test_gmem_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_dirtylog
%canon_reldir%_test_dirtylog_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_inflight
%canon_reldir%_test_inflight_SOURCES = %reldir%/test_inflight.c %reldir%/inflight_rig.h
%canon_reldir%_test_inflight_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_inflight_packed
%canon_reldir%_test_inflight_packed_SOURCES = %reldir%/test_inflight_packed.c %reldir%/inflight_rig.h
%canon_reldir%_test_inflight_packed_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)
unit_tests += %reldir%/test_iotlb
%canon_reldir%_test_iotlb_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_vring
%canon_reldir%_test_vring_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq
%canon_reldir%_test_virtq_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_packed
%canon_reldir%_test_virtq_packed_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_order
%canon_reldir%_test_virtq_order_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_hooks
%canon_reldir%_test_virtq_hooks_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_handover
%canon_reldir%_test_virtq_handover_SOURCES = %reldir%/test_virtq_handover.c %reldir%/packed_rig.h
%canon_reldir%_test_virtq_handover_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_notify
%canon_reldir%_test_virtq_notify_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_batch
%canon_reldir%_test_batch_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_driverq
%canon_reldir%_test_driverq_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_driverq_layouts
%canon_reldir%_test_driverq_layouts_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_driverq_packed
%canon_reldir%_test_driverq_packed_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_ring_pair
%canon_reldir%_test_ring_pair_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_ring_meeting
%canon_reldir%_test_ring_meeting_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_ring_hostile_packed
%canon_reldir%_test_ring_hostile_packed_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_ring_hostile
%canon_reldir%_test_ring_hostile_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_loop
%canon_reldir%_test_loop_SOURCES = %reldir%/test_loop.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_cancel
%canon_reldir%_test_loop_cancel_SOURCES = %reldir%/test_loop_cancel.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_cancel_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_now
%canon_reldir%_test_loop_now_SOURCES = %reldir%/test_loop_now.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_now_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_park
%canon_reldir%_test_loop_park_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)

# clock_rig.h
clock_flags = -Wl,--wrap=clock_gettime -Wl,--wrap=getrusage

unit_tests += %reldir%/test_loop_fair
%canon_reldir%_test_loop_fair_SOURCES = %reldir%/test_loop_fair.c %reldir%/clock_rig.h \
	%reldir%/loop_rig.h
%canon_reldir%_test_loop_fair_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)
%canon_reldir%_test_loop_fair_LDFLAGS = $(AM_LDFLAGS) $(clock_flags)

unit_tests += %reldir%/test_loop_share
%canon_reldir%_test_loop_share_SOURCES = %reldir%/test_loop_share.c %reldir%/clock_rig.h \
	%reldir%/loop_rig.h
%canon_reldir%_test_loop_share_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)
%canon_reldir%_test_loop_share_LDFLAGS = $(AM_LDFLAGS) $(clock_flags)

unit_tests += %reldir%/test_loop_poll
%canon_reldir%_test_loop_poll_SOURCES = %reldir%/test_loop_poll.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_setup
%canon_reldir%_test_loop_setup_SOURCES = %reldir%/test_loop_setup.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_setup_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_attempt
%canon_reldir%_test_loop_attempt_SOURCES = %reldir%/test_loop_attempt.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_attempt_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil -lpthread

unit_tests += %reldir%/test_loop_apart
%canon_reldir%_test_loop_apart_SOURCES = %reldir%/test_loop_apart.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_apart_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_held
%canon_reldir%_test_loop_held_SOURCES = %reldir%/test_loop_held.c %reldir%/loop_rig.h \
	tests/tools/held-pipe.c tests/tools/held-pipe.h
%canon_reldir%_test_loop_held_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

# The same on poll(2).
unit_tests += %reldir%/test_loop_by_poll
%canon_reldir%_test_loop_by_poll_SOURCES = %reldir%/test_loop.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_attempt_by_poll
%canon_reldir%_test_loop_attempt_by_poll_SOURCES = %reldir%/test_loop_attempt.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_attempt_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_attempt_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil -lpthread

unit_tests += %reldir%/test_loop_apart_by_poll
%canon_reldir%_test_loop_apart_by_poll_SOURCES = %reldir%/test_loop_apart.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_apart_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_apart_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_held_by_poll
%canon_reldir%_test_loop_held_by_poll_SOURCES = %reldir%/test_loop_held.c %reldir%/loop_rig.h \
	tests/tools/held-pipe.c tests/tools/held-pipe.h
%canon_reldir%_test_loop_held_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_held_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_cancel_by_poll
%canon_reldir%_test_loop_cancel_by_poll_SOURCES = %reldir%/test_loop_cancel.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_cancel_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_cancel_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_now_by_poll
%canon_reldir%_test_loop_now_by_poll_SOURCES = %reldir%/test_loop_now.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_now_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_now_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_poll_by_poll
%canon_reldir%_test_loop_poll_by_poll_SOURCES = %reldir%/test_loop_poll.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_poll_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_poll_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_park_by_poll
%canon_reldir%_test_loop_park_by_poll_SOURCES = %reldir%/test_loop_park.c
%canon_reldir%_test_loop_park_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_loop_park_by_poll_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conn
%canon_reldir%_test_conn_SOURCES = %reldir%/test_conn.c %reldir%/conn_rig.h
%canon_reldir%_test_conn_LDADD = $(LIBVHU) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conn_fd_limit
%canon_reldir%_test_conn_fd_limit_SOURCES = %reldir%/test_conn_fd_limit.c %reldir%/conn_rig.h
%canon_reldir%_test_conn_fd_limit_LDADD = $(LIBVHU) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conn_handover
%canon_reldir%_test_conn_handover_SOURCES = %reldir%/test_conn_handover.c %reldir%/conn_rig.h
%canon_reldir%_test_conn_handover_LDADD = $(LIBVHU) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_histogram
%canon_reldir%_test_histogram_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port
%canon_reldir%_test_port_SOURCES = %reldir%/test_port.c %reldir%/port_rig.h
%canon_reldir%_test_port_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port_clients
%canon_reldir%_test_port_clients_SOURCES = %reldir%/test_port_clients.c %reldir%/port_rig.h
%canon_reldir%_test_port_clients_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port_now
%canon_reldir%_test_port_now_SOURCES = %reldir%/test_port_now.c %reldir%/port_rig.h
%canon_reldir%_test_port_now_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port_journal
%canon_reldir%_test_port_journal_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_restart_kill
%canon_reldir%_test_restart_kill_SOURCES = %reldir%/test_restart_kill.c %reldir%/ring_rig.h %reldir%/driver_ring.h
%canon_reldir%_test_restart_kill_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_soak_check
%canon_reldir%_test_soak_check_SOURCES = %reldir%/test_soak_check.c \
	tests/soak/check.c tests/soak/check.h tests/restart/pattern.c tests/restart/pattern.h
%canon_reldir%_test_soak_check_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_replay
%canon_reldir%_test_replay_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_sanitize
%canon_reldir%_test_sanitize_SOURCES = %reldir%/test_sanitize.c %reldir%/harmless.h
%canon_reldir%_test_sanitize_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_sanitize
%canon_reldir%_test_client_sanitize_SOURCES = %reldir%/test_client_sanitize.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_sanitize_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_peer
%canon_reldir%_test_peer_SOURCES = %reldir%/test_peer.c %reldir%/socket_rig.h %reldir%/backend_rig.h %reldir%/said_rig.h
%canon_reldir%_test_peer_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_escape
%canon_reldir%_test_escape_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_telnet
%canon_reldir%_test_telnet_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_listener
%canon_reldir%_test_listener_SOURCES = %reldir%/test_listener.c %reldir%/loop_rig.h
%canon_reldir%_test_listener_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_stream
%canon_reldir%_test_stream_SOURCES = %reldir%/test_stream.c %reldir%/stream_rig.h
%canon_reldir%_test_stream_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_stream_read
%canon_reldir%_test_stream_read_SOURCES = %reldir%/test_stream_read.c %reldir%/stream_rig.h
%canon_reldir%_test_stream_read_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_address
%canon_reldir%_test_address_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_attachment
%canon_reldir%_test_attachment_SOURCES = %reldir%/test_attachment.c %reldir%/backend_rig.h
%canon_reldir%_test_attachment_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client
%canon_reldir%_test_client_SOURCES = %reldir%/test_client.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port_freeze
%canon_reldir%_test_port_freeze_SOURCES = %reldir%/test_port_freeze.c %reldir%/bulk_rig.h \
	%reldir%/socket_rig.h %reldir%/backend_rig.h %reldir%/pty_rig.h
%canon_reldir%_test_port_freeze_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_bulk
%canon_reldir%_test_client_bulk_SOURCES = %reldir%/test_client_bulk.c %reldir%/bulk_rig.h \
	%reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_bulk_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_bulk_input
%canon_reldir%_test_client_bulk_input_SOURCES = %reldir%/test_client_bulk_input.c %reldir%/bulk_rig.h \
	%reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_bulk_input_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_hold
%canon_reldir%_test_client_hold_SOURCES = %reldir%/test_client_hold.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_hold_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_bulk_end
%canon_reldir%_test_client_bulk_end_SOURCES = %reldir%/test_client_bulk_end.c %reldir%/said_rig.h \
	%reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_bulk_end_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_client_telnet
%canon_reldir%_test_client_telnet_SOURCES = %reldir%/test_client_telnet.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_client_telnet_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_connect
%canon_reldir%_test_connect_SOURCES = %reldir%/test_connect.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_connect_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_descriptor
%canon_reldir%_test_descriptor_SOURCES = %reldir%/test_descriptor.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_descriptor_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_server
%canon_reldir%_test_server_SOURCES = %reldir%/test_server.c %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_server_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

if HAVE_GNUTLS
unit_tests += %reldir%/test_tls
%canon_reldir%_test_tls_SOURCES = %reldir%/test_tls.c %reldir%/tls_rig.h %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_tls_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_tls_client
%canon_reldir%_test_tls_client_SOURCES = %reldir%/test_tls_client.c %reldir%/tls_rig.h %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_tls_client_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_tls_connect
%canon_reldir%_test_tls_connect_SOURCES = %reldir%/test_tls_connect.c %reldir%/tls_rig.h %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_tls_connect_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_tls_files
%canon_reldir%_test_tls_files_SOURCES = %reldir%/test_tls_files.c %reldir%/tls_rig.h %reldir%/socket_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_tls_files_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)
endif

unit_tests += %reldir%/test_file
%canon_reldir%_test_file_SOURCES = %reldir%/test_file.c %reldir%/backend_rig.h
%canon_reldir%_test_file_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_log_file
%canon_reldir%_test_log_file_SOURCES = %reldir%/test_log_file.c %reldir%/log_file_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_log_file_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_log_files
%canon_reldir%_test_log_files_SOURCES = %reldir%/test_log_files.c %reldir%/log_file_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_log_files_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_log_text
%canon_reldir%_test_log_text_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_pty
%canon_reldir%_test_pty_SOURCES = %reldir%/test_pty.c %reldir%/pty_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_pty_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_pty_link
%canon_reldir%_test_pty_link_SOURCES = %reldir%/test_pty_link.c %reldir%/pty_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_pty_link_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_terminal
%canon_reldir%_test_terminal_SOURCES = %reldir%/test_terminal.c %reldir%/terminal_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_terminal_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_terminal_clients
%canon_reldir%_test_terminal_clients_SOURCES = %reldir%/test_terminal_clients.c %reldir%/terminal_rig.h %reldir%/backend_rig.h
%canon_reldir%_test_terminal_clients_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_console_ctrl
%canon_reldir%_test_console_ctrl_SOURCES = %reldir%/test_console_ctrl.c %reldir%/console_ctrl_rig.h
%canon_reldir%_test_console_ctrl_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_ctrl_plug
%canon_reldir%_test_console_ctrl_plug_SOURCES = %reldir%/test_console_ctrl_plug.c %reldir%/console_ctrl_rig.h
%canon_reldir%_test_console_ctrl_plug_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console
%canon_reldir%_test_console_SOURCES = %reldir%/test_console.c %reldir%/console_rig.h
%canon_reldir%_test_console_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_life
%canon_reldir%_test_console_life_SOURCES = %reldir%/test_console_life.c %reldir%/console_rig.h
%canon_reldir%_test_console_life_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_ports
%canon_reldir%_test_console_ports_SOURCES = %reldir%/test_console_ports.c %reldir%/console_rig.h
%canon_reldir%_test_console_ports_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_journal
%canon_reldir%_test_console_journal_SOURCES = %reldir%/test_console_journal.c %reldir%/fail_rig.h
%canon_reldir%_test_console_journal_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)
%canon_reldir%_test_console_journal_LDFLAGS = $(AM_LDFLAGS) $(fail_flags)

unit_tests += %reldir%/test_console_state
%canon_reldir%_test_console_state_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_overflow
%canon_reldir%_test_console_overflow_SOURCES = %reldir%/test_console_overflow.c %reldir%/console_rig.h
%canon_reldir%_test_console_overflow_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

# Both ends of a session in one process, a guest's driver on one of them.
session_rig = %reldir%/session_rig.c %reldir%/session_rig.h

unit_tests += %reldir%/test_session_scarce
%canon_reldir%_test_session_scarce_SOURCES = %reldir%/test_session_scarce.c %reldir%/fail_rig.h $(session_rig)
%canon_reldir%_test_session_scarce_LDADD = $(LIBALL) $(CMOCKA_LIBS)
%canon_reldir%_test_session_scarce_LDFLAGS = $(AM_LDFLAGS) $(fail_flags)

unit_tests += %reldir%/test_session_handover
%canon_reldir%_test_session_handover_SOURCES = %reldir%/test_session_handover.c %reldir%/fail_rig.h \
	%reldir%/iommu_rig.h $(session_rig)
%canon_reldir%_test_session_handover_LDADD = $(LIBALL) $(CMOCKA_LIBS)
%canon_reldir%_test_session_handover_LDFLAGS = $(AM_LDFLAGS) $(fail_flags) $(dump_flags)

unit_tests += %reldir%/test_postcopy_scarce
%canon_reldir%_test_postcopy_scarce_SOURCES = %reldir%/test_postcopy_scarce.c %reldir%/fail_rig.h $(session_rig)
%canon_reldir%_test_postcopy_scarce_LDADD = $(LIBALL) $(CMOCKA_LIBS) -lpthread
%canon_reldir%_test_postcopy_scarce_LDFLAGS = $(AM_LDFLAGS) $(fail_flags) -Wl,--wrap=ioctl \
	-Wl,--wrap=syscall -Wl,--wrap=pthread_create

unit_tests += %reldir%/test_vhu_server
%canon_reldir%_test_vhu_server_SOURCES = %reldir%/test_vhu_server.c %reldir%/fail_rig.h $(session_rig)
%canon_reldir%_test_vhu_server_LDADD = $(LIBALL) $(CMOCKA_LIBS)
%canon_reldir%_test_vhu_server_LDFLAGS = $(AM_LDFLAGS) $(fail_flags)

unit_tests += %reldir%/test_session_share
%canon_reldir%_test_session_share_SOURCES = %reldir%/test_session_share.c $(session_rig)
%canon_reldir%_test_session_share_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_channel
%canon_reldir%_test_session_channel_SOURCES = %reldir%/test_session_channel.c $(session_rig)
%canon_reldir%_test_session_channel_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_iommu
%canon_reldir%_test_session_iommu_SOURCES = %reldir%/test_session_iommu.c %reldir%/iommu_rig.h $(session_rig)
%canon_reldir%_test_session_iommu_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_iommu_storm
%canon_reldir%_test_session_iommu_storm_SOURCES = %reldir%/test_session_iommu_storm.c %reldir%/iommu_rig.h $(session_rig)
%canon_reldir%_test_session_iommu_storm_LDADD = $(LIBALL) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_session_reset
%canon_reldir%_test_session_reset_SOURCES = %reldir%/test_session_reset.c %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_reset_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_bulk
%canon_reldir%_test_session_bulk_SOURCES = %reldir%/test_session_bulk.c %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_bulk_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_config
%canon_reldir%_test_session_config_SOURCES = %reldir%/test_session_config.c $(session_rig)
%canon_reldir%_test_session_config_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_framing
%canon_reldir%_test_session_framing_SOURCES = %reldir%/test_session_framing.c $(session_rig)
%canon_reldir%_test_session_framing_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_handover_all
%canon_reldir%_test_session_handover_all_SOURCES = %reldir%/test_session_handover_all.c $(session_rig)
%canon_reldir%_test_session_handover_all_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_inflight
%canon_reldir%_test_session_inflight_SOURCES = %reldir%/test_session_inflight.c $(session_rig)
%canon_reldir%_test_session_inflight_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_log
%canon_reldir%_test_session_log_SOURCES = %reldir%/test_session_log.c $(session_rig)
%canon_reldir%_test_session_log_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_life
%canon_reldir%_test_session_life_SOURCES = %reldir%/test_session_life.c $(session_rig)
%canon_reldir%_test_session_life_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_memory
%canon_reldir%_test_session_memory_SOURCES = %reldir%/test_session_memory.c $(session_rig)
%canon_reldir%_test_session_memory_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_notify
%canon_reldir%_test_session_notify_SOURCES = %reldir%/test_session_notify.c $(session_rig)
%canon_reldir%_test_session_notify_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_postcopy
%canon_reldir%_test_session_postcopy_SOURCES = %reldir%/test_session_postcopy.c %reldir%/move_rig.h %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_postcopy_LDADD = $(LIBALL) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_session_state
%canon_reldir%_test_session_state_SOURCES = %reldir%/test_session_state.c %reldir%/move_rig.h %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_state_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_vring
%canon_reldir%_test_session_vring_SOURCES = %reldir%/test_session_vring.c $(session_rig)
%canon_reldir%_test_session_vring_LDADD = $(LIBALL) $(CMOCKA_LIBS)

quiesce_rig = %reldir%/quiesce_canary.h %reldir%/quiesce_holds.h %reldir%/quiesce_messages.h \
	%reldir%/quiesce_rig.h \
	%reldir%/ports_rig.h $(session_rig)

unit_tests += %reldir%/test_quiesce
%canon_reldir%_test_quiesce_SOURCES = %reldir%/test_quiesce.c $(quiesce_rig)
%canon_reldir%_test_quiesce_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_quiesce_deadline
%canon_reldir%_test_quiesce_deadline_SOURCES = %reldir%/test_quiesce_deadline.c $(quiesce_rig)
%canon_reldir%_test_quiesce_deadline_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_quiesce_ends
%canon_reldir%_test_quiesce_ends_SOURCES = %reldir%/test_quiesce_ends.c $(quiesce_rig)
%canon_reldir%_test_quiesce_ends_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_ends
%canon_reldir%_test_session_ends_SOURCES = %reldir%/test_session_ends.c $(quiesce_rig)
%canon_reldir%_test_session_ends_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_ports
%canon_reldir%_test_session_ports_SOURCES = %reldir%/test_session_ports.c %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_ports_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_queues
%canon_reldir%_test_session_queues_SOURCES = %reldir%/test_session_queues.c %reldir%/ports_rig.h $(session_rig)
%canon_reldir%_test_session_queues_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_config_file
%canon_reldir%_test_config_file_LDADD = src/daemon/libsetup.a $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_options
%canon_reldir%_test_console_options_LDADD = src/daemon/libsetup.a $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_setup
%canon_reldir%_test_setup_LDADD = $(LIBSETUP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_spec_allow
%canon_reldir%_test_spec_allow_LDADD = $(LIBSETUP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_reach
%canon_reldir%_test_reach_LDADD = $(LIBSETUP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_sandbox_needs
%canon_reldir%_test_sandbox_needs_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_spec
%canon_reldir%_test_spec_LDADD = $(LIBSETUP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_frontend_migrate
%canon_reldir%_test_frontend_migrate_SOURCES = %reldir%/test_frontend_migrate.c %reldir%/peer_rig.h
%canon_reldir%_test_frontend_migrate_LDADD = $(LIBFRONTEND) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_frontend_says
%canon_reldir%_test_frontend_says_SOURCES = %reldir%/test_frontend_says.c %reldir%/peer_rig.h
%canon_reldir%_test_frontend_says_LDADD = $(LIBFRONTEND) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_frontend_iotlb
%canon_reldir%_test_frontend_iotlb_SOURCES = %reldir%/test_frontend_iotlb.c %reldir%/peer_rig.h
%canon_reldir%_test_frontend_iotlb_LDADD = $(LIBFRONTEND) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_frontend_packed
%canon_reldir%_test_frontend_packed_SOURCES = %reldir%/test_frontend_packed.c %reldir%/peer_rig.h
%canon_reldir%_test_frontend_packed_LDADD = $(LIBFRONTEND) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_frontend_postcopy
%canon_reldir%_test_frontend_postcopy_SOURCES = %reldir%/test_frontend_postcopy.c %reldir%/peer_rig.h
%canon_reldir%_test_frontend_postcopy_LDADD = $(LIBFRONTEND) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_guest
%canon_reldir%_test_guest_SOURCES = %reldir%/test_guest.c %reldir%/guest_rig.h
%canon_reldir%_test_guest_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_workers
%canon_reldir%_test_workers_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_workers_by_poll
%canon_reldir%_test_workers_by_poll_SOURCES = %reldir%/test_workers.c
%canon_reldir%_test_workers_by_poll_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_ENGINE=LOOP_POLL
%canon_reldir%_test_workers_by_poll_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_latency
%canon_reldir%_test_latency_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_bench
%canon_reldir%_test_conform_bench_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_cases
%canon_reldir%_test_conform_cases_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_clauses
%canon_reldir%_test_conform_clauses_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_command
%canon_reldir%_test_conform_command_SOURCES = %reldir%/test_conform_command.c %reldir%/said_rig.h
%canon_reldir%_test_conform_command_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_coverage
%canon_reldir%_test_conform_coverage_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_evidence
%canon_reldir%_test_conform_evidence_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_expect
%canon_reldir%_test_conform_expect_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_faults
%canon_reldir%_test_conform_faults_SOURCES = %reldir%/test_conform_faults.c %reldir%/played_rig.h
%canon_reldir%_test_conform_faults_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_frontend
%canon_reldir%_test_conform_frontend_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_info
%canon_reldir%_test_conform_info_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

if HAVE_JSON_C
unit_tests += %reldir%/test_conform_matrix
%canon_reldir%_test_conform_matrix_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)
endif

unit_tests += %reldir%/test_conform_needs
%canon_reldir%_test_conform_needs_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_outputs
%canon_reldir%_test_conform_outputs_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_played
%canon_reldir%_test_conform_played_SOURCES = %reldir%/test_conform_played.c %reldir%/played_rig.h
%canon_reldir%_test_conform_played_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_process
%canon_reldir%_test_conform_process_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_report
%canon_reldir%_test_conform_report_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_select
%canon_reldir%_test_conform_select_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_start
%canon_reldir%_test_conform_start_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_conform_target
%canon_reldir%_test_conform_target_LDADD = $(LIBCONFORM) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_line
%canon_reldir%_test_load_line_SOURCES = %reldir%/test_load_line.c %reldir%/said_rig.h
%canon_reldir%_test_load_line_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_pace
%canon_reldir%_test_load_pace_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_pattern
%canon_reldir%_test_load_pattern_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_peer
%canon_reldir%_test_load_peer_SOURCES = %reldir%/test_load_peer.c %reldir%/said_rig.h
%canon_reldir%_test_load_peer_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_report
%canon_reldir%_test_load_report_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_load_usage
%canon_reldir%_test_load_usage_LDADD = $(LIBLOAD) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_fdkind
%canon_reldir%_test_fdkind_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_fields
%canon_reldir%_test_fields_LDADD = $(LIBVHUMODEL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_script
%canon_reldir%_test_script_LDADD = $(LIBSCRIPT) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_story
%canon_reldir%_test_story_SOURCES = %reldir%/test_story.c %reldir%/story_rig.h
%canon_reldir%_test_story_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_capture
%canon_reldir%_test_trace_capture_SOURCES = %reldir%/test_trace_capture.c %reldir%/capture_rig.h
%canon_reldir%_test_trace_capture_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_compose
%canon_reldir%_test_trace_compose_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_relay
%canon_reldir%_test_trace_relay_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_repl
%canon_reldir%_test_trace_repl_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_text
%canon_reldir%_test_trace_text_SOURCES = %reldir%/test_trace_text.c %reldir%/view_rig.h
%canon_reldir%_test_trace_text_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_gmem_read
%canon_reldir%_test_gmem_read_SOURCES = %reldir%/test_gmem_read.c %reldir%/ring_rig.h
%canon_reldir%_test_gmem_read_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_scarce
%canon_reldir%_test_scarce_SOURCES = %reldir%/test_scarce.c %reldir%/fail_rig.h %reldir%/picture_rig.h
%canon_reldir%_test_scarce_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)
%canon_reldir%_test_scarce_LDFLAGS = $(AM_LDFLAGS) $(fail_flags)

unit_tests += %reldir%/test_picture
%canon_reldir%_test_picture_SOURCES = %reldir%/test_picture.c %reldir%/picture_rig.h
%canon_reldir%_test_picture_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_picture_pack
%canon_reldir%_test_picture_pack_SOURCES = %reldir%/test_picture_pack.c %reldir%/picture_rig.h
%canon_reldir%_test_picture_pack_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_picture_packed
%canon_reldir%_test_picture_packed_SOURCES = %reldir%/test_picture_packed.c %reldir%/picture_rig.h
%canon_reldir%_test_picture_packed_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_story_rings
%canon_reldir%_test_story_rings_SOURCES = %reldir%/test_story_rings.c %reldir%/story_rig.h
%canon_reldir%_test_story_rings_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_story_words
%canon_reldir%_test_story_words_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_command
%canon_reldir%_test_trace_command_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_filter
%canon_reldir%_test_trace_filter_SOURCES = %reldir%/test_trace_filter.c %reldir%/story_rig.h
%canon_reldir%_test_trace_filter_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_rings
%canon_reldir%_test_trace_rings_SOURCES = %reldir%/test_trace_rings.c %reldir%/trace_rings_rig.h
%canon_reldir%_test_trace_rings_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_rings_memory
%canon_reldir%_test_trace_rings_memory_SOURCES = %reldir%/test_trace_rings_memory.c %reldir%/trace_rings_rig.h
%canon_reldir%_test_trace_rings_memory_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_proxy
%canon_reldir%_test_trace_proxy_LDADD = $(LIBTRACE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_picture_wrong
%canon_reldir%_test_picture_wrong_SOURCES = %reldir%/test_picture_wrong.c %reldir%/picture_rig.h
%canon_reldir%_test_picture_wrong_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_systemd
%canon_reldir%_test_systemd_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)

if HAVE_JSON_C
unit_tests += %reldir%/test_control
%canon_reldir%_test_control_SOURCES = %reldir%/test_control.c %reldir%/control_rig.h
%canon_reldir%_test_control_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_control_commands
%canon_reldir%_test_control_commands_SOURCES = %reldir%/test_control_commands.c %reldir%/control_rig.h
%canon_reldir%_test_control_commands_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_trace_json
%canon_reldir%_test_trace_json_SOURCES = %reldir%/test_trace_json.c %reldir%/view_rig.h
%canon_reldir%_test_trace_json_LDADD = $(LIBTRACE) $(JSON_C_LIBS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_ctl
%canon_reldir%_test_ctl_SOURCES = %reldir%/test_ctl.c %reldir%/control_rig.h
%canon_reldir%_test_ctl_LDADD = $(LIBDAEMON) $(CMOCKA_LIBS)

endif

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
else
TESTS += %reldir%/no-cmocka.sh
endif
