/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console device on queues of its own, without a session. begin() has port 0
 * alone, a console; begin_empty() as many numbers as wanted, and no port.
 */
#ifndef VHU_TESTS_CONSOLE_RIG_H
#define VHU_TESTS_CONSOLE_RIG_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "driver_ring.h"
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
	MEM_LEN = 32 << 20, /* touched only where it is used */
	HISTORY = 1 << 16,
	BUDGET = 256,
	MAX_QUEUES = CONSOLE_N_QUEUES(CONSOLE_MAX_PORTS),
};

struct rig {
	struct gmem *mem;
	uint8_t *host;
	size_t n_taken;
	uint64_t features;
	unsigned int n_queues;
	struct port ports[CONSOLE_MAX_PORTS]; /* dev is set while it is plugged */
	struct console con;
	struct vqueue q[MAX_QUEUES];
	struct driverq d[MAX_QUEUES];
	bool woken[MAX_QUEUES];
	unsigned int n_config_changes;
	struct port_client client;
};

static struct rig rig;
static const struct port_client_ops deaf = { .output_ready = NULL };

static inline unsigned int rx_of(unsigned int port)
{
	return port == 0 ? RX : 2 * port + 2;
}

static inline unsigned int tx_of(unsigned int port)
{
	return port == 0 ? TX : 2 * port + 3;
}

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
		for (unsigned int i = 0; i < rig.n_queues; i++) {
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
	struct virtq_ring ring;

	if (fresh) {
		void *block;
		uint64_t at = take(driverq_bytes(size), &block);

		driverq_fini(&rig.d[i]);
		assert_int_equal(driverq_init(&rig.d[i], block, at, size, rig.features), 0);
	}
	ring = driver_ring(&rig.d[i], rig.mem);
	virtq_start(&rig.q[i].vq, &ring, rig.mem, fresh ? 0 : virtq_base(&rig.q[i].vq),
		    rig.features);
	/* As a session does, which knows no more than the index. */
	rig.con.vdev.ops->queue_start(&rig.con.vdev, &rig.q[i], virtq_base(&rig.q[i].vq) == 0);
	rig.q[i].running = true;
	vqueue_wake(&rig.q[i]);
}

static inline void stop(unsigned int i)
{
	rig.q[i].running = false;
	rig.con.vdev.ops->queue_stop(&rig.con.vdev, &rig.q[i]);
	virtq_stop(&rig.q[i].vq);
}

static inline void make_memory(void)
{
	struct gmem_desc desc = { .guest_addr = GUEST, .size = MEM_LEN, .user_addr = GUEST };
	struct gmem_region *region;
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, MEM_LEN), 0);
	assert_int_equal(gmem_region_map(&desc, fd, &region), GMEM_OK);
	close(fd);
	assert_int_equal(gmem_new(&region, 1, &rig.mem), GMEM_OK);
	gmem_region_unref(region);
	rig.host = gmem_host_from_guest(rig.mem, GUEST, MEM_LEN);
}

/* A device without ports whose queues do not run yet. */
static inline void begin_stopped(uint64_t device_features, unsigned int max_ports)
{
	memset(&rig, 0, sizeof(rig));
	make_memory();
	rig.features = device_features | BIT(VIRTIO_F_VERSION_1_BIT);
	assert_int_equal(console_init(&rig.con, max_ports, false), 0);
	rig.n_queues = rig.con.vdev.n_queues;
	rig.con.vdev.config_changed = config_changed;
	rig.con.vdev.carrier = &rig;
	rig.con.vdev.ops->set_features(&rig.con.vdev, rig.features);
	for (unsigned int i = 0; i < rig.n_queues; i++) {
		rig.q[i] = (struct vqueue){ .idx = i, .wake = wake };
		assert_int_equal(virtq_init(&rig.q[i].vq, VRING_MAX_SIZE, rig.features), 0);
	}
}

/* New rings of size each, or the ones there were (size 0). */
static inline void start_all(unsigned int size)
{
	for (unsigned int i = 0; i < rig.n_queues; i++)
		if (i < CTRL_RX || (rig.features & BIT(CONSOLE_F_MULTIPORT_BIT)))
			start(i, size);
	run();
}

static inline void stop_all(void)
{
	for (unsigned int i = 0; i < rig.n_queues; i++)
		if (rig.con.queues[i])
			stop(i);
}

static inline void begin_empty(uint64_t device_features, unsigned int size, unsigned int max_ports)
{
	begin_stopped(device_features, max_ports);
	start_all(size);
}

static inline struct port *make_port(unsigned int idx, bool console, const char *name)
{
	struct port *port = &rig.ports[idx];

	assert_int_equal(port_init(port, HISTORY), 0);
	port->console = console;
	snprintf(port->name, sizeof(port->name), "%s", name);
	return port;
}

static inline void plug(unsigned int idx, bool console, const char *name)
{
	console_add_port(&rig.con, idx, make_port(idx, console, name));
	run();
}

