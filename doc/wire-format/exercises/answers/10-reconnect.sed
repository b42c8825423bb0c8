# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vu/state/stopped/02
# GET_VRING_BASE answers, but the ring goes on (VU-108, VU-111).
s/case GET_VRING_BASE: ring_stop(r, -1); fd_replace(&r->fd\[CALL\], -1);/case GET_VRING_BASE:/
