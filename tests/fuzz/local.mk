# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Each target is one file with the libFuzzer entry point, and a corpus:
#
#	fuzz_tests += %reldir%/fuzz_NAME
#	%canon_reldir%_fuzz_NAME_SOURCES = %reldir%/fuzz_NAME.c %reldir%/fuzz.h $(FUZZ_MAIN)
#	%canon_reldir%_fuzz_NAME_LDADD = $(LIB...)
#	%canon_reldir%_fuzz_NAME_LDFLAGS = $(FUZZ_LINK)
#	EXTRA_DIST += %reldir%/corpus-NAME
#
# and a line of "targets"; dict-NAME, where the words of the protocol say nothing to
# it. With --enable-fuzz it becomes a fuzzer. Otherwise replay.c gives it a main()
# that runs the corpus, which make check does.
EXTRA_DIST += %reldir%/replay.c %reldir%/README %reldir%/run.sh %reldir%/coverage.sh \
	%reldir%/targets \
	%reldir%/oss-fuzz/build.sh %reldir%/oss-fuzz/Dockerfile %reldir%/oss-fuzz/project.yaml

fuzz_tests += %reldir%/fuzz_codec
%canon_reldir%_fuzz_codec_SOURCES = %reldir%/fuzz_codec.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_codec_LDADD = $(LIBVHUMODEL)
%canon_reldir%_fuzz_codec_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-codec

fuzz_tests += %reldir%/fuzz_replay
%canon_reldir%_fuzz_replay_SOURCES = %reldir%/fuzz_replay.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_replay_LDADD = $(LIBBACKENDS)
%canon_reldir%_fuzz_replay_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-replay

fuzz_tests += %reldir%/fuzz_sanitize
%canon_reldir%_fuzz_sanitize_SOURCES = %reldir%/fuzz_sanitize.c tests/unit/harmless.h \
	%reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_sanitize_LDADD = $(LIBBACKENDS)
%canon_reldir%_fuzz_sanitize_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-sanitize %reldir%/dict-sanitize

fuzz_tests += %reldir%/fuzz_rules
%canon_reldir%_fuzz_rules_SOURCES = %reldir%/fuzz_rules.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_rules_LDADD = $(LIBVHUMODEL)
%canon_reldir%_fuzz_rules_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-rules

fuzz_tests += %reldir%/fuzz_virtq
%canon_reldir%_fuzz_virtq_SOURCES = %reldir%/fuzz_virtq.c %reldir%/ring-side.c \
	%reldir%/ring-side.h %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_virtq_LDADD = $(LIBVIRTIO)
%canon_reldir%_fuzz_virtq_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-virtq

# The ring engine once more, in which each access to shared memory calls hostile.h.
fuzz_tests += %reldir%/fuzz_chain
%canon_reldir%_fuzz_chain_SOURCES = %reldir%/fuzz_chain.c %reldir%/hostile.h \
	%reldir%/ring-side.c %reldir%/ring-side.h %reldir%/fuzz.h $(FUZZ_MAIN) \
	src/virtio/inflight-packed.c src/virtio/inflight-split.c src/virtio/inflight.c \
	src/virtio/packed.c src/virtio/virtq-gather.c src/virtio/virtq-inflight.c \
	src/virtio/virtq-log.c src/virtio/virtq-packed.c src/virtio/virtq-split.c \
	src/virtio/virtq.c src/virtio/vring.c
%canon_reldir%_fuzz_chain_CPPFLAGS = $(AM_CPPFLAGS) -include $(srcdir)/%reldir%/hostile.h
%canon_reldir%_fuzz_chain_LDADD = $(LIBVIRTIO)
%canon_reldir%_fuzz_chain_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-chain

fuzz_tests += %reldir%/fuzz_state
%canon_reldir%_fuzz_state_SOURCES = %reldir%/fuzz_state.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_state_LDADD = $(LIBDEVICE)
%canon_reldir%_fuzz_state_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-state

fuzz_tests += %reldir%/fuzz_capture
%canon_reldir%_fuzz_capture_SOURCES = %reldir%/fuzz_capture.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_capture_LDADD = $(LIBTRACE) -lm
%canon_reldir%_fuzz_capture_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-capture

fuzz_tests += %reldir%/fuzz_telnet
%canon_reldir%_fuzz_telnet_SOURCES = %reldir%/fuzz_telnet.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_telnet_LDADD = $(LIBBACKENDS)
%canon_reldir%_fuzz_telnet_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-telnet

fuzz_tests += %reldir%/fuzz_control
%canon_reldir%_fuzz_control_SOURCES = %reldir%/fuzz_control.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_control_LDADD = $(LIBDEVICE)
%canon_reldir%_fuzz_control_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-control

fuzz_tests += %reldir%/fuzz_spec
%canon_reldir%_fuzz_spec_SOURCES = %reldir%/fuzz_spec.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_spec_LDADD = $(LIBSETUP)
%canon_reldir%_fuzz_spec_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-spec

fuzz_tests += %reldir%/fuzz_config
%canon_reldir%_fuzz_config_SOURCES = %reldir%/fuzz_config.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_config_LDADD = $(LIBSETUP)
%canon_reldir%_fuzz_config_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-config

fuzz_tests += %reldir%/fuzz_iotlb
%canon_reldir%_fuzz_iotlb_SOURCES = %reldir%/fuzz_iotlb.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_iotlb_LDADD = $(LIBVIRTIO)
%canon_reldir%_fuzz_iotlb_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-iotlb

fuzz_tests += %reldir%/fuzz_session
%canon_reldir%_fuzz_session_SOURCES = %reldir%/fuzz_session.c %reldir%/session.c \
	%reldir%/session-messages.c %reldir%/session-upgrade.c %reldir%/session.h \
	%reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_session_LDADD = $(LIBALL)
%canon_reldir%_fuzz_session_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-session

fuzz_tests += %reldir%/fuzz_frames
%canon_reldir%_fuzz_frames_SOURCES = %reldir%/fuzz_frames.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_frames_LDADD = $(LIBVHU)
%canon_reldir%_fuzz_frames_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-frames

fuzz_tests += %reldir%/fuzz_story
%canon_reldir%_fuzz_story_SOURCES = %reldir%/fuzz_story.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_story_LDADD = $(LIBTRACE) $(JSON_C_LIBS) -lm
%canon_reldir%_fuzz_story_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-story

if HAVE_JSON_C
fuzz_tests += %reldir%/fuzz_request
%canon_reldir%_fuzz_request_SOURCES = %reldir%/fuzz_request.c %reldir%/fuzz.h $(FUZZ_MAIN)
%canon_reldir%_fuzz_request_LDADD = $(LIBDAEMON)
%canon_reldir%_fuzz_request_LDFLAGS = $(FUZZ_LINK)
EXTRA_DIST += %reldir%/corpus-request

endif

if ENABLE_FUZZ
FUZZ_MAIN =
FUZZ_LINK = $(AM_LDFLAGS) $(LIB_FUZZING_ENGINE)
noinst_PROGRAMS += $(fuzz_tests)
else
FUZZ_MAIN = %reldir%/replay.c
FUZZ_LINK = $(AM_LDFLAGS)
check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests)
endif
