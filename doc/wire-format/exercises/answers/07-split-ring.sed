# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vr/used/end/01
# The used index is not taken modulo the size: entries land behind the ring (VR-053, VR-057).
s/r->used->ring\[r->next_used % r->num\]/r->used->ring[r->next_used]/
