/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Prints the OPTIONS section of vhost-device-console(1). Not installed. */
#include <stdio.h>
#include <stdlib.h>

#include "console-options.h"

int main(void)
{
	console_options_man(stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
