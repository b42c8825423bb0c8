/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Walls around the daemon, for the day when a guest has found a way into it.
 * They come in two steps: sandbox_begin() before anything is opened, and
 * sandbox_close() when all is open and nobody is served yet. What may be done
 * after that follows from the setup (sandbox-needs.h).
 *
 * The state is of the process, as the walls are.
 */
#ifndef VHU_DAEMON_SANDBOX_H
#define VHU_DAEMON_SANDBOX_H

#include "backends/attachment.h"
#include "daemon/places.h"
#include "daemon/setup.h"

/* Order of the words of --sandbox. */
enum sandbox_mode { SANDBOX_AUTO, SANDBOX_STRICT, SANDBOX_NONE };

/* Rows of sandbox-walls.def. */
enum sandbox_wall {
#define WALL(ident, name) SANDBOX_WALL_##ident,
#include "daemon/sandbox-walls.def"
#undef WALL
	SANDBOX_N_WALLS,
};

/*
 * Looks at what the setup will need, closes descriptors that it does not name, and takes another
 * user's place, with what is needed to open sockets and files still allowed.
 * Before anything is open, and before there are threads. 0, or -errno and
 * one line in the log, as when a wall is missing in strict mode.
 */
int sandbox_begin(const struct setup *setup);

/* Closes the walls when all is open, in all threads of places. 0, or -errno and one line in the
 * log. */
int sandbox_close(struct places *places, const struct loop *loop);

/* For whoever goes on in our place, within these walls: loaded before sandbox_begin(). */
void sandbox_save(struct handover_out *out, unsigned int tag);
void sandbox_load(struct handover_in *in, unsigned int tag);

/*
 * Whether an attachment, or the socket of a device, can be opened now: 0, or
 * -EACCES and a sentence that names the wall. Without a sandbox, anything can.
 */
int sandbox_permits(const struct attachment_options *options, char *ret_why, size_t why_cap);
int sandbox_permits_socket(const char *path, char *ret_why, size_t why_cap);

/* Whether another program can be started in place of this one: 0, or -EACCES and why not. */
int sandbox_permits_upgrade(char *ret_why, size_t why_cap);

#endif
