/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Driver against device in the same memory. Each side sleeps whenever the text
 * allows it to and wakes only when notified, so a lost wake-up is a standstill:
 * seen at once where one thread plays both sides in random turns, and by a
 * deadline where each has a thread and an eventfd.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit.h"

#include "base.h"
#include "virtio/driverq.h"
#include "virtio/virtq.h"

#include "ring_rig.h"

enum {
	ROUNDS = 70000,	 /* both indices wrap */
	SLOT_BYTES = 64, /* of a request: 8 out, 8 in, 8 that nobody may touch */
	IN_AT = 8,
	GUARD_AT = 16,
	MAX_HELD = 8,
	DEADLINE_MS = 20000,
};

#define GUARD UINT64_C(0x5a5aa5a5c3c33c3c)

struct request {
	uint64_t seq;
	bool has_in;
};

/* Each side's state is touched by its own thread alone. */
struct pair {
	struct rig rig;
	unsigned int rounds;
	unsigned char *data;

	struct request *requests; /* driver */
	unsigned int *free_requests;
	unsigned int n_free;
	unsigned int n_sent;
	unsigned int n_got;
	unsigned int n_kicks;
	unsigned int n_calls_on;
	uint64_t driver_rng;
	const char *driver_error;

	uint64_t next_seq; /* device */
	struct virtq_done {
		uint16_t head;
		uint32_t len;
	} held[MAX_HELD];
	unsigned int n_held;
	unsigned int n_calls;
	unsigned int n_kicks_on;
	uint64_t device_rng;
	const char *device_error;

	int kick_fd; /* both; only where there are two threads */
	int call_fd;
	bool stop;
};

static void pair_open(struct pair *p, unsigned int size, uint64_t features, unsigned int rounds)
{
	memset(p, 0, sizeof(*p));
	rig_open_data(&p->rig, size, features, (size_t)size * SLOT_BYTES);
	p->rounds = rounds;
	p->data = rig_at(&p->rig, p->rig.data);
	p->requests = calloc(size, sizeof(*p->requests));
	p->free_requests = calloc(size, sizeof(*p->free_requests));
	assert_true(p->requests && p->free_requests);
	for (unsigned int i = 0; i < size; i++)
		p->free_requests[p->n_free++] = i;
	p->driver_rng = size * UINT64_C(0x9e3779b97f4a7c15) + features + 1;
	p->device_rng = p->driver_rng ^ UINT64_C(0xabcdef0123456789);
	p->kick_fd = -1;
	p->call_fd = -1;
}

static void pair_close(struct pair *p)
{
	free(p->requests);
	free(p->free_requests);
	rig_close(&p->rig);
}

static bool driver_fails(struct pair *p, const char *error)
{
	if (!p->driver_error)
		p->driver_error = error;
	return false;
}

static bool device_fails(struct pair *p, const char *error)
{
	if (!p->device_error)
		p->device_error = error;
	return false;
}

/* Sends one request, of a random shape that the ring can hold; false: not now. */
static bool driver_add_one(struct pair *p)
{
	bool indirect = (p->rig.features & RIG_INDIRECT) && rig_below(&p->driver_rng, 2);
	unsigned int room = indirect ? 3 : (unsigned int)min_size(3, p->rig.driver.size);
	unsigned int n = 1 + rig_below(&p->driver_rng, room);
	struct driverq_buf bufs[3];
	unsigned int n_in = n == 3 || (n == 2 && rig_below(&p->driver_rng, 2));
	unsigned int n_out = n - n_in;
	uint64_t guard = GUARD;
	struct request *request;
	unsigned int slot;
	uint64_t at;

	if (p->n_sent == p->rounds || p->n_free == 0)
		return false;
	slot = p->free_requests[p->n_free - 1];
	request = &p->requests[slot];
	at = p->rig.data + (uint64_t)slot * SLOT_BYTES;
	bufs[0] = (struct driverq_buf){ at, n_out == 2 ? 3 : 8 };
	if (n_out == 2)
		bufs[1] = (struct driverq_buf){ at + 3, 5 };
	if (n_in)
		bufs[n_out] = (struct driverq_buf){ at + IN_AT, 8 };
	request->seq = p->n_sent;
	request->has_in = n_in > 0;
	memcpy(p->data + (size_t)slot * SLOT_BYTES, &request->seq, 8);
	memset(p->data + (size_t)slot * SLOT_BYTES + IN_AT, 0, 8);
	memcpy(p->data + (size_t)slot * SLOT_BYTES + GUARD_AT, &guard, 8);
	if (driverq_add(&p->rig.driver, bufs, n_out, n_in, indirect, request) < 0)
		return false;
	p->n_free--;
	p->n_sent++;
	return true;
}

