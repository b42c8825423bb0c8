/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/frontend-judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

PRINTF_LIKE(3, 4)
static void decide(struct result *r, enum verdict verdict, const char *fmt, ...)
{
	va_list ap;

	r->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
}

PRINTF_LIKE(2, 3) static void remark(struct result *r, const char *fmt, ...)
{
	size_t len = strlen(r->remark);
	va_list ap;

	if (len > 0 && len + 3 < sizeof(r->remark)) {
		memcpy(r->remark + len, "; ", sizeof("; "));
		len += 2;
	}
	va_start(ap, fmt);
	vsnprintf(r->remark + len, sizeof(r->remark) - len, fmt, ap);
	va_end(ap);
}

void frontend_judge_point(const struct frontend_case *c, const struct played *good,
			  struct result *result)
{
	const struct played_point *p =
		c->kind == FRONTEND_RULE ? &good->rules[c->number] : &good->duties[c->number];

	if (p->n_applied == 0)
		decide(result, VERDICT_NA, "nothing came to which it applies");
	else if (p->n_broken == 0)
		decide(result, VERDICT_PASS, "%s", "");
	else
		decide(result, c->warns ? VERDICT_WARN : VERDICT_FAIL, "%s", p->broken);
	if (p->n_broken > 1)
		remark(result, "%u times of %u", p->n_broken, p->n_applied);
}

static const char *name_of(uint32_t id)
{
	return vhu_msg_name(VHU_FE, id);
}

static bool is_of_channel(enum played_fault fault)
{
	return fault == FAULT_CONFIG_FLOOD ||
	       (fault >= FAULT_CHANNEL_GARBAGE && fault <= FAULT_CHANNEL_CLOSED);
}

bool frontend_case_applies(const struct frontend_case *c, const struct played *good,
			   struct result *result)
{
	uint32_t id = c->script.message;
	const struct vhu_desc *desc = vhu_desc_find(VHU_FE, id);

	if (good && is_of_channel(c->script.fault) && !good->seen[VHU_FE_SET_BACKEND_REQ_FD]) {
		decide(result, VERDICT_NA, "no back-end channel came in a good session");
		return false;
	}
	if (c->kind != FRONTEND_FAULT || id == 0 || !good || id >= ARRAY_SIZE(good->seen))
		return true;
	if (good->seen[id] == 0) {
		decide(result, VERDICT_NA, "%s did not come in a good session", name_of(id));
		return false;
	}
	if (c->script.fault < FAULT_DIE && desc && !vhu_has_own_reply(desc, &good->nego) &&
	    good->asked[id] == 0) {
		decide(result, VERDICT_NA,
		       "no acknowledgement of %s was asked for in a good session", name_of(id));
		return false;
	}
	return true;
}

bool frontend_harmed_by_close(const struct frontend_session *s)
{
	bool crashed = frontend_process_crash(&s->process) && !s->process.stopping;

	return s->after_close && (s->spins || crashed);
}

/* What ended the process, or did not: true when that is the verdict. */
static bool judge_process(const struct frontend_session *good, const struct frontend_session *s,
			  struct result *result)
{
	int sig = s->watched ? frontend_process_crash(&s->process) : 0;

	/* UML aborts whenever it is asked to end: that is no finding. */
	if (sig && s->process.stopping && frontend_process_crash(&good->process))
		sig = 0;
	if (s->excused) {
		remark(result, "%s", "the end of the connection afterwards was too much for it");
		return false;
	}
	if (sig) {
		decide(result, VERDICT_CRASH, "it was ended by signal %d (%s)", sig,
		       strsignal(sig));
		return true;
	}
	if (s->spins) {
		decide(result, VERDICT_HANG,
		       "after the connection was closed its first thread never slept, for two "
		       "seconds");
		return true;
	}
	return false;
}

static void remark_process(const struct frontend_session *s, struct result *result)
{
	if (s->ended_early && WIFEXITED(s->process.status))
		remark(result, "it ended with status %d", WEXITSTATUS(s->process.status));
}

/* What was broken in this session and not in the good one: true when that is the verdict. */
static bool judge_points(const struct played *good, const struct played *p, struct result *result)
{
	size_t n;
	const struct frontend_case *cases = frontend_cases(&n);

	for (size_t i = 0; i < n; i++) {
		const struct frontend_case *c = &cases[i];
		const struct played_point *was, *is;

		if (c->kind != FRONTEND_RULE && c->kind != FRONTEND_DUTY)
			continue;
		is = c->kind == FRONTEND_RULE ? &p->rules[c->number] : &p->duties[c->number];
		was = c->kind == FRONTEND_RULE ? &good->rules[c->number] : &good->duties[c->number];
		if (is->n_broken == 0 || was->n_broken > 0)
			continue;
		if (!c->warns) {
			decide(result, p->script.lenient ? VERDICT_WARN : VERDICT_FAIL,
			       "%.150s: %.300s", c->row.title, is->broken);
			return true;
		}
		remark(result, "not met: %s", c->row.title);
	}
	return false;
}

static bool judge_unknown_bits(const struct played *p, struct result *result)
{
	const struct played_script *s = &p->script;
	uint64_t features = s->with_features & p->nego.features;
	uint64_t protocol = s->with_protocol & p->nego.protocol &
			    ~(BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT + 1) - 1);

	if (!features && !protocol)
		return false;
	decide(result, VERDICT_FAIL,
	       "bits that have no meaning were accepted: features 0x%llx, protocol features 0x%llx",
	       (unsigned long long)features, (unsigned long long)protocol);
	return true;
}

