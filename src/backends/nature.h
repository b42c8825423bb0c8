/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What an inherited descriptor is, as far as it matters to who attaches it. */
#ifndef VHU_BACKENDS_NATURE_H
#define VHU_BACKENDS_NATURE_H

#include "base.h"

struct nature {
	bool reads, writes;
	bool socket, listens, tty, file;
};

/* Zero, or -errno with what is wrong with it in words (static): "is no stream socket". */
int nature_find(int fd, struct nature *ret_nature, const char **ret_fault);

#endif
