/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the story share. */
#ifndef VHU_TRACE_STORY_PRIVATE_H
#define VHU_TRACE_STORY_PRIVATE_H

#include "trace/story/story.h"

/* A request whose reply is due. */
struct story_waiting {
	struct vhu_msg msg;
	uint64_t ns;
	bool held;		     /* not observed: it breaks a rule, and may be refused */
	bool passed;		     /* a later one was answered before it */
	struct story_memory *before; /* the map that a refusal brings back; or NULL */
	struct story_waiting *next;
};

struct session {
	struct story_session shown;
	bool ended[2];	/* by enum trace_dir */
	bool raw[2][2]; /* framing is lost; by channel and enum trace_dir */
	unsigned int n_waiting[2];
};

struct trace_story {
	struct session *sessions[STORY_MAX_SESSIONS];
	uint64_t n_records, first_ns, last_ns;
	struct vhu_msg msg;		/* of the last record */
	struct vhu_nego nego;		/* as it was before that */
	struct story_waiting *answered; /* by the last record */
};

/* NULL: no memory. Then the reply is taken for one that nobody asked for. */
struct story_waiting *story_waiting_add(struct session *session, const struct vhu_msg *m,
					uint64_t ns);

/* Takes the one at *at out of its list. */
struct story_waiting *story_waiting_take(struct session *session, struct story_waiting **at);
void story_waiting_free(struct story_waiting *w);

/*
 * The oldest one with the id of reply, or NULL. Those that were passed over are
 * the last choice: their replies are missing, or still to come.
 */
struct story_waiting **story_waiting_find(struct story_session *s, const struct vhu_msg *reply);

/* Passes over all before until; whether there were such that had not been passed over before. */
bool story_waiting_pass_over(struct story_session *s, const struct story_waiting *until);

/* Follows a record of kind MESSAGE; session may be NULL. */
void story_message(struct trace_story *story, struct session *session,
		   const struct trace_record *record, struct trace_told *told);

/* Whether msg changes the map, which it then does; fds came with it. */
bool story_memory_changes(const struct vhu_msg *msg);
void story_memory_take(struct story_memory *m, const struct vhu_msg *msg,
		       const struct fd_about *fds, size_t n_fds);

/* The ring that m names, if there can be such a ring. */
bool story_ring_named(const struct vhu_msg *m, uint32_t *ret_ring);

/* What a request, or the reply to one, says of a ring, but for its state. */
void story_ring_request(struct story_session *s, const struct vhu_msg *m);
void story_ring_reply(struct story_session *s, const struct vhu_msg *request,
		      const struct vhu_msg *reply);

/* The states of all rings, after nego has changed. */
void story_ring_states(struct story_session *s);

void story_ring_picture(struct story_session *s, const struct trace_record *record);

/* What a message is, or brings, by which a ring is kicked or called. */
void story_ring_signal(struct story_session *s, const struct trace_record *record,
		       const struct vhu_msg *m);

void story_rings_free(struct story_session *s);

#endif
