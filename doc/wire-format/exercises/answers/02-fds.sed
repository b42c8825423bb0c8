# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vu/framing/unknown/leak
# Descriptors that no request has taken are never closed (VU-017, VU-024).
/^\twhile (m->n_fds)$/,/close(m->fds/d
