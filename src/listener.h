/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Listening sockets: making them, and accepting from them on the loop. */
#ifndef VHU_LISTENER_H
#define VHU_LISTENER_H

#include <sys/un.h>

#include "loop.h"

struct listener;

/* A connection has come; the callee owns fd. */
typedef void listener_accept_fn(struct listener *l, int fd);

struct listener {
	struct scope scope;
	struct op accept;
	struct timer pause; /* before the next try, when no descriptor was left, or to rest */
	uint64_t rest_ns;   /* that are to be rested as soon as accepting has stopped; 0: not */
	bool failing;	    /* said already that accepting fails */
	bool held;	    /* nothing more is accepted for now */
	int fd;
	listener_accept_fn *accepted;
	void (*closed)(struct listener *l);
	const char *who;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": not a path of ours */
	dev_t dev; /* of the socket file, so that only ours is removed */
	ino_t ino;
};

/*
 * A Unix socket bound to path, where nobody can connect before listener_listen():
 * time to give the file another mode, than what the umask leaves of 0660, and owner. A file left
 * behind by a dead server is replaced; a live server's never. Returns the fd (close-on-exec), or
 * -errno with one sentence in why.
 */
int listener_unix_bind(const char *path, char *ret_why, size_t why_cap);

/* Listens on a bound socket (lent); where names it in the sentence. Zero or -errno. */
int listener_listen(int fd, const char *where, char *ret_why, size_t why_cap);

/* Both of these, with the mode that the umask leaves of 0660. */
int listener_unix_socket(const char *path, char *ret_why, size_t why_cap);

/* A listening Unix socket in the abstract namespace; name is without the "@". */
int listener_abstract_socket(const char *name, char *ret_why, size_t why_cap);

/*
 * A listening TCP socket at addr, which where names. may_wait: a part of a second
 * is spent on an address whose user was killed a moment ago. Returns the fd, or
 * -errno with a sentence.
 */
int listener_tcp_socket(const struct sockaddr *addr, socklen_t addr_len, bool may_wait,
			const char *where, char *ret_why, size_t why_cap);

/*
 * Accepts on fd (taken) until listener_close(). path is the Unix socket's file,
 * removed at the end if it is still ours; NULL for any other socket. who is
 * lent and prefixes log lines.
 */
void listener_start(struct listener *l, struct loop *loop, int fd, const char *path,
		    const char *who, listener_accept_fn *accepted);

/*
 * Accepts nothing for that long, but for one connection that may be on its way;
 * others wait with the kernel.
 */
void listener_rest(struct listener *l, uint64_t ns);

/* Whether connections wait in the kernel's queue; one more may come after the beginning. */
void listener_hold(struct listener *l, bool hold);

/* Always calls closed, later than this call. */
void listener_close(struct listener *l, void (*closed)(struct listener *l));

#endif
