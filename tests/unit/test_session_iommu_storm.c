/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Translations that come and go while bytes flow: VU-211, VU-212. */
#include "iommu_rig.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

/* One step of a storm: what is known changes under the traffic. */
static void blow(struct session_rig *rig, unsigned int how)
{
	const struct vhu_region *r = &rig->fe.regions[0].wire;
	uint64_t off = (uint64_t)(rand() % (MIB / PAGE)) * PAGE;
	struct vhu_iotlb t = whole(rig, r->guest_addr + SHIFT + off);

	t.uaddr += off;
	t.size = (uint64_t)(1 + rand() % 16) * PAGE;
	if (t.size > r->size - off)
		t.size = r->size - off;
	if (how % 3 > 0)
		t.type = VHU_IOTLB_INVALIDATE;
	if (how % 17 == 0)
		t.size = 0, t.iova = 0, t.type = VHU_IOTLB_INVALIDATE;
	assert_int_equal(tell(rig, &t, true), 0);
}

static void expect_traffic_in_a_storm(struct session_rig *rig, uint64_t kind)
{
	enum { TOTAL = 30000 };
	static uint8_t bytes[TOTAL], got[TOTAL];
	size_t n_out = 0, n_in = 0, n_got = 0;

	setup_kind(rig, kind);
	start_guest(rig);
	fill(bytes, TOTAL, 7);
	rig->output_len = 0;
	for (unsigned int i = 0; n_out < TOTAL || n_got < TOTAL; i++) {
		size_t part = min_size(TOTAL - n_out, 1 + (size_t)rand() % 300);
		int n = part > 0 ? guest_try_write_port(&g, 0, bytes + n_out, part) : 0;

		assert_true(i < 20000);
		n_out += n > 0 ? (size_t)n : 0;
		part = min_size(TOTAL - n_in, (size_t)rand() % 300);
		n_in += part > 0 ? port_input(&rig->port, bytes + n_in, part) : 0;
		blow(rig, i);
		guest_poll(&g);
		if (g.ports[0].input_len > 0) {
			n = guest_read_some_port(&g, 0, got + n_got, TOTAL - n_got, 1);
			assert_true(n > 0);
			n_got += (size_t)n;
		}
		if (i % 8 == 0)
			rig_step(rig);
	}
	rig_expect_output(rig, bytes, TOTAL);
	assert_memory_equal(got, bytes, TOTAL);
	guest_fini(&g);
	guest_there = false;
}

static void traffic_when_translations_come_and_go_is_byte_exact(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring_kinds); i++)
		expect_traffic_in_a_storm(*state, ring_kinds[i]);
}

/*
 * The same with a front-end that is a thread of its own: it has both sockets,
 * serves what is missed and takes away what it likes, while driver and device
 * work on memory.
 */
struct weather {
	int main_fd, channel_fd;
	struct vhu_region region;
	bool stop; /* atomic */
	unsigned int n_told, n_misses, n_refused;
};

static void converse(int fd, const void *out, size_t out_len, void *in, size_t in_len)
{
	if (out_len > 0 && send(fd, out, out_len, MSG_NOSIGNAL) != (ssize_t)out_len)
		abort();
	if (in_len > 0 && recv(fd, in, in_len, MSG_WAITALL) != (ssize_t)in_len)
		abort();
}

static void weather_tell(struct weather *w, uint64_t page, uint64_t n, uint8_t type)
{
	const struct vhu_iotlb t = {
		.iova = w->region.guest_addr + SHIFT + page * PAGE,
		.size = n * PAGE,
		.uaddr = w->region.user_addr + page * PAGE,
		.perm = type == VHU_IOTLB_UPDATE ? RW : 0,
		.type = type,
	};
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD], reply[VHU_HDR_LEN + sizeof(uint64_t)];
	uint64_t value;
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_IOTLB_MSG);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, &t, sizeof(t));
	converse(w->main_fd, bytes, vhu_msg_pack(&msg, bytes), reply, sizeof(reply));
	memcpy(&value, reply + VHU_HDR_LEN, sizeof(value));
	w->n_refused += value != 0;
	w->n_told++;
}