/* Collects one request and judges it; false: none there, or an error. */
static bool driver_get_one(struct pair *p)
{
	struct request *request;
	const unsigned char *slot;
	enum driverq_result result;
	uint64_t guard = GUARD;
	uint64_t answer;
	uint32_t len;
	void *token;
	size_t idx;

	result = driverq_get(&p->rig.driver, &token, &len);
	if (result == DRIVERQ_EMPTY)
		return false;
	if (result != DRIVERQ_USED)
		return driver_fails(p, driverq_result_text(result));
	request = token;
	idx = (size_t)(request - p->requests);
	slot = p->data + idx * SLOT_BYTES;
	if (len != (request->has_in ? 8 : 0))
		return driver_fails(p, "a wrong length was reported");
	memcpy(&answer, slot + IN_AT, 8);
	if (answer != (request->has_in ? ~request->seq : 0))
		return driver_fails(p, "the data was not there when the buffer was");
	if (memcmp(slot, &request->seq, 8) != 0 || memcmp(slot + GUARD_AT, &guard, 8) != 0)
		return driver_fails(p, "bytes changed that were not the device's to write");
	p->free_requests[p->n_free++] = (unsigned int)idx;
	p->n_got++;
	return true;
}

/* Takes one chain, answers it, and holds it; false: none there, or an error. */
static bool device_take_one(struct pair *p)
{
	struct virtq *q = &p->rig.device;
	struct chain chain;
	uint64_t answer;
	uint64_t seq;

	switch (virtq_pop(q, &chain)) {
	case POP_EMPTY:
		return false;
	case POP_MISSING:
	case POP_BROKEN:
		return device_fails(p, virtq_fault_text(virtq_broken(q)));
	case POP_CHAIN:
		break;
	}
	if (chain.out_len != 8 || chain_read(&chain, 0, &seq, 8) != 8 || seq != p->next_seq)
		return device_fails(p, "a request came out of order or damaged");
	p->next_seq++;
	answer = ~seq;
	p->held[p->n_held].head = chain.head;
	p->held[p->n_held].len = (uint32_t)chain_write(&chain, 0, &answer, 8);
	p->n_held++;
	return true;
}

/* Which of those held goes back next: the oldest, where it must. */
static unsigned int next_to_return(struct pair *p)
{
	return p->rig.features & RIG_ORDER ? 0 : rig_below(&p->device_rng, p->n_held);
}

/* Returns all that is held, in random order if it may; true: the driver is to be called. */
static bool device_return_all(struct pair *p)
{
	bool call;

	while (p->n_held > 0) {
		unsigned int i = next_to_return(p);

		virtq_push(&p->rig.device, p->held[i].head, p->held[i].len);
		p->n_held--;
		memmove(&p->held[i], &p->held[i + 1], (p->n_held - i) * sizeof(p->held[0]));
	}
	call = virtq_publish(&p->rig.device);
	p->n_calls += call;
	return call;
}

/* A turn of each side; *ret_notify: wake the other. Returns whether it stays awake. */
static bool driver_turn(struct pair *p, bool *ret_notify)
{
	unsigned int n = 1 + rig_below(&p->driver_rng, 40);
	bool moved = false;

	driverq_calls_off(&p->rig.driver);
	while (n-- > 0 && driver_add_one(p))
		moved = true;
	*ret_notify = driverq_publish(&p->rig.driver);
	p->n_kicks += *ret_notify;
	n = 1 + rig_below(&p->driver_rng, 40);
	while (n-- > 0 && driver_get_one(p))
		moved = true;
	if (moved || p->n_sent == p->n_got)
		return true;
	p->n_calls_on++;
	return driverq_calls_on(&p->rig.driver);
}

static bool device_turn(struct pair *p, bool *ret_notify)
{
	unsigned int n = 1 + rig_below(&p->device_rng, MAX_HELD);
	bool moved = false;

	virtq_kicks_off(&p->rig.device);
	while (n-- > 0 && device_take_one(p))
		moved = true;
	*ret_notify = device_return_all(p);
	if (moved)
		return true;
	p->n_kicks_on++;
	return virtq_kicks_on(&p->rig.device);
}

