/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back-end's program, run in other ways than --exec says. */
#ifndef VHU_CONFORM_CASE_PROGRAM_H
#define VHU_CONFORM_CASE_PROGRAM_H

#include <sys/types.h>

#include "conform/trial/trial.h"

enum { PROGRAM_TEXT_MAX = 65536, PROGRAM_FD = 3 };

/* Of a process of ours. */
struct program {
	pid_t pid;  /* 0: none; also the number of its group */
	int pidfd;  /* -1: none */
	int output; /* files with what it printed */
	int errors;
	bool ended;
	int status; /* of waitpid(), once it has ended */
};

#define PROGRAM_NONE                                                                               \
	{                                                                                          \
		.pidfd = -1, .output = -1, .errors = -1                                            \
	}
#define AUTO_PROGRAM AUTO(program_fini) struct program

/* How a process begins. */
struct program_start {
	int fd;		/* becomes its descriptor 3, unless it is 0 */
	bool silent;	/* descriptors 0 to 2 are /dev/null */
	bool powerless; /* without capabilities, and without a way to gain any */
};

/* Runs a shell's command line. how: NULL for the usual. */
int program_run(struct trial *t, struct program *p, const char *line,
		const struct program_start *how);

/* Whether it ends within ms; its status is filled in then. */
bool program_ended(struct program *p, int ms);

/* Ends it and its group, if there is any left. */
void program_fini(struct program *p);

/* What it printed: a new string, or NULL. */
char *program_text(int fd);

/*
 * The program that --exec names: a new string. Not applicable where its first
 * word is not what serves the socket, but something that starts it.
 */
int program_name(struct trial *t, char **ret_name);

/* --exec with its placeholders replaced, {socket} by path: a new string. */
int program_line(struct trial *t, const char *path, char **ret_line);

/*
 * That line with its --socket-path and value replaced by other. Not applicable
 * where there is none.
 */
int program_line_without_path(struct trial *t, const char *path, const char *other,
			      char **ret_line);

/* Where --socket-path has its value in line, and how long that is; NULL: nowhere. */
const char *program_socket_path(const char *line, size_t *ret_len);

/* A connection to a Unix socket, waited for until p ends or time runs out; -1: none. */
int program_connect(struct trial *t, struct program *p, const char *path);

#endif
