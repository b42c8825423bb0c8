/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The session ends with every kind of operation under way, and while a message
 * waits for its rings to be silent. Nothing is touched afterwards, the same guest
 * or another one goes on, and no byte of a port that holds is lost or doubled:
 * VU-232, VU-233, VU-235, VC-062, VC-089
 */
#include "quiesce_messages.h"

/* The guest and its rings are as they were, behind a new connection. */
static void reconnect(uint64_t protocol)
{
	rig_connect(rig);
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		rig->fe.rings[i].base = driverq_base(&rig->fe.rings[i].q);
	q_ok(q_negotiate(protocol, q_features));
	q_ok(vhu_frontend_set_mem_table(&rig->fe, 0, true));
	q_ok(q_start_rings());
}

/* VU-232, VU-233: with something under way, and then the same guest or another one. */
static void end_while_held(const struct hold *h, bool same_guest)
{
	uint64_t protocol = q_protocol | h->protocol;
	struct span before[SPANS_MAX];
	unsigned int n_before, n_fds;

	snprintf(q_label, sizeof(q_label), "end with %s, then %s guest", h->name,
		 same_guest ? "the same" : "another");
	q_begin_host(h->pty);
	n_fds = fd_count_open();
	q_begin_session(protocol, q_features);
	q_finish(Q_SLOT_LEN);
	h->begin();
	n_before = q_find_mappings(before);
	rig_disconnect(rig);
	canary_fill_freed(before, n_before);
	q_check(n_before > 0 && canary_n_gone == n_before);
	canary_fill(CANARY_ALL);
	let_go();
	canary_check();
	forget_held();
	if (same_guest) {
		reconnect(protocol);
		q_finish(6000);
		rig_disconnect(rig);
	}
	check_end(n_fds);
	expect_service(n_fds);
	q_end_host();
}

static void session_may_end_with_anything_under_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(holds); i++) {
		end_while_held(&holds[i], true);
		end_while_held(&holds[i], false);
	}
	print_message("%zu operations under way\n", ARRAY_SIZE(holds));
}

static int wait_for_nothing(void *arg)
{
	(void)arg;
	return -EINTR;
}

/*
 * The message is sent, and the session over some iterations later, from outside
 * or from inside: before, while or after its rings are silenced for it.
 */
static void end_unanswered(const struct quiet_case *c, const struct hold *h, uint64_t protocol,
			   unsigned int n_steps, bool inside)
{
	struct span before[SPANS_MAX];
	unsigned int n_before;

	q_begin_session(protocol | h->protocol, q_features);
	q_finish(Q_SLOT_LEN);
	h->begin();
	n_before = q_find_mappings(before);
	rig->fe.pump = wait_for_nothing;
	q_check(c->send(h->flow->idx) == -EINTR);
	for (unsigned int i = 0; i < n_steps; i++)
		q_ok(loop_step(rig->loop, false));
	if (inside)
		vhu_backend_close(rig->b, LOG_LEVEL_INFO, NULL);
	vhu_frontend_disconnect(&rig->fe);
	rig_await_end(rig);
	canary_fill_freed(before, n_before);
	canary_fill(CANARY_ALL);
	let_go();
	canary_check();
	forget_old();
}

static void session_may_end_before_a_message_is_answered(void **state)
{
	uint64_t offered = offered_protocol(), protocol;
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct quiet_case *c = &cases[i];

		if (!find_gate(vhu_desc_find(VHU_FE, c->id), offered, &protocol))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(holds); k++, n++) {
			unsigned int n_fds;

			label_case(c, holds[k].name);
			q_begin_host(holds[k].pty);
			n_fds = fd_count_open();
			end_unanswered(c, &holds[k], protocol, n % 4, n / 4 % 2);
			check_end(n_fds);
			expect_service(n_fds);
			q_end_host();
		}
	}
	print_message("%u ends\n", n);
}

static int teardown(void **state)
{
	forget_old();
	return q_teardown(state);
}

#define END_TEST(f) UNIT_TEST_WITH(f, q_setup, teardown)

static const struct CMUnitTest tests[] = {
	END_TEST(session_may_end_with_anything_under_way),
	END_TEST(session_may_end_before_a_message_is_answered),
};
UNIT_MAIN(tests)
