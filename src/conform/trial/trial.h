/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One case being run against a back-end: the steps that cases are made of.
 *
 * Every function that returns int gives 0, or a negative errno after the trial
 * has been given a verdict and a sentence: a case just returns it.
 */
#ifndef VHU_CONFORM_TRIAL_H
#define VHU_CONFORM_TRIAL_H

#include <stdarg.h>
#include <stdio.h>

#include "conform/devices/device.h"
#include "conform/evidence/evidence.h"
#include "conform/target/target.h"
#include "conform/verdict.h"
#include "vhu/codec.h"
#include "vhu/frontend-rings.h"

/* In a function whose last parameters are fmt and what belongs to it: the sentence, in buf. */
#define FORMAT_SENTENCE(buf, fmt)                                                                  \
	do {                                                                                       \
		va_list args;                                                                      \
		va_start(args, fmt);                                                               \
		vsnprintf(buf, sizeof(buf), fmt, args);                                            \
		va_end(args);                                                                      \
	} while (0)

enum {
	TRIAL_ANSWER_MS = 2000, /* an answer later than this is none */
	TRIAL_QUIET_MS = 200,	/* nothing for so long is silence */
	TRIAL_RING = 64,	/* entries of a ring unless a plan says otherwise */
	TRIAL_MEM = 2 << 20,	/* bytes of guest memory */
};

struct trial {
	const struct case_row *row;
	struct target *target;
	const struct device *device; /* NULL: not told */
	struct evidence *evidence;
	struct vhu_frontend fe;
	bool ack;	    /* this variant asks for acknowledgements */
	bool closed;	    /* the back-end has closed the connection, as it may */
	bool ended_allowed; /* the process may end by itself now, with status 0 or not */
	uint64_t number;    /* of the next request */
	int peer_fd;	    /* console's other side, or -1 */
	void *device_state; /* of device->prepare(); freed with free() */
	struct trial_slots {
		uint8_t *host; /* in guest memory: room for requests on their way */
		uint64_t addr;
		unsigned int n;
		bool tables; /* the ring has indirect tables */
	} slots;
	enum verdict verdict;
	char reason[512], remark[512];
};

/* For the runner. ack: the variant. The connection is trial_reconnect()'s to make. */
int trial_init(struct trial *t, const struct case_row *row, struct target *target,
	       const struct device *device, struct evidence *evidence, bool ack);
void trial_fini(struct trial *t);

/* Verdicts. Each returns a negative number. */
PRINTF_LIKE(2, 3)
int trial_fail(struct trial *t, const char *fmt, ...); /* the clause is not held */
PRINTF_LIKE(2, 3)
int trial_warn(struct trial *t, const char *fmt, ...); /* never more than a warning */
PRINTF_LIKE(2, 3) int trial_na(struct trial *t, const char *fmt, ...); /* cannot be judged here */
PRINTF_LIKE(2, 3)
int trial_error(struct trial *t, const char *fmt, ...); /* the tester's own fault */

/* Behaviour that the text leaves open, recorded with whatever verdict. Returns 0. */
PRINTF_LIKE(2, 3) int trial_remark(struct trial *t, const char *fmt, ...);

/*
 * Passes on what a function of vhu_frontend returned: 0, or a failure with
 * "<what>: <sentence of the front-end>". -ENOMEM and the like of our own are errors.
 */
PRINTF_LIKE(3, 4) int trial_step(struct trial *t, int err, const char *fmt, ...);

/* Milliseconds times --timeout-scale. */
int trial_ms(const struct trial *t, int ms);

/* Lets ms (not scaled) pass; the back-end channel is served. */
int trial_pass(struct trial *t, int ms);

/* What the target offers. */
bool trial_offers(const struct trial *t, unsigned int feature_bit);
bool trial_offers_protocol(const struct trial *t, unsigned int protocol_bit);

/* Connections. */

/* Another connection of the same front-end (its memory and rings stay); the old one is closed. */
int trial_reconnect(struct trial *t);

/* GET_FEATURES and its answer: everything sent before has been dealt with. */
int trial_ping(struct trial *t);

/* The same after what was done; the end of the connection is allowed, and sets t->closed. */
int trial_goes_on(struct trial *t, const char *what);

/* The connection must end; no message may come before. Sets closed. */
int trial_expect_close(struct trial *t);

/* No message comes for QUIET_MS. */
int trial_expect_silence(struct trial *t);

/* The handshake "HS" (SET_OWNER, features, protocol features), with all the tester knows to use. */
int trial_handshake(struct trial *t);

/* The same, accepting only these, of what is offered. Bit 30 counts among features. */
int trial_handshake_with(struct trial *t, uint64_t features, uint64_t protocol);

/* Up to SET_PROTOCOL_FEATURES: features are asked for and not accepted yet. */
int trial_handshake_protocol(struct trial *t, uint64_t protocol);

/* The features and protocol features that trial_handshake() would accept. */
uint64_t trial_features(const struct trial *t);
uint64_t trial_protocol(const struct trial *t);

/* Requests that are in order. need_reply if negotiated. */
int trial_request(struct trial *t, const struct vhu_msg *msg, struct vhu_msg *ret_reply);

