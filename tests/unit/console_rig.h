/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console device on queues of its own, without a session. */
#ifndef VHU_TESTS_CONSOLE_RIG_H
#define VHU_TESTS_CONSOLE_RIG_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "virtio/console.h"
#include "virtio/driverq.h"
#include "virtio/features.h"
#include "virtio/gmem.h"

#define GUEST UINT64_C(0x80000000)

enum {
	RX,
	TX,
	CTRL_RX,
	CTRL_TX,
	MEM_LEN = 8 << 20,
	HISTORY = 1 << 16,
	BUDGET = 256,
};

struct rig {
	struct gmem *mem;
	uint8_t *host;
	size_t n_taken;
	uint64_t features;
	struct port port;
	struct console con;
	struct vqueue q[CONSOLE_N_QUEUES];
	struct driverq d[CONSOLE_N_QUEUES];
	bool woken[CONSOLE_N_QUEUES];
	unsigned int n_config_changes;
	struct port_client client;
};

static struct rig rig;
static const struct port_client_ops deaf = { .output_ready = NULL };

static inline void wake(struct vqueue *q)
{
	rig.woken[q->idx] = true;
}

static inline void config_changed(void *carrier)
{
	((struct rig *)carrier)->n_config_changes++;
}

/* Serves what was woken, as a carrier does, until nothing more is to be done. */
static inline void run(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++) {
			if (!rig.woken[i] || !rig.q[i].running)
				continue;
			rig.woken[i] = rig.con.vdev.ops->queue_service(&rig.con.vdev, &rig.q[i],
								       BUDGET) == VQ_MORE;
			virtq_publish(&rig.q[i].vq);
			again = true;
		}
	}
}

static inline void kick(unsigned int i)
{
	driverq_publish(&rig.d[i]);
	vqueue_wake(&rig.q[i]);
	run();
}

static inline uint64_t take(size_t len, void **ret_host)
{
	size_t at = (rig.n_taken + 4095) & ~(size_t)4095;

	assert_true(len <= MEM_LEN - at);
	rig.n_taken = at + len;
	if (ret_host)
		*ret_host = rig.host + at;
	return GUEST + at;
}

/* Queue i starts with a new ring of size, or goes on with the one it had (size 0). */
static inline void start(unsigned int i, unsigned int size)
{
	bool fresh = size > 0;

	if (fresh) {
		void *block;
		uint64_t at = take(driverq_bytes(size), &block);

		driverq_fini(&rig.d[i]);
		assert_int_equal(driverq_init(&rig.d[i], block, at, size, rig.features), 0);
	}
	virtq_start(&rig.q[i].vq, &rig.d[i].ring, rig.mem, fresh ? 0 : virtq_base(&rig.q[i].vq),
		    rig.features);
	rig.con.vdev.ops->queue_start(&rig.con.vdev, &rig.q[i], fresh);
	rig.q[i].running = true;
	vqueue_wake(&rig.q[i]);
}

static inline void stop(unsigned int i)
{
	rig.q[i].running = false;
	rig.con.vdev.ops->queue_stop(&rig.con.vdev, &rig.q[i]);
	virtq_stop(&rig.q[i].vq);
}

/* A device whose queues run, with rings of size each. */
static inline void begin(uint64_t device_features, unsigned int size)
{
	struct gmem_desc desc = { .guest_addr = GUEST, .size = MEM_LEN, .user_addr = GUEST };
	struct gmem_region *region;
	int fd = memfd_create("guest", MFD_CLOEXEC);

	memset(&rig, 0, sizeof(rig));
	assert_int_equal(ftruncate(fd, MEM_LEN), 0);
	assert_int_equal(gmem_region_map(&desc, fd, &region), GMEM_OK);
	close(fd);
	assert_int_equal(gmem_new(&region, 1, &rig.mem), GMEM_OK);
	gmem_region_unref(region);
	rig.host = gmem_host_from_guest(rig.mem, GUEST, MEM_LEN);
	rig.features = device_features | BIT(VIRTIO_F_VERSION_1_BIT);
	assert_int_equal(port_init(&rig.port, HISTORY), 0);
	rig.port.has_size = true;
	console_init(&rig.con, &rig.port);
	rig.con.vdev.config_changed = config_changed;
	rig.con.vdev.carrier = &rig;
	rig.con.vdev.ops->set_features(&rig.con.vdev, rig.features);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++) {
		rig.q[i] = (struct vqueue){ .idx = i, .wake = wake };
		assert_int_equal(virtq_init(&rig.q[i].vq, rig.features), 0);
	}
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		if (i < CTRL_RX || (rig.features & BIT(CONSOLE_F_MULTIPORT_BIT)))
			start(i, size);
	run();
}

