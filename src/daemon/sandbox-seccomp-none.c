/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* In the place of sandbox-seccomp.c in a build without libseccomp. */
#include "daemon/sandbox-seccomp.h"

#include <errno.h>

const char *sandbox_seccomp_missing(void)
{
	return "this program was built without libseccomp";
}

int sandbox_seccomp_enter(const struct sandbox_needs *needs)
{
	(void)needs;
	return -ENOSYS;
}

size_t sandbox_seccomp_check(void (*unknown)(const char *name))
{
	(void)unknown;
	return 0;
}
