/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A test of daemons as processes: its end when something is wrong, random numbers, daemons. */
#ifndef VHU_TESTS_RUN_H
#define VHU_TESTS_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "vhu/frontend.h"

enum {
	RUN_WAIT_MS = 10000, /* for whatever must happen */
	RUN_MAX_PORTS = 64,
	RUN_MAX_WORDS = 512,
};

/* Everything that is random follows from seed, which is shown when the test fails. */
void run_begin(uint64_t seed);
uint64_t run_random(void);

/* Nothing can go on: says so as TAP, ends the daemons, leaves. */
__attribute__((noreturn)) PRINTF_LIKE(1, 2) void die(const char *fmt, ...);

/*
 * In a child of the test: daemons are its parent's, and what die() has to say is told by
 * tell() instead.
 */
void run_be_child(void (*tell)(const char *sentence));

/* Something else that must end when the test dies: children. */
void run_on_death(void (*end)(void));

/* Dies if err is negative, with what the front-end expected. */
void must(const struct vhu_frontend *fe, int err, const char *what);

/* A daemon with port 0, a console without anybody, and ports that hold, each a Unix socket. */
struct run_daemon {
	const char *program;
	const char *config;	    /* a file that says all about devices; NULL: as above */
	const char *option, *value; /* one more of the command line; NULL: none */
	char dir[64];		    /* of its sockets and other files, made by daemon_make() */
	char socket[100], control[100];
	char log[100]; /* what it says */
	unsigned int n_ports, max_ports;
	const char *const *words; /* NULL: as above; else what it serves, as its command line */
	bool controlled;	  /* it has a control socket */
	pid_t pid;		  /* 0: it does not run */
};

/* It has been waited for: its folder goes, too. */
void daemon_forget(struct run_daemon *d);

/* Its folder and the names in it. */
void daemon_make(struct run_daemon *d, const char *name);
void daemon_remove(struct run_daemon *d);

/* The socket of port id, at least 128 bytes. */
void daemon_port_path(const struct run_daemon *d, unsigned int id, char *ret_path);

/* Starts it; returns a connection of a front-end, once it serves. */
int daemon_start(struct run_daemon *d);

/* A connection that the running process itself has made, or -1. It does not block. */
int daemon_dial(const struct run_daemon *d, const char *path);

/* The same, waited for. */
int daemon_dial_patiently(const struct run_daemon *d, const char *path);

/* Ends it by SIGKILL or SIGTERM; anything but the end that this brings is a failure. */
void daemon_signal(struct run_daemon *d, int signo);

/* Ends it as a crash would; that it has ended by itself is a failure. */
void daemon_kill(struct run_daemon *d);

/* One request on its control socket, JSON; the answer is one line, static storage. */
PRINTF_LIKE(2, 3)
const char *daemon_ask(struct run_daemon *d, const char *fmt, ...);

/* Whether its log has text beyond *at, which moves behind all that is there. */
bool daemon_said(const struct run_daemon *d, const char *text, long *at);

#endif