/* Requests that are not in order. */

/*
 * Sends what breaks a rule and expects a refusal ("NoC"): with t->ack and
 * REPLY_ACK negotiated a nonzero acknowledgement, after which a ping is
 * answered; else the connection may go on (a ping is answered) or end. A
 * success, no answer, a process that dies: fail; a success and then the end of
 * the connection: a warning. what: "SET_VRING_NUM of 0 entries". Sets t->closed
 * when the connection ended.
 */
PRINTF_LIKE(3, 4)
int trial_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...);

/*
 * The same, but to be accepted is as good ("NoC or success"), as long as
 * framing holds. *ret_accepted (or NULL): whether it was acknowledged with 0.
 */
PRINTF_LIKE(4, 5)
int trial_survives(struct trial *t, const struct vhu_msg *msg, bool *ret_accepted, const char *fmt,
		   ...);

/* Reads the answer to a request that should have one of its own, whatever it is; -ECONNRESET in
 * *ret_closed. */
int trial_receive(struct trial *t, struct vhu_msg *ret_reply, bool *ret_closed);

/* Starts over when a refusal closed the connection: reconnects, if needed, and shakes hands. */
int trial_refresh(struct trial *t);

/* Helpers for messages. need_reply is set when t->ack and REPLY_ACK is negotiated. */
void trial_msg(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id);
void trial_msg_u64(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		   uint64_t value);
void trial_msg_vring(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		     uint32_t idx, uint32_t num);

/* Rings that run, and data through them. */

/* How to set up; zero members mean the usual. */
struct trial_plan {
	uint64_t without_features; /* not accepted though offered */
	uint64_t without_protocol;
	uint64_t with_features; /* accepted, if offered, besides trial_features() */
	uint64_t with_protocol;
	unsigned int ring_size; /* TRIAL_RING */
	enum vhu_call_kind call;
	const struct vhu_region
		*regions; /* guest memory; NULL: one region of TRIAL_MEM at an offset */
	unsigned int n_regions;
	bool only_ring;	 /* the device's request ring alone, not all */
	bool no_kick;	 /* everything but SET_VRING_KICK */
	bool no_enable;	 /* everything but SET_VRING_ENABLE */
	bool not_ready;	 /* with STATUS: not DRIVER_OK yet */
	bool no_prepare; /* device->prepare() is not called */
	uint16_t base;	 /* index that the request ring starts from, in ring memory, too */
};

/* Handshake, memory, rings, driver ready, device prepared. plan: NULL for the usual. */
int trial_boot(struct trial *t, const struct trial_plan *plan);

/* Its parts, for cases that do something in between. */
int trial_make_memory(struct trial *t,
		      const struct trial_plan *plan); /* memory and rings of ours, no message */
int trial_send_memory(struct trial *t);		      /* SET_MEM_TABLE */
int trial_start_ring(struct trial *t, unsigned int idx,
		     const struct trial_plan *plan);		       /* NUM ... ENABLE */
int trial_start_rings(struct trial *t, const struct trial_plan *plan); /* all of the plan */
int trial_prepare(struct trial *t); /* device->prepare(), if it has any */
int trial_driver_ready(struct trial *t,
		       const struct trial_plan *plan);	       /* status, trial_prepare() */
int trial_run(struct trial *t, const struct trial_plan *plan); /* these three */

/* The ring that requests go through. */
unsigned int trial_ring(const struct trial *t);

/* How a request's bytes lie in descriptors. */
struct trial_layout {
	const uint32_t *out, *in; /* lengths of the descriptors; the last one takes the rest */
	unsigned int n_out, n_in; /* 0: one each, if there are bytes */
	bool indirect;
};

/* n requests one after the other, each answered in time and rightly. */
int trial_exchange(struct trial *t, unsigned int n);

/* The same with bytes that lie so. */
int trial_exchange_as(struct trial *t, const struct trial_layout *layout, unsigned int n);

/* A request that is on its way; bufs in guest memory. */
struct trial_request {
	struct device_request r;
	uint64_t out_addr, in_addr;
	uint8_t *out_host, *in_host; /* where they are here */
	uint16_t head;		     /* once it is back: the id of its used entry */
};

/* Makes a request and offers its chain, unpublished. layout: NULL for one descriptor each way. */
int trial_offer(struct trial *t, const struct trial_layout *layout,
		struct trial_request *ret_request);

/* Publishes and kicks as the driver must. */
int trial_publish(struct trial *t);

/* Until the next used entry, which must be this request's, rightly answered. */
int trial_answered(struct trial *t, struct trial_request *request);

/* No used entry, call, err or channel message for QUIET_MS on ring idx. */
int trial_quiet(struct trial *t, unsigned int idx);

/* The ring stops: GET_VRING_BASE. */
int trial_stop_ring(struct trial *t, unsigned int idx, uint16_t *ret_base);

/* All of them, and calls are taken; each starts again where the device has stopped it. */
int trial_stop_rings(struct trial *t);

/* Open descriptors of the back-end's process, but for what every session costs; not applicable
 * when they cannot be seen. */
int trial_n_fds(struct trial *t, int *ret_n);

#endif
