# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vu/vring/addr/01
# Used and available ring are swapped in the payload of SET_VRING_ADDR (VU-086).
s/desc, used, avail, log;/desc, avail, used, log;/
