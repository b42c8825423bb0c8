# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# One program per module, linked with its own layer and those below.
EXTRA_DIST += %reldir%/ring_rig.h %reldir%/unit.h %reldir%/no-cmocka.sh

# Without _SOURCES, automake takes the .c file of the program's name.

unit_tests += %reldir%/test_base
%canon_reldir%_test_base_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_fd
%canon_reldir%_test_fd_LDADD = $(LIBBASE) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_log
%canon_reldir%_test_log_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_bytering
%canon_reldir%_test_bytering_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_histogram
%canon_reldir%_test_histogram_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_options
%canon_reldir%_test_options_LDADD = $(LIBBASE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_options
%canon_reldir%_test_console_options_LDADD = src/libconsoleoptions.a $(LIBBASE) $(CMOCKA_LIBS)

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
%canon_reldir%_test_gmem_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_vring
%canon_reldir%_test_vring_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq
%canon_reldir%_test_virtq_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_virtq_notify
%canon_reldir%_test_virtq_notify_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_driverq
%canon_reldir%_test_driverq_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_ring_pair
%canon_reldir%_test_ring_pair_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_ring_hostile
%canon_reldir%_test_ring_hostile_LDADD = $(LIBVIRTIO) $(CMOCKA_LIBS) -lpthread

unit_tests += %reldir%/test_loop
%canon_reldir%_test_loop_SOURCES = %reldir%/test_loop.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_loop_cancel
%canon_reldir%_test_loop_cancel_SOURCES = %reldir%/test_loop_cancel.c %reldir%/loop_rig.h
%canon_reldir%_test_loop_cancel_LDADD = $(LIBLOOP) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_conn
%canon_reldir%_test_conn_LDADD = $(LIBVHU) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_port
%canon_reldir%_test_port_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_replay
%canon_reldir%_test_replay_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_telnet
%canon_reldir%_test_telnet_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_systemd
%canon_reldir%_test_systemd_LDADD = $(LIBLOOP) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_nested
%canon_reldir%_test_nested_SOURCES = %reldir%/test_nested.c %reldir%/backend_rig.h
%canon_reldir%_test_nested_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS) -lutil

unit_tests += %reldir%/test_network
%canon_reldir%_test_network_SOURCES = %reldir%/test_network.c %reldir%/backend_rig.h
%canon_reldir%_test_network_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_ctrl
%canon_reldir%_test_console_ctrl_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console
%canon_reldir%_test_console_SOURCES = %reldir%/test_console.c %reldir%/console_rig.h
%canon_reldir%_test_console_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_console_life
%canon_reldir%_test_console_life_SOURCES = %reldir%/test_console_life.c %reldir%/console_rig.h
%canon_reldir%_test_console_life_LDADD = $(LIBDEVICE) $(CMOCKA_LIBS)

# Both ends of a session in one process, a guest's driver on one of them.
session_rig = %reldir%/session_rig.c %reldir%/session_rig.h tests/tools/guest.c tests/tools/guest.h

unit_tests += %reldir%/test_session_channel
%canon_reldir%_test_session_channel_SOURCES = %reldir%/test_session_channel.c $(session_rig)
%canon_reldir%_test_session_channel_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_config
%canon_reldir%_test_session_config_SOURCES = %reldir%/test_session_config.c $(session_rig)
%canon_reldir%_test_session_config_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_framing
%canon_reldir%_test_session_framing_SOURCES = %reldir%/test_session_framing.c $(session_rig)
%canon_reldir%_test_session_framing_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_life
%canon_reldir%_test_session_life_SOURCES = %reldir%/test_session_life.c $(session_rig)
%canon_reldir%_test_session_life_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_memory
%canon_reldir%_test_session_memory_SOURCES = %reldir%/test_session_memory.c $(session_rig)
%canon_reldir%_test_session_memory_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_notify
%canon_reldir%_test_session_notify_SOURCES = %reldir%/test_session_notify.c $(session_rig)
%canon_reldir%_test_session_notify_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_session_vring
%canon_reldir%_test_session_vring_SOURCES = %reldir%/test_session_vring.c $(session_rig)
%canon_reldir%_test_session_vring_LDADD = $(LIBALL) $(CMOCKA_LIBS)

unit_tests += %reldir%/test_escape
%canon_reldir%_test_escape_LDADD = $(LIBBACKENDS) $(CMOCKA_LIBS)

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
else
TESTS += %reldir%/no-cmocka.sh
endif
