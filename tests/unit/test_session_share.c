/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session that has cost more than its part rests, and loses nothing by that. */
#include "session_rig.h"

#include "loop-share.h"

/* More than any credit: it rests until the loop has nothing else to do. */
enum { FAR_TOO_MUCH = 1000 * 1000 * 1000 };

static struct session_rig *rig;
static struct share share;
static unsigned int n_rests;

static void rested(struct share *s)
{
	assert_ptr_equal(s, &share);
	n_rests++;
	if (rig->b)
		vhu_backend_rested(rig->b);
}

static int setup(void **state)
{
	int err = rig_setup(state);

	rig = *state;
	n_rests = 0;
	share_init(&share, rig->loop, rested);
	return err;
}

static int teardown(void **state)
{
	share_fini(&share);
	return rig_teardown(state);
}

/* Kicks add up in their descriptor meanwhile, and one read is for all of them. */
static void kicks_when_their_session_rests_are_served_afterwards(void **state)
{
	(void)state;
	rig_setup_usual(rig);
	rig_join(rig);
	rig->b->share = &share;
	for (unsigned int i = 0; i < 3; i++) {
		share_charge(&share, FAR_TOO_MUCH);
		assert_true(vhu_backend_rests(rig->b));
		rig_offer_output(rig, "once more");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_expect_output(rig, "once more", 9);
		rig_until(rig, n_rests > i);
	}
	rig_until(rig, !share_rests(&share));
	rig->b->share = NULL;
}

/* Each request costs something, and is answered all the same. */
static void requests_when_their_session_rests_are_answered_in_order(void **state)
{
	uint64_t features;

	(void)state;
	rig_setup_usual(rig);
	rig->b->share = &share;
	for (unsigned int i = 0; i < 10; i++) {
		share_charge(&share, FAR_TOO_MUCH);
		assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &features));
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		rig_until(rig, n_rests > i);
	}
	rig_until(rig, !share_rests(&share));
	rig->b->share = NULL;
}

/* Who hangs up while it rests is gone at once, and its rest means nothing any more. */
static void session_when_it_ends_amid_its_rest_is_forgotten(void **state)
{
	(void)state;
	rig_setup_usual(rig);
	rig->b->share = &share;
	share_charge(&share, FAR_TOO_MUCH);
	vhu_backend_close(rig->b, LOG_LEVEL_INFO, "the test is over");
	vhu_backend_rested(rig->b);
	rig_await_end(rig);
	rig_settle(rig);
	assert_null(rig->b);
	vhu_frontend_disconnect(&rig->fe);
}

#define SHARE_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	SHARE_TEST(kicks_when_their_session_rests_are_served_afterwards),
	SHARE_TEST(requests_when_their_session_rests_are_answered_in_order),
	SHARE_TEST(session_when_it_ends_amid_its_rest_is_forgotten),
};
UNIT_MAIN(tests)
