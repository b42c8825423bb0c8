# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The pure ring engine, both sides: nothing but base below it.
noinst_LIBRARIES += %reldir%/libvirtio.a
%canon_reldir%_libvirtio_a_SOURCES = \
	%reldir%/batch.c \
	%reldir%/batch.h \
	%reldir%/dirtylog.c \
	%reldir%/dirtylog.h \
	%reldir%/driverq-packed.c \
	%reldir%/driverq-packed.h \
	%reldir%/driverq.c \
	%reldir%/driverq.h \
	%reldir%/gmem-guard.c \
	%reldir%/gmem-late.c \
	%reldir%/gmem-private.h \
	%reldir%/gmem-text.c \
	%reldir%/gmem.c \
	%reldir%/gmem.h \
	%reldir%/inflight-handover.c \
	%reldir%/inflight-packed.c \
	%reldir%/inflight-private.h \
	%reldir%/inflight-split.c \
	%reldir%/inflight.c \
	%reldir%/iotlb.c \
	%reldir%/inflight.h \
	%reldir%/iotlb.h \
	%reldir%/packed.c \
	%reldir%/packed.h \
	%reldir%/picture-pack.c \
	%reldir%/picture-packed.c \
	%reldir%/picture-private.h \
	%reldir%/picture-split.c \
	%reldir%/picture-text.c \
	%reldir%/picture.c \
	%reldir%/picture.h \
	%reldir%/virtq-gather.c \
	%reldir%/virtq-handover.c \
	%reldir%/virtq-handover.h \
	%reldir%/virtq-inflight.c \
	%reldir%/virtq-log.c \
	%reldir%/virtq-packed.c \
	%reldir%/virtq-private.h \
	%reldir%/virtq-split.c \
	%reldir%/virtq.c \
	%reldir%/virtq.h \
	%reldir%/vring.c \
	%reldir%/vring.h

# Devices.
noinst_LIBRARIES += %reldir%/libdevice.a
%canon_reldir%_libdevice_a_SOURCES = \
	%reldir%/console-journal.c \
	%reldir%/console-journal.h \
	%reldir%/console-config.c \
	%reldir%/console-config.h \
	%reldir%/console-ctrl.c \
	%reldir%/console-ctrl.h \
	%reldir%/console-state.c \
	%reldir%/console-state.h \
	%reldir%/console-ports.c \
	%reldir%/console-private.h \
	%reldir%/console-keep.c \
	%reldir%/console-keep.h \
	%reldir%/console-handover.c \
	%reldir%/console-handover.h \
	%reldir%/console.c \
	%reldir%/console.h \
	%reldir%/device.h