/*
 * VR-063, VR-073: with the event index, arming once earns one notification,
 * and an index that goes round passes an old event once more. The first call
 * after a start is free, and so is the first kick.
 */
static void pair_judge(const struct pair *p)
{
	unsigned int spare = 2 + p->rounds / 65536;

	if (p->driver_error)
		fail_msg("driver: %s", p->driver_error);
	if (p->device_error)
		fail_msg("device: %s", p->device_error);
	assert_int_equal(p->n_got, p->rounds);
	assert_int_equal(p->next_seq, p->rounds);
	assert_int_equal(driverq_n_free(&p->rig.driver), p->rig.driver.size);
	if (p->rig.features & RIG_EVENT) {
		assert_true(p->n_kicks <= p->n_kicks_on + spare);
		assert_true(p->n_calls <= p->n_calls_on + spare);
	}
	if (p->rig.features & RIG_PACKED)
		return;
	assert_int_equal(vring_used_idx(&p->rig.driver.ring), (uint16_t)p->rounds);
	if (p->rig.features & RIG_EVENT)
		assert_int_equal(vring_used_flags(&p->rig.driver.ring), 0);
}

static void turns_run(unsigned int size, uint64_t features)
{
	bool driver_awake = true;
	bool device_awake = true; /* VR-077 */
	uint64_t rng = size + features;
	bool notify = false;
	struct pair p;

	pair_open(&p, size, features, ROUNDS);
	while (p.n_got < p.rounds && !p.driver_error && !p.device_error) {
		if (!driver_awake && !device_awake)
			fail_msg("ring %u, features %#llx: both sides sleep after %u", size,
				 (unsigned long long)features, p.n_got);
		if (driver_awake && (!device_awake || rig_below(&rng, 2))) {
			driver_awake = driver_turn(&p, &notify);
			device_awake |= notify;
		} else {
			device_awake = device_turn(&p, &notify);
			driver_awake |= notify;
		}
	}
	pair_judge(&p);
	pair_close(&p);
}

/* VR-036, VR-046, VR-053, VR-062, VR-074, VR-075, VR-112 */
static void run_all_turns(uint64_t features)
{
	for (unsigned int size = 1; size <= VRING_MAX_SIZE; size *= 2)
		turns_run(size, features);
}

static void turns_when_features_are_plain_lose_nothing(void **state)
{
	(void)state;
	run_all_turns(RIG_V1);
}

static void turns_when_indirect_lose_nothing(void **state)
{
	(void)state;
	run_all_turns(RIG_V1 | RIG_INDIRECT);
}

static void turns_when_event_index_lose_nothing(void **state)
{
	(void)state;
	run_all_turns(RIG_V1 | RIG_EVENT);
}

static void turns_when_indirect_and_event_index_lose_nothing(void **state)
{
	(void)state;
	run_all_turns(RIG_V1 | RIG_INDIRECT | RIG_EVENT);
}

static const unsigned int packed_sizes[] = { 1, 2, 3, 5, 16, 255, 1000, 32767, 32768 };

/* VR-084 to VR-089, VR-091, VR-092, VR-096, VR-099 */
static void turns_when_packed_lose_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packed_sizes); i++) {
		turns_run(packed_sizes[i], RIG_V1 | RIG_PACKED);
		turns_run(packed_sizes[i], RIG_V1 | RIG_PACKED | RIG_INDIRECT);
		turns_run(packed_sizes[i], RIG_V1 | RIG_PACKED | RIG_EVENT);
		turns_run(packed_sizes[i], RIG_V1 | RIG_PACKED | RIG_INDIRECT | RIG_EVENT);
	}
}

/* VR-078, VR-079, VR-080 */
static void turns_when_in_order_lose_nothing(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= VRING_MAX_SIZE; size *= 8) {
		turns_run(size, RIG_V1 | RIG_ORDER);
		turns_run(size, RIG_V1 | RIG_ORDER | RIG_INDIRECT | RIG_EVENT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(packed_sizes); i++) {
		turns_run(packed_sizes[i], RIG_V1 | RIG_PACKED | RIG_ORDER);
		turns_run(packed_sizes[i],
			  RIG_V1 | RIG_PACKED | RIG_ORDER | RIG_INDIRECT | RIG_EVENT);
	}
}

static void notify_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* Sleeps until fd is written to; false: nobody did. */
static bool wait_fd(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&pollfd, 1, DEADLINE_MS) == 1 && read(fd, &count, sizeof(count)) == 8;
}

