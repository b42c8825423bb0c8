/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session that has cost more than its part rests, and loses nothing by that. */
#include "session_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "loop-share.h"
#include "vhu/server.h"

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

static struct vhu_server server;
static bool closed;

static void on_closed(struct vhu_server *s)
{
	assert_ptr_equal(s, &server);
	closed = true;
}

static int dial(int listener)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, len), 0);
	return fd;
}

/* Connections cost the same purse: who has spent it waits in the queue of the socket. */
static void connections_when_their_server_rests_come_afterwards(void **state)
{
	static const struct vhu_backend_options options = {
		.who = "served",
		.max_queue_size = RIG_QUEUE_MAX,
	};
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	closed = false;
	assert_int_equal(bind(listener, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(vhu_server_start(&server, rig->loop, &rig->con.vdev, listener, NULL,
					  &options, NULL),
			 0);
	for (unsigned int i = 0; i < 3; i++) {
		vhu_frontend_attach(&rig->fe, dial(listener));
		share_charge(&server.share, FAR_TOO_MUCH);
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		vhu_frontend_disconnect(&rig->fe);
		for (unsigned int n = 0; server.session; n++) {
			assert_true(n < 2000);
			rig_step(rig);
		}
	}
	vhu_server_close(&server, on_closed);
	for (unsigned int n = 0; !closed; n++) {
		assert_true(n < 2000);
		rig_step(rig);
	}
}

#define SHARE_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	SHARE_TEST(kicks_when_their_session_rests_are_served_afterwards),
	SHARE_TEST(requests_when_their_session_rests_are_answered_in_order),
	SHARE_TEST(session_when_it_ends_amid_its_rest_is_forgotten),
	SHARE_TEST(connections_when_their_server_rests_come_afterwards),
};
UNIT_MAIN(tests)