static void weather_serve(struct weather *w)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_iotlb miss;
	struct vhu_msg reply;

	converse(w->channel_fd, NULL, 0, bytes, VHU_HDR_LEN + sizeof(miss));
	memcpy(&miss, bytes + VHU_HDR_LEN, sizeof(miss));
	weather_tell(w, (miss.iova - SHIFT - w->region.guest_addr) / PAGE, 1, VHU_IOTLB_UPDATE);
	vhu_msg_init(&reply, VHU_BE, VHU_BE_IOTLB_MSG);
	reply.flags |= VHU_FLAG_REPLY;
	vhu_msg_put_u64(&reply, 0);
	converse(w->channel_fd, bytes, vhu_msg_pack(&reply, bytes), NULL, 0);
	w->n_misses++;
}

static void *weather_run(void *arg)
{
	struct weather *w = arg;
	unsigned int seed = 11;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		struct pollfd p = { .fd = w->channel_fd, .events = POLLIN };
		uint64_t page = (uint64_t)rand_r(&seed) % (MIB / PAGE);
		uint64_t n = min_u64(1 + (uint64_t)rand_r(&seed) % 32, MIB / PAGE - page);

		if (poll(&p, 1, 0) > 0)
			weather_serve(w);
		else
			weather_tell(w, page, n,
				     rand_r(&seed) % 3 ? VHU_IOTLB_INVALIDATE : VHU_IOTLB_UPDATE);
	}
	return NULL;
}

static void expect_traffic_beside(struct session_rig *rig, struct weather *w, uint64_t kind)
{
	enum { TOTAL = 20000 };
	static uint8_t bytes[TOTAL], got[TOTAL];
	size_t n_out = 0, n_in = 0, n_got = 0;
	pthread_t thread;
	int fds[2];

	setup_kind(rig, kind);
	start_guest(rig);
	*w = (struct weather){ .region = rig->fe.regions[0].wire };
	fds[0] = w->main_fd = fd_take(&rig->fe.fd);
	fds[1] = w->channel_fd = fd_take(&rig->fe.channel_fd);
	fill(bytes, TOTAL, 3);
	rig->output_len = 0;
	assert_int_equal(pthread_create(&thread, NULL, weather_run, w), 0);
	while (n_out < TOTAL || n_got < TOTAL || rig->output_len < TOTAL) {
		size_t part = min_size(TOTAL - n_out, 700);
		int n = part > 0 ? guest_try_write_port(&g, 0, bytes + n_out, part) : 0;

		n_out += n > 0 ? (size_t)n : 0;
		part = min_size(TOTAL - n_in, 500);
		n_in += part > 0 ? port_input(&rig->port, bytes + n_in, part) : 0;
		guest_poll(&g);
		if (g.ports[0].input_len > 0) {
			n = guest_read_some_port(&g, 0, got + n_got, TOTAL - n_got, 1);
			assert_true(n > 0);
			n_got += (size_t)n;
		}
		rig_step(rig);
	}
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	while (pthread_tryjoin_np(thread, NULL) != 0)
		rig_step(rig); /* it may await an answer */
	rig->fe.fd = fds[0];
	rig->fe.channel_fd = fds[1];
	assert_memory_equal(rig->output, bytes, TOTAL);
	assert_memory_equal(got, bytes, TOTAL);
	rig->output_len = 0;
	guest_fini(&g);
	guest_there = false;
}

static void traffic_when_the_front_end_is_a_thread_is_byte_exact(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct weather w;

		expect_traffic_beside(*state, &w, ring_kinds[i]);
		assert_true(w.n_misses > 0);
		assert_int_equal(w.n_refused, 0);
	}
}

static const struct CMUnitTest tests[] = {
	IOMMU_TEST(traffic_when_translations_come_and_go_is_byte_exact),
	IOMMU_TEST(traffic_when_the_front_end_is_a_thread_is_byte_exact),
};

UNIT_MAIN(tests)
