/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * All that a daemon is asked to serve: its command line, with the lines of
 * --config files in the place where that option stands, and the devices that
 * follow from it. Loading it again (SIGHUP) gives another setup to compare with.
 */
#ifndef VHU_DAEMON_SETUP_H
#define VHU_DAEMON_SETUP_H

#include "console-options.h"
#include "daemon/spec.h"

struct setup {
	struct console_options options;
	struct attachment_spec *control; /* --control: address, mode, owner, group; NULL: none */
	struct list_node devices; /* struct device_spec; options.socket or options.fd is set */
	unsigned int n_devices;
	bool has_files; /* --config was there: it may be another one when it is loaded again */
	const char **files; /* their names, inside argv; n_files of them */
	unsigned int n_files;
	struct setup_words *words; /* what the strings point into */
};

/*
 * Reads the command line and the files it names; checks everything that can be
 * checked without opening anything. Sockets may have come from systemd (see
 * systemd.h; taken over before the first call): with neither --socket-path, --fd
 * nor --device, each one that is not named "control" and not meant by an
 * attachment is a device. Zero, or -EINVAL / another -errno with one sentence
 * in ret_why, which names file and line where there is one. With
 * options.help, version or print_capabilities set, there are no devices.
 */
int setup_load(int argc, char **argv, struct setup **ret_setup, char *ret_why, size_t why_cap);
void setup_free(struct setup *setup);

#endif
