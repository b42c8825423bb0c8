/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packed rings: calls and kicks, and lists that break the rules. */
#include <errno.h>

#include "clock.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-packed.h"

enum { SPIN_NS = 60000 };

static const struct packed_position origin = { .offset = 0, .wrap = true };

static int boot(struct trial *t, bool events, struct packed *ret_p)
{
	const struct packed_plan plan = { .without_features = events ? 0 : RING_EVENT };
	int err = packed_boot(t, &plan, ret_p);

	if (err == 0)
		ring_settle(t);
	return err;
}

/* One request from position *at on, and *at behind it; nothing is done about calls. */
static int round_at(struct packed *p, struct packed_position *at)
{
	static const uint16_t ids[] = { 3, 3 };
	struct packed_desc desc = { .id = 0 };
	unsigned int n = 0;
	int err = packed_write(p, *at, 0, 2, ids, &n);

	if (err == 0)
		err = trial_kick(p->t, p->idx);
	if (err == 0)
		err = packed_await(p, *at, &desc);
	if (err == 0)
		err = packed_judge(p, &desc, 0, 3);
	*at = packed_advance(&p->q->ring, *at, n);
	return err;
}

static int called_with(struct trial *t, bool events, uint16_t flags, const char *after)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position at = origin;
	int err = boot(t, events, &p);

	for (unsigned int i = 0; i < 10 && err == 0; i++) {
		packed_event_store(
			p.q->ring.driver_event,
			(struct packed_event){ .offset = 40, .wrap = 0, .flags = flags });
		err = round_at(&p, &at);
		if (err == 0)
			err = ring_called(t, after);
		ring_settle(t);
	}
	return err;
}

int case_packed_call_enable(struct trial *t)
{
	return called_with(t, true, PACKED_EVENT_ENABLE, "a request with calls enabled");
}

int case_packed_call_reserved(struct trial *t)
{
	return called_with(t, true, PACKED_EVENT_RESERVED, "a request with event flags 3");
}

int case_packed_call_unevented(struct trial *t)
{
	return called_with(t, false, PACKED_EVENT_DESC,
			   "a request with a position, without EVENT_IDX");
}

int case_packed_call_disable(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position at = origin;
	int err = boot(t, true, &p);

	if (err < 0)
		return err;
	driverq_packed_calls_off(p.q);
	for (unsigned int i = 0; i < 10 && err == 0; i++)
		err = round_at(&p, &at);
	return err < 0 ? err : ring_not_called(t, "10 requests with calls disabled");
}

/* The first request takes the call that may be one too many. */
int case_packed_call_position(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position at = origin, event;
	int err = boot(t, true, &p);

	if (err == 0)
		err = round_at(&p, &at);
	if (err < 0)
		return err;
	ring_settle(t);
	event = packed_advance(&p.q->ring, at, (at.offset) * 2u);
	packed_event_store(p.q->ring.driver_event, (struct packed_event){
							   .offset = event.offset,
							   .wrap = event.wrap,
							   .flags = PACKED_EVENT_DESC,
						   });
	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = round_at(&p, &at);
	if (err == 0 && vhu_frontend_take_calls(&t->fe, p.idx))
		trial_remark(t, "a call comes before the position is passed");
	if (err == 0)
		err = round_at(&p, &at);
	return err < 0 ? err : ring_called(t, "the third request, with the event at its position");
}

static void spin(uint64_t ns)
{
	uint64_t end = monotonic_ns() + ns;

	while (monotonic_ns() < end)
		;
}

/*
 * Calls are asked for at the next position, and relied upon: at any moment from
 * before the device looks to after it has answered.
 */
static int wait_for_calls(struct trial *t, bool events)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	uint64_t state = 7;
	unsigned int which;
	int err = boot(t, events, &p);

	for (unsigned int i = 0; i < 20000 && err == 0; i++) {
		err = packed_offer(&p, 0, 2, false);
		if (err == 0)
			err = packed_publish(&p);
		spin(ring_random(&state) % SPIN_NS);
		if (err == 0)
			err = packed_collect(&p, &which);
	}
	return err;
}

int case_packed_call_lost(struct trial *t)
{
	return wait_for_calls(t, false);
}

int case_packed_call_lost_event(struct trial *t)
{
	return wait_for_calls(t, true);
}

