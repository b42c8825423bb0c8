# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The pure model: no input or output, nothing but base below it.
noinst_LIBRARIES += %reldir%/libvhumodel.a
%canon_reldir%_libvhumodel_a_SOURCES = \
	%reldir%/checks.c \
	%reldir%/checks.h \
	%reldir%/codec.c \
	%reldir%/codec.h \
	%reldir%/features.def \
	%reldir%/fields.c \
	%reldir%/fields.h \
	%reldir%/format.c \
	%reldir%/format.h \
	%reldir%/messages.def \
	%reldir%/proto.c \
	%reldir%/proto.h \
	%reldir%/rules.c \
	%reldir%/rules.def \
	%reldir%/rules.h \
	%reldir%/shapes.def \
	%reldir%/words.c \
	%reldir%/words.h \
	src/virtio/devices.def \
	src/virtio/features.def \
	src/virtio/features.h

# The back-end role and the endpoint that both roles share.
noinst_LIBRARIES += %reldir%/libvhu.a
%canon_reldir%_libvhu_a_SOURCES = \
	%reldir%/backend-channel.c \
	%reldir%/backend-channel.h \
	%reldir%/backend-device.c \
	%reldir%/backend-inflight.c \
	%reldir%/backend-inflight.h \
	%reldir%/backend-log.c \
	%reldir%/backend-log.h \
	%reldir%/backend-iommu.c \
	%reldir%/backend-iommu.h \
	%reldir%/backend-handover.c \
	%reldir%/backend-handover.h \
	%reldir%/backend-mem.c \
	%reldir%/backend-postcopy.c \
	%reldir%/backend-postcopy.h \
	%reldir%/backend-userfault.c \
	%reldir%/backend-userfault.h \
	%reldir%/backend-state.c \
	%reldir%/backend-state.h \
	%reldir%/backend-userfault.c \
	%reldir%/backend-userfault.h \
	%reldir%/backend-vring-messages.c \
	%reldir%/backend-vring.c \
	%reldir%/backend-vring.h \
	%reldir%/backend.c \
	%reldir%/backend.h \
	%reldir%/conn.c \
	%reldir%/conn.h \
	%reldir%/quiesce.c \
	%reldir%/server.c \
	%reldir%/server.h

# The front-end role.
noinst_LIBRARIES += %reldir%/libfrontend.a
%canon_reldir%_libfrontend_a_SOURCES = \
	%reldir%/frontend-iotlb.c \
	%reldir%/frontend-iotlb.h \
	%reldir%/frontend-log.c \
	%reldir%/frontend-log.h \
	%reldir%/frontend-migrate.c \
	%reldir%/frontend-migrate.h \
	%reldir%/frontend-postcopy.c \
	%reldir%/frontend-postcopy.h \
	%reldir%/frontend-requests.c \
	%reldir%/frontend-rings.c \
	%reldir%/frontend-rings.h \
	%reldir%/frontend-style.c \
	%reldir%/frontend-style.h \
	%reldir%/frontend.c \
	%reldir%/frontend.h
