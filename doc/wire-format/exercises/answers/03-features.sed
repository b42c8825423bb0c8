# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vu/features/unoffered/01
# SET_FEATURES accepts bits that were not offered (VU-034).
s/size != 8 || m->payload.u64 & ~features/size != 8/