static bool pair_stopped(struct pair *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE);
}

/* Ends both threads, whichever notices first. */
static void pair_stop(struct pair *p)
{
	__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
	notify_fd(p->kick_fd);
	notify_fd(p->call_fd);
}

static void *device_thread(void *arg)
{
	struct pair *p = arg;

	while (!pair_stopped(p) && !p->device_error) {
		bool notify;
		bool awake = device_turn(p, &notify);

		if (notify)
			notify_fd(p->call_fd);
		if (!awake && !wait_fd(p->kick_fd))
			device_fails(p, "no kick came");
	}
	pair_stop(p);
	return NULL;
}

static void driver_run(struct pair *p)
{
	while (!pair_stopped(p) && !p->driver_error && p->n_got < p->rounds) {
		bool notify;
		bool awake = driver_turn(p, &notify);

		if (notify)
			notify_fd(p->kick_fd);
		if (!awake && !wait_fd(p->call_fd))
			driver_fails(p, "no call came");
	}
	pair_stop(p);
}

static void threads_run(unsigned int size, uint64_t features, unsigned int rounds)
{
	pthread_t thread;
	struct pair p;

	pair_open(&p, size, features, rounds);
	p.kick_fd = eventfd(0, EFD_CLOEXEC);
	p.call_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(p.kick_fd >= 0 && p.call_fd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, device_thread, &p), 0);
	driver_run(&p);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(p.kick_fd);
	close(p.call_fd);
	pair_judge(&p);
	pair_close(&p);
}

/* VR-038, VR-045, VR-064, VR-074: the barriers, with a processor on each side. */
static void threads_when_rings_are_small_lose_no_wakeup(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 16; size *= 4) {
		threads_run(size, RIG_V1, 10000);
		threads_run(size, RIG_V1 | RIG_EVENT, 10000);
		threads_run(size, RIG_V1 | RIG_INDIRECT, 10000);
		threads_run(size, RIG_V1 | RIG_INDIRECT | RIG_EVENT, 10000);
	}
}

static void threads_when_rings_are_large_lose_no_wakeup(void **state)
{
	(void)state;
	for (unsigned int size = 64; size <= VRING_MAX_SIZE; size *= 8) {
		threads_run(size, RIG_V1, ROUNDS);
		threads_run(size, RIG_V1 | RIG_EVENT, ROUNDS);
		threads_run(size, RIG_V1 | RIG_INDIRECT, ROUNDS);
		threads_run(size, RIG_V1 | RIG_INDIRECT | RIG_EVENT, ROUNDS);
	}
}

/* VR-084, VR-089, VR-098, VR-099 */
static void threads_when_packed_lose_no_wakeup(void **state)
{
	static const unsigned int sizes[] = { 1, 3, 16, 255, 1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		threads_run(sizes[i], RIG_V1 | RIG_PACKED, 10000);
		threads_run(sizes[i], RIG_V1 | RIG_PACKED | RIG_EVENT, 10000);
		threads_run(sizes[i], RIG_V1 | RIG_PACKED | RIG_INDIRECT | RIG_EVENT, 10000);
	}
}

/* VR-078 */
static void threads_when_in_order_lose_no_wakeup(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 256; size *= 16) {
		threads_run(size, RIG_V1 | RIG_ORDER, 10000);
		threads_run(size, RIG_V1 | RIG_ORDER | RIG_INDIRECT | RIG_EVENT, 10000);
		threads_run(size, RIG_V1 | RIG_PACKED | RIG_ORDER, 10000);
		threads_run(size, RIG_V1 | RIG_PACKED | RIG_ORDER | RIG_EVENT, 10000);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(turns_when_features_are_plain_lose_nothing),
	UNIT_TEST(turns_when_indirect_lose_nothing),
	UNIT_TEST(turns_when_event_index_lose_nothing),
	UNIT_TEST(turns_when_indirect_and_event_index_lose_nothing),
	UNIT_TEST(threads_when_rings_are_small_lose_no_wakeup),
	UNIT_TEST(threads_when_rings_are_large_lose_no_wakeup),
	UNIT_TEST(turns_when_packed_lose_nothing),
	UNIT_TEST(turns_when_in_order_lose_nothing),
	UNIT_TEST(threads_when_packed_lose_no_wakeup),
	UNIT_TEST(threads_when_in_order_lose_no_wakeup),
};

UNIT_MAIN(tests)
