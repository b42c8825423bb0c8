/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the protocol allows, as rows of rules.def, and the state of negotiation
 * that it depends on. The daemon refuses by these rules, a tracer annotates by
 * them and a tester expects by them. Pure: no I/O.
 */
#ifndef VHU_VHU_RULES_H
#define VHU_VHU_RULES_H

#include "vhu/proto.h"

enum vhu_severity {
	VHU_NOTE,   /* worth recording, to be accepted */
	VHU_REFUSE, /* not to be executed: negative acknowledgement if asked for, else close */
	VHU_CLOSE,  /* framing is lost or the text wants it: close */
};

/* VHU_OK, then VHU_RULE_<NAME>: the rule that a message breaks. */
enum vhu_rule {
	VHU_OK = 0,
#define RULE(NAME, severity, text, ref) VHU_RULE_##NAME,
#include "vhu/rules.def"
	VHU_N_RULES,
};

/* What a ring has been given. */
struct vhu_nego_ring {
	bool num_set : 1;
	bool addr_set : 1;
	bool base_set : 1;
	bool kick_set : 1; /* started, by SET_VRING_KICK or VRING_KICK, and not stopped since */
	bool call_set : 1; /* a call descriptor is in force */
	bool enabled : 1;
	uint16_t num; /* at most 32768 */
};

/*
 * The state of one connection. Changed by vhu_observe() only, except that a
 * back-end, which knows what it offers without being asked, fills in the
 * offered_, n_queues and max_queue_size members after vhu_nego_init().
 */
struct vhu_nego {
	uint64_t offered_features;
	uint64_t features;
	bool features_set;
	uint64_t offered_protocol;
	uint64_t protocol;
	bool protocol_set;
	bool owner;
	unsigned int n_queues;	     /* 0: unknown */
	unsigned int max_queue_size; /* 0: unknown */
	struct vhu_nego_ring ring[VHU_MAX_RINGS];
};

/* Nothing offered, nothing accepted, nothing known. */
void vhu_nego_init(struct vhu_nego *n);

/* Whether a feature, or protocol feature, has been accepted. */
bool vhu_nego_has_feature(const struct vhu_nego *n, unsigned int bit);
bool vhu_nego_has_protocol(const struct vhu_nego *n, unsigned int bit);

/*
 * A request's header alone, before its payload is read: VHU_OK or a rule of
 * severity CLOSE. An unknown id of bounded size is no error here, so that its
 * payload is drained.
 */
enum vhu_rule vhu_check_header(const struct vhu_nego *n, const struct vhu_msg *m);

/* A reply's header alone, before its payload is read: VHU_OK or a rule of severity CLOSE. */
enum vhu_rule vhu_check_reply_header(const struct vhu_msg *m);

/*
 * A whole request, its header already checked: the worst rule that it breaks,
 * or VHU_OK. A rule of severity NOTE is for the log: the request is good.
 */
enum vhu_rule vhu_check_request(const struct vhu_nego *n, const struct vhu_msg *m);

/*
 * A reply to request, in the state after that request was observed. That an
 * acknowledgement says "failed" is no broken rule; nor is the empty reply by
 * which GET_CONFIG reports an error.
 */
enum vhu_rule vhu_check_reply(const struct vhu_nego *n, const struct vhu_msg *request,
			      const struct vhu_msg *reply);

/*
 * Takes over what an accepted request changes, or what a reply teaches (the
 * offered sets and the number of rings).
 */
void vhu_observe(struct vhu_nego *n, const struct vhu_msg *m);

/*
 * Whether a request is answered. To be asked after vhu_observe(): the request
 * that accepts REPLY_ACK is already acknowledged.
 */
bool vhu_reply_due(const struct vhu_nego *n, const struct vhu_msg *m);

/* Whether the row has a reply of its own, one that need_reply does not change. */
bool vhu_has_own_reply(const struct vhu_desc *desc, const struct vhu_nego *n);

/* About a rule: its name in capitals, what was expected in one sentence, the clauses behind it. */
const char *vhu_rule_name(enum vhu_rule rule);
const char *vhu_rule_text(enum vhu_rule rule);
const char *vhu_rule_ref(enum vhu_rule rule);

/* VHU_NOTE for VHU_OK. */
enum vhu_severity vhu_rule_severity(enum vhu_rule rule);

#endif
