/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The daemon as a whole: its guests, its signals, its control socket, its end. */
#ifndef VHU_DAEMON_DAEMON_H
#define VHU_DAEMON_DAEMON_H

#include <sys/signalfd.h>

#include "daemon/control.h"
#include "daemon/guest.h"
#include "daemon/places.h"
#include "daemon/setup.h"
#include "daemon/upgrade.h"

struct daemon {
	int argc;
	char **argv;
	struct setup *setup; /* owned */
	struct loop *loop;
	struct places *places;
	struct daemon_trace *trace; /* NULL: none */
	struct list_node guests;
	struct list_node leaving; /* guests that are not written any more */
	struct list_node wanted;  /* struct device_spec, to be started by a reload */
	struct control *control;  /* NULL: none */
	unsigned int n_open;	  /* what the end still waits for */
	bool ending;
	bool over;	/* everything is closed: the loop has nothing to do any more */
	bool upgrading; /* asked for, and neither done nor refused */
	unsigned int n_upgrade_tries;
	struct timer upgrade_later;
	struct upgrade_probe *probe; /* NULL: none is under way */
	struct op probe_over;
	bool probed;	   /* it was good */
	bool reloading;	   /* what was has not gone yet */
	bool reload_again; /* asked for meanwhile */
	struct scope scope;
	struct timer last_resort; /* of the end */
	struct op signal;
	int signal_fd;
	struct signalfd_siginfo siginfo;
};

/* The engine that was asked for is not to be had here. */
enum { DAEMON_EXIT_NO_ENGINE = 3 };

/*
 * Serves until it is told to end. setup is taken. from: NULL, or what it goes on
 * from. Returns the exit status.
 */
int daemon_run(int argc, char **argv, struct setup *setup, struct upgrade_from *from);

/* The control socket, if there is to be one: 0, or -errno and one line in the log. */
int daemon_open_control(struct daemon *d);

/* The same from a hand-over. */
void daemon_load_control(struct daemon *d, struct handover_in *in, unsigned int tag);

/* The parts of it. */

/* Gives the devices of the setup their places, while all of them are there. */
void daemon_number_devices(struct daemon *d);

/* What is not said of ports and attachments that this device gets later. */
struct spec_defaults daemon_defaults(const struct daemon *d, const struct device_spec *spec);

/* Starts the device of spec (taken). -errno, and one line in the log. */
int daemon_start_device(struct daemon *d, struct device_spec *spec, struct guest **ret_guest);

/* Takes a guest out of service while the others go on. */
void daemon_retire(struct daemon *d, struct guest *g);

/*
 * Reads the setup again and follows it. One that is wrong changes nothing and
 * is logged and told. What changes may be complete only later.
 */
int daemon_reload(struct daemon *d, char *ret_why, size_t why_cap);

/* Something has gone: a reload that waits for that goes on. */
void daemon_reload_rest(struct daemon *d);

/* Tells the service manager, in words, how many are served. */
void daemon_notify_ready(const struct daemon *d);

void daemon_end(struct daemon *d);

#endif