static inline void end(void)
{
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++) {
		if (rig.q[i].running)
			stop(i);
		virtq_fini(&rig.q[i].vq);
		driverq_fini(&rig.d[i]);
	}
	port_fini(&rig.port);
	gmem_unref(rig.mem);
}

/* One writable chain of the given piece lengths; returns where its bytes are, in a row. */
static inline uint8_t *post(unsigned int queue, const uint32_t *lens, unsigned int n)
{
	struct driverq_buf bufs[16];
	void *host;
	size_t total = 0;
	uint64_t at;

	for (unsigned int i = 0; i < n; i++)
		total += lens[i];
	at = take(total, &host);
	memset(host, 0xee, total);
	for (unsigned int i = 0; i < n; i++) {
		bufs[i] = (struct driverq_buf){ .addr = at, .len = lens[i] };
		at += lens[i];
	}
	assert_int_equal(driverq_add(&rig.d[queue], bufs, 0, n, false, host), 0);
	kick(queue);
	return host;
}

static inline uint8_t *post_page(unsigned int queue)
{
	static const uint32_t page = 4096;

	return post(queue, &page, 1);
}

static inline void offer(unsigned int queue, const void *bytes, uint32_t len)
{
	struct driverq_buf buf = { .len = len };
	void *host;

	buf.addr = take(len, &host);
	memcpy(host, bytes, len);
	assert_int_equal(driverq_add(&rig.d[queue], &buf, 1, 0, false, &rig), 0);
	kick(queue);
}

/* The next chain that came back has been written len bytes to. */
static inline void expect_used(unsigned int queue, const void *token, uint32_t len)
{
	void *got;
	uint32_t got_len;

	assert_int_equal(driverq_get(&rig.d[queue], &got, &got_len), DRIVERQ_USED);
	assert_ptr_equal(got, token);
	assert_int_equal(got_len, len);
}

static inline void expect_unused(unsigned int queue)
{
	void *got;
	uint32_t len;

	assert_int_equal(driverq_get(&rig.d[queue], &got, &len), DRIVERQ_EMPTY);
}

/* A control message to the device, its buffer back at once and empty (VC-036). */
static inline void tell(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[8] = { (uint8_t)id,		(uint8_t)(id >> 8),
			   (uint8_t)(id >> 16), (uint8_t)(id >> 24),
			   (uint8_t)event,	0,
			   (uint8_t)value,	0 };

	offer(CTRL_TX, msg, sizeof(msg));
	expect_used(CTRL_TX, &rig, 0);
}

static inline void expect_event(const uint8_t *msg, uint16_t event, uint16_t value)
{
	expect_used(CTRL_RX, msg, event == CONSOLE_RESIZE ? 12 : 8);
	assert_int_equal(msg[4], event);
	assert_int_equal(msg[6], value);
}

static inline void expect_output(const char *text)
{
	char buf[8192];
	size_t n = port_read(&rig.client, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static inline void send_line(const char *text)
{
	offer(TX, text, (uint32_t)strlen(text));
	expect_used(TX, &rig, 0);
}

/* A driver of a multiport console whose port is open. */
static inline void begin_open(unsigned int size)
{
	begin(BIT(CONSOLE_F_MULTIPORT_BIT) | BIT(CONSOLE_F_SIZE_BIT), size);
	tell(UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_CONSOLE_PORT, 1);
	tell(0, CONSOLE_PORT_OPEN, 1);
}

#endif