static int check_device_event(struct packed *p, bool events)
{
	struct packed_event e = packed_event_load(p->q->ring.device_event);

	if (e.flags > (events ? PACKED_EVENT_DESC : PACKED_EVENT_DISABLE))
		return trial_fail(
			p->t,
			"the device's event suppression %s EVENT_IDX: expected flags of at "
			"most %d, but they are %#x",
			events ? "with" : "without",
			events ? PACKED_EVENT_DESC : PACKED_EVENT_DISABLE, e.flags);
	if (e.flags == PACKED_EVENT_DESC && e.offset >= p->q->ring.size)
		return trial_fail(
			p->t,
			"the device's event suppression: expected a position in a ring of "
			"%u, but it is %u",
			p->q->ring.size, e.offset);
	return 0;
}

/* Kicks that the device asks for, and no others. */
static int obey(struct trial *t, bool events)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	uint64_t state = 9;
	int err = boot(t, events, &p);

	for (unsigned int done = 0; done < 10000 && err == 0;) {
		unsigned int n = 1 + ring_random(&state) % 8;

		err = packed_burst(&p, n, 2, false);
		if (err == 0)
			err = check_device_event(&p, events);
		done += n;
	}
	return err;
}

int case_packed_kick_obeyed(struct trial *t)
{
	return obey(t, false);
}

int case_packed_kick_obeyed_event(struct trial *t)
{
	return obey(t, true);
}

/* Faults. */

/* After a fault nothing is used, the back-end answers, and a fresh ring works. */
static int stops(struct packed *p, const char *what)
{
	struct packed_position used = origin;
	uint32_t base;
	int err = trial_kick(p->t, p->idx);

	if (err == 0)
		err = trial_step(p->t,
				 vhu_frontend_pass_time(&p->t->fe, trial_ms(p->t, TRIAL_QUIET_MS)),
				 "%s", what);
	if (err == 0 && packed_is_used(packed_desc_flags(&p->q->ring, used.offset), used.wrap))
		trial_remark(p->t, "%s comes back", what);
	if (err == 0)
		err = trial_ping(p->t);
	if (err == 0)
		err = packed_stop(p, &base);
	driverq_packed_set_position(p->q, origin);
	if (err == 0)
		err = packed_start(p, driverq_packed_base(p->q));
	return err < 0 ? err : packed_exchange(p, 3);
}

/* A request, of which a case makes descriptors from the first on. */
static int boot_for_fault(struct packed *p, struct hand_cut *ret_cut)
{
	int err = packed_boot(p->t, NULL, p);

	return err < 0 ? err : hand_make(&p->h, 0, 2, ret_cut);
}

/* Entry i of the ring becomes available: d, in the direction of the request's first piece. */
static void spoil(struct packed *p, unsigned int i, const struct hand_cut *cut,
		  struct packed_desc d)
{
	uint16_t direction = hand_flags(cut, 0) & PACKED_DESC_F_WRITE;

	packed_desc_store_body(&p->q->ring, i, d);
	packed_desc_store_flags(&p->q->ring, i,
				(uint16_t)(direction | d.flags | PACKED_DESC_F_AVAIL));
}

int case_packed_fault_endless(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct hand_cut cut;
	int err = boot_for_fault(&p, &cut);

	if (err < 0)
		return err;
	for (unsigned int i = TRIAL_RING; i-- > 0;)
		spoil(&p, i, &cut,
		      (struct packed_desc){
			      .addr = cut.bufs[0].addr,
			      .len = 1,
			      .flags = PACKED_DESC_F_NEXT,
		      });
	return stops(&p, "a list of the whole ring that goes on");
}

int case_packed_fault_indirect(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct hand_cut cut;
	int err = boot_for_fault(&p, &cut);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < cut.n; i++)
		packed_table_store(p.tables, i,
				   (struct packed_desc){
					   .addr = cut.bufs[i].addr,
					   .len = cut.bufs[i].len,
					   .flags = i >= cut.n_out ? PACKED_DESC_F_WRITE : 0,
				   });
	packed_desc_store_body(&p.q->ring, 1,
			       (struct packed_desc){ .addr = p.tables_addr, .len = cut.n * 16 });
	packed_desc_store_flags(&p.q->ring, 1, PACKED_DESC_F_INDIRECT | PACKED_DESC_F_AVAIL);
	spoil(&p, 0, &cut,
	      (struct packed_desc){
		      .addr = cut.bufs[0].addr,
		      .len = 1,
		      .flags = PACKED_DESC_F_NEXT,
	      });
	return stops(&p, "a list with INDIRECT in it");
}

int case_packed_fault_nowhere(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct hand_cut cut;
	int err = boot_for_fault(&p, &cut);

	if (err < 0)
		return err;
	spoil(&p, 0, &cut, (struct packed_desc){ .addr = 0x10, .len = 64 });
	return stops(&p, "a buffer outside guest memory");
}