/* The device loses the port; its clients keep it until free_port(). */
static inline void unplug(unsigned int idx)
{
	console_remove_port(&rig.con, idx);
	run();
}

static inline void free_port(unsigned int idx)
{
	port_fini(&rig.ports[idx]);
	memset(&rig.ports[idx], 0, sizeof(rig.ports[idx]));
}

/* A device with port 0 as a console, whose queues run with rings of size each. */
static inline void begin(uint64_t device_features, unsigned int size)
{
	begin_stopped(device_features, 1);
	console_add_port(&rig.con, 0, make_port(0, true, ""));
	start_all(size);
}

static inline void end(void)
{
	stop_all();
	for (unsigned int i = 0; i < CONSOLE_MAX_PORTS; i++) {
		if (console_port(&rig.con, i))
			console_remove_port(&rig.con, i);
		if (rig.ports[i].out.buf)
			free_port(i);
	}
	for (unsigned int i = 0; i < rig.n_queues; i++) {
		virtq_fini(&rig.q[i].vq);
		driverq_fini(&rig.d[i]);
	}
	console_fini(&rig.con);
	gmem_unref(rig.mem);
}

static inline void set_features(uint64_t features)
{
	rig.con.vdev.ops->set_features(&rig.con.vdev, features);
}

static inline void read_config(uint8_t *ret_config)
{
	rig.con.vdev.ops->config_read(&rig.con.vdev, 0, ret_config, CONSOLE_CONFIG_LEN);
}

/* A client that may type and is given all that is kept. */
static inline void join(unsigned int port, struct port_client *c)
{
	static const struct port_client_options options = { .writes = true,
							    .replay = PORT_REPLAY_ALL };

	port_join(&rig.ports[port], c, &deaf, &options);
	run();
}

static inline void leave(struct port_client *c)
{
	port_leave(c);
	run();
}

static inline void type_on(unsigned int port, const char *text)
{
	assert_int_equal(port_input(&rig.ports[port], text, strlen(text)), strlen(text));
	run();
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

/* The next control message; msg is the buffer that it must come in. */
static inline void expect_port_event(const uint8_t *msg, uint32_t id, uint16_t event,
				     uint16_t value)
{
	uint8_t head[8] = { (uint8_t)id, (uint8_t)(id >> 8), 0, 0, (uint8_t)event,
			    0,		 (uint8_t)value,     0 };
	uint32_t len = CONSOLE_MSG_LEN;

	if (event == CONSOLE_RESIZE)
		len += 4;
	else if (event == CONSOLE_PORT_NAME)
		len += (uint32_t)strlen(rig.ports[id].name);
	expect_used(CTRL_RX, msg, len);
	assert_memory_equal(msg, head, sizeof(head));
	if (event == CONSOLE_PORT_NAME)
		assert_memory_equal(msg + 8, rig.ports[id].name, len - CONSOLE_MSG_LEN);
}

static inline void expect_event(const uint8_t *msg, uint16_t event, uint16_t value)
{
	expect_port_event(msg, 0, event, value);
}

/* The driver posts a buffer for it only now. */
static inline void expect_told(uint32_t id, uint16_t event, uint16_t value)
{
	expect_port_event(post_page(CTRL_RX), id, event, value);
}

static inline void expect_read(struct port_client *c, const char *text)
{
	char buf[8192];
	size_t n = port_read(c, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static inline void expect_output(const char *text)
{
	expect_read(&rig.client, text);
}

static inline void send_on(unsigned int port, const char *text)
{
	offer(tx_of(port), text, (uint32_t)strlen(text));
	expect_used(tx_of(port), &rig, 0);
}

static inline void send_line(const char *text)
{
	send_on(0, text);
}

/* The driver hears of a port that was there or has come, and opens it. */
static inline void shake_hands(unsigned int port, uint16_t open)
{
	expect_told(port, CONSOLE_PORT_ADD, 1);
	tell(port, CONSOLE_PORT_READY, 1);
	if (rig.ports[port].console)
		expect_told(port, CONSOLE_CONSOLE_PORT, 1);
	if (rig.ports[port].name[0])
		expect_told(port, CONSOLE_PORT_NAME, 1);
	tell(port, CONSOLE_PORT_OPEN, open);
}

#define MULTIPORT BIT(CONSOLE_F_MULTIPORT_BIT)
#define SIZE BIT(CONSOLE_F_SIZE_BIT)

/* A driver of a multiport console whose port is open. */
static inline void begin_open(unsigned int size)
{
	begin(MULTIPORT | SIZE, size);
	tell(UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	shake_hands(0, 1);
}

/* The same of a console with numbers below max_ports and no port yet. */
static inline void begin_ready(unsigned int size, unsigned int max_ports)
{
	begin_empty(MULTIPORT | SIZE, size, max_ports);
	tell(UINT32_MAX, CONSOLE_DEVICE_READY, 1);
}

#endif
