/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session that is written down for another process. */
#include "session_rig.h"

#include "vhu/backend-handover.h"

enum { PARK_NS = 1000 * 1000 * 1000 };

static void session_with_all_that_is_offered_can_be_handed_over(void **state)
{
	struct session_rig *rig = *state;
	struct handover_out out;

	rig_setup_usual(rig);
	rig->b->nego.protocol = rig->b->nego.offered_protocol; /* no style takes them all */
	assert_int_equal(loop_park(rig->loop, PARK_NS), 0);
	handover_out_init(&out);
	vhu_backend_save(rig->b, &out, 1);
	assert_string_equal(out.why, "");
	assert_int_equal(state_finish(&out.state), 0);
	handover_out_fini(&out);
	loop_unpark(rig->loop);
	rig_expect_service(rig);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(session_with_all_that_is_offered_can_be_handed_over),
};
UNIT_MAIN(tests)
