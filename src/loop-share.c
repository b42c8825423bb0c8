/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-share.h"

#include "clock.h"
#include "loop-fair.h"
#include "loop-private.h"

void share_init(struct share *s, struct loop *loop, void (*rested)(struct share *s))
{
	*s = (struct share){ .loop = loop, .rested = rested };
	list_init(&s->link);
}

void share_fini(struct share *s)
{
	list_remove(&s->link);
	s->loop = NULL;
}

/* Time pays back a part of itself. */
static void settle(struct share *s, uint64_t now)
{
	s->debt_ns -= min_u64(s->debt_ns, (now - s->settled_ns) / SHARE_PART);
	s->settled_ns = now;
}

static void charge_at(struct share *s, uint64_t ns, uint64_t now)
{
	settle(s, now);
	s->debt_ns += ns;
	if (s->debt_ns <= SHARE_CREDIT_NS || !s->loop)
		return;
	s->rests_until_ns = now + (s->debt_ns - SHARE_CREDIT_NS) * SHARE_PART;
	if (list_empty(&s->link))
		list_append(&s->loop->resting, &s->link);
}

void share_charge(struct share *s, uint64_t ns)
{
	charge_at(s, ns, monotonic_ns());
}

void share_charge_since(struct share *s, uint64_t begin_ns, uint64_t extra_ns)
{
	uint64_t now = monotonic_ns();

	if (s->loop)
		charge_at(s, loop_cost(s->loop, now - begin_ns) + extra_ns, now);
}

static void end_rest(struct share *s)
{
	list_remove(&s->link);
	s->rested(s);
}

/* Who is let go on because the loop is idle owes nothing for that. */
bool loop_end_rests(struct loop *loop, bool idle)
{
	struct list_node batch;
	uint64_t now;
	bool any = false;

	if (list_empty(&loop->resting))
		return false;
	now = monotonic_ns();
	list_init(&batch);
	list_splice(&batch, &loop->resting);
	while (!list_empty(&batch)) {
		struct share *s = list_first(&batch, struct share, link);

		if (now < s->rests_until_ns && !idle) {
			list_remove(&s->link);
			list_append(&loop->resting, &s->link);
			continue;
		}
		if (now < s->rests_until_ns) {
			idle = false;
			s->debt_ns = SHARE_CREDIT_NS;
			s->settled_ns = now;
		}
		any = true;
		end_rest(s);
	}
	return any;
}
