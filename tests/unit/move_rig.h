/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest that moves: a device where it is, ports_rig.h's, and one where it goes,
 * on the same loop. Each has port 0, a console, and "data" as number 1, which holds.
 */
#ifndef VHU_TESTS_MOVE_RIG_H
#define VHU_TESTS_MOVE_RIG_H

#include <sys/socket.h>

#include "ports_rig.h"

#include "vhu/frontend-migrate.h"

enum { MOVE_PORTS = 4 };

static struct host *data, *console_there, *data_there;

/* The device that the guest goes to. */
static struct move_target {
	struct console con;
	struct vhu_backend *b; /* NULL: no session */
} target;

static inline void target_ended(struct vhu_backend *b, void *arg)
{
	(void)arg;
	vhu_backend_free(b);
	target.b = NULL;
}

static inline void target_await_end(void)
{
	for (unsigned int n = 0; target.b; n++) {
		rig_step(rig);
		assert_true(n < 2000);
	}
}

static inline int move_setup(void **state)
{
	int err = ports_setup(state, MOVE_PORTS);

	data = host_new(1, "data");
	host_plug(data);
	host_join(data);
	console_there = host_new(0, "");
	console_there->port.console = true;
	console_there->port.overflow = PORT_DROP;
	data_there = host_new(1, "data");
	assert_int_equal(console_init(&target.con, MOVE_PORTS, false), 0);
	console_add_port(&target.con, 0, &console_there->port);
	console_add_port(&target.con, 1, &data_there->port);
	host_join(data_there);
	host_join(console_there);
	rig_join(rig);
	return err;
}

static inline int move_teardown(void **state)
{
	vhu_frontend_disconnect(&rig->fe);
	target_await_end();
	for (unsigned int i = 0; i < MOVE_PORTS; i++)
		if (console_port(&target.con, i))
			console_remove_port(&target.con, i);
	console_fini(&target.con);
	return ports_teardown(state);
}

#define MOVE_TEST(f) UNIT_TEST_WITH(f, move_setup, move_teardown)

/* A guest at the source that has "data" open. */
static inline void boot_to_move(void)
{
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.protocol = ~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT)),
		.extra_protocol = BIT(VHU_PF_DEVICE_STATE_BIT) | BIT(VHU_PF_PAGEFAULT_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &rig_plan, 0));
	boot_guest();
	open_port(data);
	open_port(&(struct host){ .number = 0 });
}

static inline void stop_source(void)
{
	assert_fe_ok(rig, vhu_style_stop(&rig->fe, &rig_plan));
}

static inline void leave_source(void)
{
	vhu_frontend_disconnect(&rig->fe);
	rig_await_end(rig);
}

/* Connected to the target, and all is agreed on; no ring is there yet. */
static inline void come_to_target(void)
{
	struct vhu_backend_options options = { .who = "target", .max_queue_size = RIG_QUEUE_MAX };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(vhu_backend_new(rig->loop, &target.con.vdev, fds[0], &options,
					 target_ended, NULL, &target.b),
			 0);
	vhu_frontend_attach(&rig->fe, fds[1]);
	assert_fe_ok(rig, vhu_style_negotiate(&rig->fe, &rig_plan));
}

static inline void run_at_target(void)
{
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
}

#endif
