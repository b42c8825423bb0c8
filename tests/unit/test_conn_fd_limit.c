/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A connection of a process that may have no more descriptors. */
#include "conn_rig.h"

#include <sys/resource.h>

/* VU-023: eight may come; if there is no room for them here, that is no fault of the peer's. */
static void descriptors_that_find_no_room_here_are_not_the_peers_fault(void **state)
{
	struct rlimit limit, few;
	uint8_t bytes[32];

	(void)state;
	begin();
	peer_sends(bytes, pack(bytes, 2, &word, 8), 4);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur =
		(rlim_t)rig.peer + 3; /* two are free at most: the rest of the message's are not */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	run_until(&rig.n_ended, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rig.err, -EMFILE);
	assert_int_equal(rig.rule, VHU_OK);
	assert_int_equal(rig.n_messages, 0);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(descriptors_that_find_no_room_here_are_not_the_peers_fault),
};
UNIT_MAIN(tests)
