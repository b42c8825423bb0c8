# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# The pure ring engine, both sides: nothing but base below it.
noinst_LIBRARIES += %reldir%/libvirtio.a
%canon_reldir%_libvirtio_a_SOURCES =

# Devices.
noinst_LIBRARIES += %reldir%/libdevice.a
%canon_reldir%_libdevice_a_SOURCES =
