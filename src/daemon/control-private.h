/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the control socket share. */
#ifndef VHU_DAEMON_CONTROL_PRIVATE_H
#define VHU_DAEMON_CONTROL_PRIVATE_H

#include <json-c/json.h>

#include "backends/stream.h"
#include "daemon/control.h"
#include "listener.h"
#include "log.h"

/*
 * A connection. Requests are looked at one after the other while few answers
 * wait to be read; so what a client can make us keep is its line, those
 * answers, and one more, of whatever length.
 */
struct control_client {
	struct list_node link;
	struct control *control;
	struct stream stream;
	int fd;
	char by[48]; /* for the log */
	char in[CONTROL_LINE_MAX + 1];
	size_t in_len, in_done, in_scanned; /* bytes there; answered; without a line's end */
	char *out;			    /* answers not written yet */
	size_t out_len, out_done, out_cap;
	struct json_object *held; /* the answer, if an upgrade that was asked for is made */
	bool input_over;	  /* nothing more will come */
	bool over;		  /* no request counts any more */
	bool closing;
};

struct control {
	struct control_args args;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": the socket has no file */
	struct peer_rules allow;
	struct listener listener;
	struct list_node clients;
	unsigned int n_clients;
	struct log_limit limit;
	bool listening, closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

extern const struct stream_ops control_stream_ops;
listener_accept_fn control_accepted;

/* Adds an answer (taken) to what is to be written. */
void control_put_answer(struct control_client *client, struct json_object *answer);

#endif
