/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a daemon has to be able to do after its start, as its setup has it. */
#ifndef VHU_DAEMON_SANDBOX_NEEDS_H
#define VHU_DAEMON_SANDBOX_NEEDS_H

#include "backends/attachment.h"
#include "daemon/setup.h"

/* Rows of sandbox-groups.def. */
enum sandbox_group {
#define GROUP(ident, what) SANDBOX_GROUP_##ident,
#include "daemon/sandbox-groups.def"
#undef GROUP
	SANDBOX_N_GROUPS,
};

/* What may be done in a folder and below, or with one file; bits of sandbox_place.access. */
enum sandbox_access {
	SANDBOX_READ = BIT(0),
	SANDBOX_WRITE = BIT(1),	  /* files that are there; emptying them */
	SANDBOX_FILES = BIT(2),	  /* making, renaming and removing files */
	SANDBOX_SOCKETS = BIT(3), /* making and removing sockets */
	SANDBOX_LINKS = BIT(4),	  /* making, renaming and removing symbolic links */
	SANDBOX_DEVICE = BIT(5),  /* ioctl() on devices */
	SANDBOX_EXECUTE = BIT(6),
	SANDBOX_LIST = BIT(7), /* reading the folder itself */
};

struct sandbox_place {
	char *path; /* owned */
	unsigned int access;
};

struct sandbox_needs {
	uint64_t groups; /* BIT(enum sandbox_group) */
	struct sandbox_place *places;
	size_t n_places;
	uint16_t *ports; /* that are connected to */
	size_t n_ports;
	bool any_port;	/* connecting to any */
	bool binds;	/* binding to any */
	bool abstract;	/* connecting to abstract Unix sockets */
	bool no_memory; /* something is missing */
};

/* What has to be known besides the setup. */
struct sandbox_options {
	bool control;  /* anything can be attached later */
	bool anything; /* a new setup may bring what this one does not have */
	bool upgrade;  /* another program may take our place */
};

void sandbox_needs_init(struct sandbox_needs *n);
void sandbox_needs_fini(struct sandbox_needs *n);

/* What the setup and options ask for. Nothing is opened, but there are looks at files. */
void sandbox_needs_of_setup(struct sandbox_needs *n, const struct setup *setup,
			    const struct sandbox_options *options);

/* Terminals that are open by now. */
void sandbox_needs_of_descriptors(struct sandbox_needs *n);

/* What opening it takes. */
void sandbox_needs_of_attachment(struct sandbox_needs *n, const struct attachment_options *o);
void sandbox_needs_of_socket(struct sandbox_needs *n, const char *path);

#endif
