# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The tester. One library: its parts need each other.
noinst_LIBRARIES += %reldir%/libconform.a
%canon_reldir%_libconform_a_SOURCES =

# The harness: which cases, against what, with which verdict.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/aftermath.c \
	%reldir%/aftermath.h \
	%reldir%/bench.c \
	%reldir%/bench.h \
	%reldir%/catalog.c \
	%reldir%/catalog.h \
	%reldir%/conform-command.c \
	%reldir%/conform-command.h \
	%reldir%/conform-options.def \
	%reldir%/coverage.c \
	%reldir%/coverage.h \
	%reldir%/expect.c \
	%reldir%/expect.h \
	%reldir%/info-options.def \
	%reldir%/info.c \
	%reldir%/info.h \
	%reldir%/interrupt.c \
	%reldir%/interrupt.h \
	%reldir%/needs.c \
	%reldir%/needs.h \
	%reldir%/runner.c \
	%reldir%/runner.h \
	%reldir%/select.c \
	%reldir%/select.h \
	%reldir%/verdict.c \
	%reldir%/verdict.h

# The requirements.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/clauses/clauses-vc.def \
	%reldir%/clauses/clauses-vf.def \
	%reldir%/clauses/clauses-vr.def \
	%reldir%/clauses/clauses-vu-more.def \
	%reldir%/clauses/clauses-vu.def \
	%reldir%/clauses/clauses.c \
	%reldir%/clauses/clauses.h

# The back-end under test as a process and a socket.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/target/folder.c \
	%reldir%/target/folder.h \
	%reldir%/target/process.c \
	%reldir%/target/process.h \
	%reldir%/target/target-exec.c \
	%reldir%/target/target-peer.c \
	%reldir%/target/target-probe.c \
	%reldir%/target/target.c \
	%reldir%/target/target.h

# One case being run: the steps that cases are made of.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/trial/trial-boot.c \
	%reldir%/trial/trial-ring.c \
	%reldir%/trial/trial-ring.h \
	%reldir%/trial/trial.c \
	%reldir%/trial/trial.h

# What is known of device types.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/devices/device-block.c \
	%reldir%/devices/device-console.c \
	%reldir%/devices/device-fs.c \
	%reldir%/devices/device-fs.h \
	%reldir%/devices/device-list.h \
	%reldir%/devices/device-net.c \
	%reldir%/devices/device-rng.c \
	%reldir%/devices/device-vsock.c \
	%reldir%/devices/device-vsock.h \
	%reldir%/devices/device.c \
	%reldir%/devices/device.h \
	%reldir%/devices/devices.def

# The cases.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/cases/case-ack.c \
	%reldir%/cases/case-config-set.c \
	%reldir%/cases/case-config.c \
	%reldir%/cases/case-console-config.c \
	%reldir%/cases/case-console-ctrl.c \
	%reldir%/cases/case-console-data.c \
	%reldir%/cases/case-console-driver.c \
	%reldir%/cases/case-console-emergency.c \
	%reldir%/cases/case-console-flow.c \
	%reldir%/cases/case-console-io.c \
	%reldir%/cases/case-console-plug.c \
	%reldir%/cases/case-console-reset.c \
	%reldir%/cases/case-console-size.c \
	%reldir%/cases/case-console-start.c \
	%reldir%/cases/case-console-state.c \
	%reldir%/cases/case-console.h \
	%reldir%/cases/case-device-channel.c \
	%reldir%/cases/case-device.c \
	%reldir%/cases/case-iommu.c \
	%reldir%/cases/case-fds.c \
	%reldir%/cases/case-features.c \
	%reldir%/cases/case-framing-more.c \
	%reldir%/cases/case-framing.c \
	%reldir%/cases/case-generated.c \
	%reldir%/cases/case-hostile-ring.c \
	%reldir%/cases/case-hostile.c \
	%reldir%/cases/case-inband.c \
	%reldir%/cases/case-json.c \
	%reldir%/cases/case-json.h \
	%reldir%/cases/case-life-program.c \
	%reldir%/cases/case-life.c \
	%reldir%/cases/case-life.h \
	%reldir%/cases/case-list.h \
	%reldir%/cases/case-memory-bad.c \
	%reldir%/cases/case-memory.c \
	%reldir%/cases/case-migration-inflight.c \
	%reldir%/cases/case-migration-log.c \
	%reldir%/cases/case-migration-packed.c \
	%reldir%/cases/case-migration-postcopy.c \
	%reldir%/cases/case-migration-record.c \
	%reldir%/cases/case-migration-state.c \
	%reldir%/cases/case-migration.c \
	%reldir%/cases/case-migration.h \
	%reldir%/cases/case-notify-limits.c \
	%reldir%/cases/case-notify.c \
	%reldir%/cases/case-packs.c \
	%reldir%/cases/case-program.c \
	%reldir%/cases/case-program.h \
	%reldir%/cases/case-ring-calls.c \
	%reldir%/cases/case-ring-desc.c \
	%reldir%/cases/case-ring-fault-indirect.c \
	%reldir%/cases/case-ring-fault.c \
	%reldir%/cases/case-ring-fault.h \
	%reldir%/cases/case-ring-fuzz.c \
	%reldir%/cases/case-ring-index.c \
	%reldir%/cases/case-ring-indirect.c \
	%reldir%/cases/case-ring-kicks.c \
	%reldir%/cases/case-ring-life.c \
	%reldir%/cases/case-ring-order.c \
	%reldir%/cases/case-ring-packed-data.c \
	%reldir%/cases/case-ring-packed-events.c \
	%reldir%/cases/case-ring-packed-steps.c \
	%reldir%/cases/case-ring-packed.c \
	%reldir%/cases/case-ring-packed.h \
	%reldir%/cases/case-ring-steps.c \
	%reldir%/cases/case-ring-steps.h \
	%reldir%/cases/case-ring-used.c \
	%reldir%/cases/case-row.c \
	%reldir%/cases/case-row.h \
	%reldir%/cases/case-setup.c \
	%reldir%/cases/case-setup.h \
	%reldir%/cases/case-slots.c \
	%reldir%/cases/case-state-console.c \
	%reldir%/cases/case-state-orders.c \
	%reldir%/cases/case-state-stop.c \
	%reldir%/cases/case-state.c \
	%reldir%/cases/case-steps.c \
	%reldir%/cases/case-steps.h \
	%reldir%/cases/case-style.c \
	%reldir%/cases/case-vring-addr.c \
	%reldir%/cases/case-vring-order.c \
	%reldir%/cases/case-vring.c \
	%reldir%/cases/cases-config.def \
	%reldir%/cases/cases-console-data.def \
	%reldir%/cases/cases-console-plug.def \
	%reldir%/cases/cases-console-start.def \
	%reldir%/cases/cases-console.def \
	%reldir%/cases/cases-device.def \
	%reldir%/cases/cases-features.def \
	%reldir%/cases/cases-framing.def \
	%reldir%/cases/cases-hostile.def \
	%reldir%/cases/cases-life.def \
	%reldir%/cases/cases-memory.def \
	%reldir%/cases/cases-migration.def \
	%reldir%/cases/cases-notify.def \
	%reldir%/cases/cases-packed.def \
	%reldir%/cases/cases-packs.def \
	%reldir%/cases/cases-ring.def \
	%reldir%/cases/cases-ringfault.def \
	%reldir%/cases/cases-state.def \
	%reldir%/cases/cases-style.def \
	%reldir%/cases/cases-vring.def \
	%reldir%/cases/cases.c \
	%reldir%/cases/cases.def \
	%reldir%/cases/cases.h \
	%reldir%/cases/dirty-log.c \
	%reldir%/cases/dirty-log.h \
	%reldir%/cases/generated.c \
	%reldir%/cases/generated.h \
	%reldir%/cases/inflight.c \
	%reldir%/cases/inflight.h