static void remark_served(const struct played *p, struct result *result)
{
	remark(result, "served: %llu messages, %llu buffers used",
	       (unsigned long long)p->n_messages, (unsigned long long)p->n_chains);
}

static void remark_offer(const struct frontend_session *s, struct result *result)
{
	const struct played *p = s->p;

	if (p->n_chains > 0)
		remark_served(p, result);
	else if (played_rings_run(p))
		remark(result, "served: rings run, nothing in them was used");
	else
		remark(result, "declined: %s after %s, %llu messages",
		       s->left_early ? "it closed the connection" : "it stopped",
		       s->n_messages ? name_of(s->last_id) : "nothing",
		       (unsigned long long)s->n_messages);
	remark_process(s, result);
}

static void judge_offer(const struct frontend_session *good, const struct frontend_session *s,
			struct result *result)
{
	struct result broken = { 0 };

	decide(result, VERDICT_PASS, "%s", "");
	if (judge_process(good, s, result)) {
		/* A broken rule ends the connection: so it may have come to that. */
		if (judge_points(good->p, s->p, &broken))
			remark(result, "before: %.300s", broken.reason);
		return;
	}
	remark_offer(s, result);
	if (!judge_unknown_bits(s->p, result))
		judge_points(good->p, s->p, result);
}

void frontend_judge_good(const struct frontend_session *good, struct result *result)
{
	int sig = good->watched ? frontend_process_crash(&good->process) : 0;

	decide(result, VERDICT_PASS, "%s", "");
	if (sig && !good->process.stopping)
		decide(result, VERDICT_CRASH, "it was ended by signal %d (%s)", sig,
		       strsignal(sig));
	else if (good->p->n_chains == 0)
		decide(result, VERDICT_WARN, "it used no ring: little can be judged");
	remark_served(good->p, result);
	if (sig && good->process.stopping)
		remark(result, "asked to end, it ended by signal %d (%s)", sig, strsignal(sig));
	remark_process(good, result);
}

/* How a front-end took what went wrong. */
static void remark_fault(const struct frontend_session *s, struct result *result)
{
	const struct played *p = s->p;
	uint64_t more =
		s->n_messages > p->messages_at_fault ? s->n_messages - p->messages_at_fault : 0;

	if (more > 0)
		remark(result, "%llu messages followed, the last %s", (unsigned long long)more,
		       name_of(s->last_id));
	if (p->n_chains > p->chains_at_fault)
		remark(result, "%s", "rings were used afterwards");
	if (s->left_early)
		remark(result, "%s", "it closed the connection");
	else if (more == 0 && !p->died && p->n_chains == p->chains_at_fault && !s->fault_late)
		remark(result, "%s", "it kept the connection and said nothing more");
	if (s->channel_closed)
		remark(result, "%s", "it closed the back-end channel");
	if (s->again)
		remark(result, "it connected again%s",
		       s->again_ran ? ", and its rings were used" : "");
	if (s->watched && !s->ended_early && p->died)
		remark(result, "%s", "it lived on");
	remark_process(s, result);
}

/* Where the played back-end was in its right, the front-end must have gone on. */
static void judge_right(const struct frontend_session *s, struct result *result)
{
	const struct played *p = s->p;
	bool slow = p->script.fault == FAULT_SLOW;
	bool mild = slow && p->script.arg < 1000;

	if (!played_fault_is_right(p->script.fault) || s->fault_late)
		return;
	if (s->n_messages == p->messages_at_fault || s->left_early)
		decide(result, mild ? VERDICT_FAIL : VERDICT_WARN,
		       "the answer to %s was right, %s, and it did not go on",
		       name_of(p->script.message), slow ? "but late" : "but came byte by byte");
}

static void judge_unknown_request(const struct frontend_session *s, struct result *result)
{
	const struct played *p = s->p;

	if (p->script.fault != FAULT_CHANNEL_UNKNOWN || s->left_early || s->channel_closed ||
	    p->n_nacks)
		return;
	if (p->n_acks > 0)
		decide(result, VERDICT_WARN,
		       "request 200, which is none, was acknowledged as done");
	else if (vhu_nego_has_protocol(&p->nego, VHU_PF_REPLY_ACK_BIT))
		decide(result, VERDICT_WARN,
		       "request 200, which is none, was neither refused nor was the channel "
		       "closed");
}

static void judge_fault(const struct frontend_session *good, const struct frontend_session *s,
			struct result *result)
{
	if (!s->p->fault_done) {
		decide(result, VERDICT_NA, "it did not come to that: the last message was %s",
		       s->p->n_messages ? name_of(s->p->last_id) : "none");
		judge_process(good, s, result);
		return;
	}
	decide(result, VERDICT_PASS, "%s", "");
	if (judge_process(good, s, result)) {
		remark(result, "done wrong: %s", played_fault_text(s->p->script.fault));
		return;
	}
	remark_fault(s, result);
	judge_right(s, result);
	judge_unknown_request(s, result);
}

void frontend_judge_session(const struct frontend_case *c, const struct frontend_session *good,
			    const struct frontend_session *s, struct result *result)
{
	if (!s->p) {
		decide(result, VERDICT_SKIP, "no front-end connected in time");
		judge_process(good, s, result);
	} else if (c->kind == FRONTEND_OFFER) {
		judge_offer(good, s, result);
	} else {
		judge_fault(good, s, result);
	}
}
