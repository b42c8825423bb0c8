/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The back-end under test: how it is started and reached, what it offers, how
 * it ended.
 */
#ifndef VHU_CONFORM_TARGET_H
#define VHU_CONFORM_TARGET_H

#include <sys/types.h>

#include "options.h"
#include "vhu/rules.h"

enum target_end {
	TARGET_RUNS,	 /* or is not ours to watch */
	TARGET_EXITED,	 /* by itself, with a status */
	TARGET_SIGNALED, /* by a signal */
};

enum {
	TARGET_STATUS_UNKNOWN = -1, /* of a process that is not our child */
	TARGET_START_MS = 10000,    /* until a process that we started listens */
	TARGET_REACH_MS = 2000,	    /* until a socket that is not there (any more) is back */
	TARGET_SERVE_MS = 500,	    /* a connection that is not answered so long has to wait */
	TARGET_STOP_MS = 2000,	    /* from SIGTERM to SIGKILL */
	TARGET_ACT_MS = 10000,	    /* for a command of --do */
};

/* What the back-end says of itself, asked once before the first case. */
struct target_info {
	uint64_t features, protocol;
	unsigned int n_rings; /* GET_QUEUE_NUM; without MQ what the device needs at least */
	uint64_t max_slots;   /* 0: not offered */
	uint32_t config_len;  /* bytes of config that could be read, 0: none */
	uint8_t config[256];
	bool persistent;   /* answers another front-end after one has left */
	bool parallel;	   /* answers on a second connection while one is open */
	bool closes_early; /* closes unanswered what connects while a session is being ended */
	int lost_fds;	   /* descriptors that every plain session leaves open */
};

struct target {
	/* As on the command line. Borrowed. */
	const char
		*socket; /* or NULL; with exec: where it will be, else a path of the tester's own */
	const char *exec; /* or NULL */
	int connect_fd;	  /* -1: none; used up by the first connection */
	const char *peer; /* address of a console's other side, with placeholders; or NULL */
	struct option_texts actions; /* "NAME=COMMAND" */
	double timeout_scale;	     /* 0 means 1 */

	char *dir;	  /* temporary folder for {dir}; made by target_init() if there is exec */
	int output_fd;	  /* what the process prints, a file of the folder; -1: our stderr */
	char *path;	  /* of the socket in use; NULL with connect_fd */
	pid_t pid;	  /* of who listens; 0: not known */
	int pidfd;	  /* of child, or else of pid; -1: none */
	int server_fd;	  /* pidfd of pid, where child is only what started it; -1: none */
	pid_t child;	  /* that we started, and have not waited for; 0: none */
	bool started;	  /* there is a child */
	bool visible;	  /* its process can be looked at; found out by target_probe() */
	bool stopped;	  /* it has ended because target_stop() told it to */
	bool stubborn;	  /* it took SIGKILL once: no more patience */
	bool interrupted; /* start nothing more */
	int n_sessions;	  /* connections that this process has been given */
	int idle_fds;	  /* target_n_fds() when nobody is connected; -1: not known */
	enum target_end end;
	int end_status; /* exit status or signal */
	struct target_info info;
	char error[256];
};

/* Zero, and target_fini() is due; or a negative errno with a sentence in error. */
int target_init(struct target *target);
void target_fini(struct target *target);

/* A deadline of the program times --timeout-scale. */
int target_ms(const struct target *target, int ms);

/*
 * Starts the process (if it is ours to start) and waits until its socket takes
 * a connection, which is kept for target_connect(): there are back-ends that
 * serve only one.
 */
int target_start(struct target *target);

/*
 * A new connection. -ECONNREFUSED, -ENOENT and the like with a sentence in
 * error; before that a socket that is gone has TARGET_REACH_MS to come back.
 */
int target_connect(struct target *target, int *ret_fd);

/*
 * Descriptors of the process, less those that plain sessions have cost it: what
 * is done in a session is not to blame for them. Negative: not known.
 */
int target_n_fds(const struct target *target);

/* Closes the connection that target_start() has made, unless it was used. */
void target_drop_spare(struct target *target);

/* Whether it has ended; waits up to ms for it. Fills end and end_status. */
bool target_ended(struct target *target, int ms);

/* "signal 11 (Segmentation fault)", "status 1" of a process that has ended. */
const char *target_describe_end(const struct target *target, char buf[64]);

/* The last bytes, at most size, of what the process printed: a new string, or NULL. NUL is '?'. */
char *target_output(const struct target *target, size_t size);

/* What was printed up to now is of no interest any more. */
void target_forget_output(const struct target *target);

/* Whether what it printed says that a sanitizer or a run-time check stopped it, and that line. */
bool target_output_tells_crash(const struct target *target, char line[160]);

/* Ends it, if it is ours: SIGTERM, then SIGKILL. Returns 0 or -ETIMEDOUT when it took SIGKILL. */
int target_stop(struct target *target);

/* Runs the command of action NAME with {dir}, {socket} and words NAME=VALUE (NULL-terminated)
 * replaced. */
int target_act(struct target *target, const char *name, const char *const *words);
bool target_has_action(const struct target *target, const char *name);

/* The other side of a console: a connected, nonblocking stream socket. */
int target_connect_peer(struct target *target, int *ret_fd);

/*
 * Fills target->info and idle_fds; the process is left running. An error only
 * if it cannot be reached or does not answer GET_FEATURES. What else it
 * refuses is taken for not there.
 */
int target_probe(struct target *target, unsigned int device_min_rings);

/* Leaves it without connections until it is idle: fills idle_fds anew. */
void target_rest(struct target *target);

/* Replaces {dir}, {socket} and given words: a new string, or NULL. */
char *target_expand(const struct target *target, const char *text, const char *const *words);

/* Of target*.c alone: the sentence of error; returns err. */
PRINTF_LIKE(3, 4) int target_fail(struct target *target, int err, const char *fmt, ...);

/* What a connection showed that was closed unanswered: it was no session. */
void target_closes_early(struct target *target);

/* Of target*.c alone: GET_FEATURES on a new connection. 0, -ECONNRESET, -ETIMEDOUT and the like. */
int target_ask(const struct target *target, int fd, int ms);

/* The same: waits for the socket, keeps the connection, and learns who listens. */
int target_reach(struct target *target, int ms);

/* The same: listener is the process to look at; 0: not known. */
void target_watch(struct target *target, pid_t listener);

/* The same: runs a shell's command to its end. */
int target_run(struct target *target, const char *script);

/* The same: a connection to path; no waiting but for a full backlog. fd or -errno. */
int target_dial(const char *path, int ms);

/* The same: readable within ms. */
bool target_wait_fd(int fd, int ms);

#endif
