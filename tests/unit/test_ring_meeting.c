/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The moment that barriers are for, again and again: one side publishes while
 * the other arms and looks once more. One of them must see the other.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "unit.h"

#include "ring_rig.h"

enum { MEETINGS = 100000 };

struct meeting {
	struct rig rig;
	unsigned int n_here; /* counts arrivals: two per gathering */
	bool device_saw;     /* it will call, or it knows of buffers */
};

static void meeting_gather(struct meeting *m, unsigned int gathering)
{
	unsigned int spins = 0;

	__atomic_fetch_add(&m->n_here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&m->n_here, __ATOMIC_SEQ_CST) < 2 * gathering) {
		if (++spins % 1024 == 0)
			sched_yield();
	}
}

/* Each round: wait for a buffer against its offer, then return it against the wait for that. */
static void *meeting_device(void *arg)
{
	struct meeting *m = arg;
	struct virtq *q = &m->rig.device;
	struct chain chain;

	for (unsigned int i = 0; i < MEETINGS; i++) {
		meeting_gather(m, 4 * i + 1);
		m->device_saw = virtq_kicks_on(q);
		meeting_gather(m, 4 * i + 2);
		if (virtq_pop(q, &chain) == POP_CHAIN)
			virtq_push(q, chain.head, 0);
		virtq_kicks_off(q);
		meeting_gather(m, 4 * i + 3);
		m->device_saw = virtq_publish(q);
		meeting_gather(m, 4 * i + 4);
	}
	return NULL;
}

static void meetings_run(uint64_t features)
{
	unsigned int n_kicks_missed = 0;
	unsigned int n_calls_missed = 0;
	unsigned int n_returned = 0;
	struct driverq_buf buf;
	struct meeting m;
	pthread_t thread;
	uint32_t len;
	void *token;
	bool saw;

	memset(&m, 0, sizeof(m));
	rig_open(&m.rig, 4, features);
	buf = (struct driverq_buf){ m.rig.data, 1 };
	assert_int_equal(pthread_create(&thread, NULL, meeting_device, &m), 0);
	for (unsigned int i = 0; i < MEETINGS; i++) {
		driverq_add(&m.rig.driver, &buf, 1, 0, false, &m);
		driverq_calls_off(&m.rig.driver);
		meeting_gather(&m, 4 * i + 1);
		saw = driverq_publish(&m.rig.driver);
		meeting_gather(&m, 4 * i + 2);
		n_kicks_missed += !saw && !m.device_saw;
		meeting_gather(&m, 4 * i + 3);
		saw = driverq_calls_on(&m.rig.driver);
		meeting_gather(&m, 4 * i + 4);
		n_calls_missed += !saw && !m.device_saw;
		n_returned += driverq_get(&m.rig.driver, &token, &len) == DRIVERQ_USED;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(n_returned, MEETINGS);
	assert_int_equal(n_kicks_missed, 0);
	assert_int_equal(n_calls_missed, 0);
	rig_close(&m.rig);
}

/* VR-064, VR-074 */
static void threads_when_arming_meets_publishing_see_each_other(void **state)
{
	(void)state;
	meetings_run(RIG_V1);
	meetings_run(RIG_V1 | RIG_EVENT);
}

/* VR-098, VR-099 */
static void threads_when_arming_meets_publishing_of_packed_rings_see_each_other(void **state)
{
	(void)state;
	meetings_run(RIG_V1 | RIG_PACKED);
	meetings_run(RIG_V1 | RIG_PACKED | RIG_EVENT);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(threads_when_arming_meets_publishing_see_each_other),
	UNIT_TEST(threads_when_arming_meets_publishing_of_packed_rings_see_each_other),
};

UNIT_MAIN(tests)
