# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# finds: --select vu/notify/spurious/02
# Kicks are never read, so poll() returns at once, for ever (VU-132).
s/p\[i\].revents && read(/p[i].revents \& POLLHUP \&\& read(/