# What happened in a case, and doing it again.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/evidence/evidence-events.h \
	%reldir%/evidence/evidence-memory.c \
	%reldir%/evidence/evidence-objects.c \
	%reldir%/evidence/evidence-replay.c \
	%reldir%/evidence/evidence-ring.c \
	%reldir%/evidence/evidence-text.c \
	%reldir%/evidence/evidence.c \
	%reldir%/evidence/evidence.h \
	%reldir%/evidence/replay-options.def \
	%reldir%/evidence/replay.c \
	%reldir%/evidence/replay.h

# Reports, and several of them beside each other.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/report/matrix-data.h \
	%reldir%/report/matrix-html.c \
	%reldir%/report/matrix-markdown.c \
	%reldir%/report/matrix-options.def \
	%reldir%/report/matrix-read.c \
	%reldir%/report/matrix.c \
	%reldir%/report/matrix.h \
	%reldir%/report/outputs.c \
	%reldir%/report/outputs.h \
	%reldir%/report/report-human.c \
	%reldir%/report/report-impl.h \
	%reldir%/report/report-jsonl.c \
	%reldir%/report/report-junit.c \
	%reldir%/report/report-keys.def \
	%reldir%/report/report-keys.h \
	%reldir%/report/report-tap.c \
	%reldir%/report/report.c \
	%reldir%/report/report.h

# Front-ends under test: a back-end that is played.
%canon_reldir%_libconform_a_SOURCES += \
	%reldir%/frontend/cases-frontend.def \
	%reldir%/frontend/frontend-cases.c \
	%reldir%/frontend/frontend-cases.h \
	%reldir%/frontend/frontend-command.c \
	%reldir%/frontend/frontend-duties.def \
	%reldir%/frontend/frontend-judge.c \
	%reldir%/frontend/frontend-judge.h \
	%reldir%/frontend/frontend-options.def \
	%reldir%/frontend/frontend-process.c \
	%reldir%/frontend/frontend-process.h \
	%reldir%/frontend/frontend-run.c \
	%reldir%/frontend/frontend-run.h \
	%reldir%/frontend/frontend-session.c \
	%reldir%/frontend/frontend-session.h \
	%reldir%/frontend/played-device.c \
	%reldir%/frontend/played-devices.def \
	%reldir%/frontend/played-faults.c \
	%reldir%/frontend/played-requests.c \
	%reldir%/frontend/played-ring.c \
	%reldir%/frontend/played-rules.c \
	%reldir%/frontend/played.c \
	%reldir%/frontend/played.h

bin_PROGRAMS += src/vhu-conform
src_vhu_conform_SOURCES = src/vhu-conform.c
src_vhu_conform_LDADD = $(LIBCONFORM)

# Prints what is generated of the manual; not installed.
noinst_PROGRAMS += src/vhu-conform-dump
src_vhu_conform_dump_SOURCES = src/vhu-conform-dump.c
src_vhu_conform_dump_LDADD = $(LIBCONFORM)
