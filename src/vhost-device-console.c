/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The program: its command line, and which of its faces is asked for. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/setup.h"
#include "log.h"
#include "loop.h"
#include "systemd.h"

enum {
	EXIT_USAGE = 2,
	MMAP_THRESHOLD = 64 * 1024,
};

/* A closed standard stream's number would go to the first descriptor we open. */
/* seccomp(start): fcntl:F_GETFD openat */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", O_RDWR);
}

/* Whether it was asked for words and no service. */
static bool print_words(const struct console_options *o)
{
	if (o->print_capabilities)
		puts("{\n  \"type\": \"console\"\n}");
	else if (o->help)
		console_options_help(stdout);
	else if (o->version)
		puts(PACKAGE_STRING);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct upgrade_from from;
	struct setup *setup;
	char why[GUEST_WHY_MAX];
	int err, upgrades;

	open_standard_streams();
	/* Rings of ports come and go; their pages are to go back to the system. */
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	log_set_program("vhost-device-console");
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return control_ctl_main(argc - 1, argv + 1);
	err = upgrades = upgrade_find(&from, why, sizeof(why));
	if (err == 0)
		err = systemd_take_sockets(why, sizeof(why));
	if (err >= 0)
		err = setup_load(argc, argv, &setup, why, sizeof(why));
	if (err < 0) {
		upgrade_drop(&from);
		log_error(NULL, "%s", why);
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	if (print_words(&setup->options)) {
		setup_free(setup);
		return EXIT_SUCCESS;
	}
	log_set_level((enum log_level)setup->options.log_level);
	loop_choose_engine((enum loop_choice)setup->options.engine);
	return daemon_run(argc, argv, setup, upgrades ? &from : NULL);
}
