/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a service manager gives and wants: sockets passed at start, with names,
 * and word of how the daemon does. The three protocols (sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3)) are variables of the environment and
 * datagrams, and are spoken here: nothing is sent that could make the loop wait.
 * Without a manager there are no sockets and nobody listens.
 */
#ifndef VHU_SYSTEMD_H
#define VHU_SYSTEMD_H

#include <string.h>
#include <sys/socket.h>

#include "handover.h"
#include "loop.h"

enum { SYSTEMD_SOCKETS_MAX = 4096 };

/*
 * Takes the passed sockets over, once, at the start: they are close-on-exec
 * then, and the environment no longer names them. Returns how many, or -errno
 * with one sentence in ret_why. A second call does the same with what the
 * environment says by then.
 */
int systemd_take_sockets(char *ret_why, size_t why_cap);

unsigned int systemd_n_sockets(void);

/* Name (never NULL; "unknown" or "stored" by convention) and descriptor; idx is below n_sockets. */
const char *systemd_socket_name(unsigned int idx);
int systemd_socket_fd(unsigned int idx);

/*
 * The descriptor meant by text, a number or the name of a passed socket; -1
 * when there is none. A name that several sockets have means the nth of them.
 */
int systemd_find_fd(const char *text, unsigned int nth);

/*
 * READY=1, RELOADING=1, STOPPING=1, STATUS=...: as sd_notify(3). Lost when the
 * manager does not take it at once.
 */
PRINTF_LIKE(1, 2)
void systemd_notify(const char *fmt, ...);

/* The same for a text as it is, with a descriptor unless that is negative. */
void systemd_send(const char *text, int fd);

/*
 * Listening sockets that the manager keeps for us while we are gone
 * (FileDescriptorStoreMax=, which it tells in $FDSTORE): under a name made of
 * their address, and until they are closed by us. Without it, nothing happens.
 */
void systemd_store_socket(int fd);
void systemd_forget_socket(int fd);

/*
 * The socket with this address that the manager has kept, which is the caller's
 * then; -1: there is none. What nobody took is closed and forgotten in the end.
 */
int systemd_take_stored(const struct sockaddr *addr, socklen_t len);
void systemd_drop_stored(void);

/* Whether the passed socket is one of those, and so none to be served by itself. */
#define SYSTEMD_STORED "vhu-" /* their names begin with it */
static inline bool systemd_is_stored(unsigned int idx)
{
	return strncmp(systemd_socket_name(idx), SYSTEMD_STORED, sizeof(SYSTEMD_STORED) - 1) == 0;
}

/* Pats the watchdog from the loop, if one is set; until systemd_watchdog_stop(). */
void systemd_watchdog_start(struct loop *loop);

/* stopped is called later than this call, or at once if there is no watchdog. */
void systemd_watchdog_stop(void (*stopped)(void *arg), void *arg);

/* The passed sockets for a hand-over, as a group; in place of systemd_take_sockets(). */
void systemd_save(struct handover_out *out, unsigned int tag);
void systemd_load(struct handover_in *in, unsigned int tag);

#endif
