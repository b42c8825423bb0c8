/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session that is written down for another process. */
#include "session_rig.h"

#include <string.h>
#include <sys/wait.h>

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

/* A field's header: tag and type, whatever its flags are. */
static bool is_field(const uint8_t *at, unsigned int tag, enum state_type type)
{
	return at[0] == tag && at[1] == 0 && at[2] == type;
}

/* Where ring 1's number stands: field 1 of the second group 15. */
static uint8_t *find_second_ring(const struct state_writer *w)
{
	for (size_t i = STATE_HEADER_LEN; i + 2 * STATE_FIELD_LEN + 8 < w->len; i++) {
		uint8_t *at = w->buf + i + STATE_FIELD_LEN;

		if (is_field(w->buf + i, 15, STATE_GROUP) && is_field(at, 1, STATE_NUMBER) &&
		    at[STATE_FIELD_LEN] == 1)
			return at + STATE_FIELD_LEN;
	}
	fail_msg("the state has no second ring");
	return NULL;
}

static void seal_again(struct state_writer *w)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t len = w->len - STATE_CHECK_LEN;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ w->buf[i]) * UINT64_C(0x100000001b3);
	sum = htole64(sum);
	memcpy(w->buf + len, &sum, sizeof(sum));
}

static void never_closed(struct vhu_backend *b, void *arg)
{
	(void)b;
	(void)arg;
}

/* In a process of its own, which has the descriptors under the same numbers. */
static int load_in_child(const struct state_writer *w, const char *reason)
{
	const struct vhu_backend_options options = { .who = "rig",
						     .max_queue_size = RIG_QUEUE_MAX };
	struct vhu_backend *b;
	struct handover_in in;
	struct console con;
	struct loop *loop;
	const char *why;

	if (loop_new(64, &loop, &why) < 0 || console_init(&con, 1, false) < 0 ||
	    handover_in_init(&in, w->buf, w->len) < 0)
		return 1;
	if (vhu_backend_load(loop, &con.vdev, &in, 1, &options, never_closed, NULL, &b) < 0)
		return 2;
	return in.state.failed && strstr(in.state.why, reason) ? 0 : 3;
}

static void ring_that_comes_twice_is_refused(void **state)
{
	struct session_rig *rig = *state;
	struct handover_out out;
	int status;
	pid_t pid;

	rig_setup_usual(rig);
	assert_int_equal(loop_park(rig->loop, PARK_NS), 0);
	handover_out_init(&out);
	vhu_backend_save(rig->b, &out, 1);
	assert_int_equal(state_finish(&out.state), 0);
	*find_second_ring(&out.state) = 0;
	seal_again(&out.state);
	pid = fork();
	if (pid == 0)
		_exit(load_in_child(&out.state, "it is number 0, expected is 1 or more"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	handover_out_fini(&out);
	loop_unpark(rig->loop);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(session_with_all_that_is_offered_can_be_handed_over),
	RIG_TEST(ring_that_comes_twice_is_refused),
};
UNIT_MAIN(tests)
