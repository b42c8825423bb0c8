/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest goes on where its memory has not come yet (VU-177 to VU-181, VU-044). */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "move_rig.h"

#include "vhu/backend-userfault.h"
#include "vhu/frontend-postcopy.h"

enum { PAGE = 4096, TEXT_LEN = 3 * PAGE + 100 };

static struct vhu_frontend_state moving;
static struct vhu_frontend_memory memory;
static struct vhu_frontend_postcopy pc;

static int setup(void **state)
{
	moving = (struct vhu_frontend_state){ 0 };
	memory = (struct vhu_frontend_memory)VHU_FRONTEND_MEMORY_NONE;
	pc = (struct vhu_frontend_postcopy){ 0 };
	return move_setup(state);
}

static int teardown(void **state)
{
	vhu_frontend_postcopy_fini(&pc);
	vhu_frontend_memory_fini(&memory);
	vhu_frontend_state_fini(&moving);
	return move_teardown(state);
}

/* The guest has left; its memory at the target is empty, and what it was is in memory. */
static void move_without_memory(void)
{
	stop_source();
	assert_fe_ok(rig, vhu_frontend_save_state(&rig->fe, VHU_STATE_PIPE, &moving));
	leave_source();
	assert_fe_ok(rig, vhu_frontend_memory_make(&rig->fe, &memory));
	assert_fe_ok(rig, vhu_frontend_memory_swap(&rig->fe, &memory));
	come_to_target();
	assert_fe_ok(rig,
		     vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len));
	assert_fe_ok(rig, vhu_frontend_postcopy_begin(&rig->fe, &pc, memory.map, memory.len));
	assert_fe_ok(rig, vhu_frontend_postcopy_listen(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       vhu_style_features(&rig->fe, &rig_plan), false));
}

static void start_rings(void)
{
	struct vhu_frontend *fe = &rig->fe;

	for (unsigned int i = 0; i < fe->n_rings; i++) {
		const struct vhu_frontend_ring *r = &fe->rings[i];

		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, i, r->size, false));
		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, i, r->base, false));
		assert_fe_ok(rig, vhu_frontend_vring_addr(fe, i, 0, 0, false));
		assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, i, r->call_peer,
							false));
		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, i, 1, false));
		assert_fe_ok(rig,
			     vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, i, r->kick_fd, true));
	}
}

/* Bytes both ways, large enough for several pages. */
static void exchange(void)
{
	static uint8_t text[TEXT_LEN], got[TEXT_LEN];

	fill_pattern(text, sizeof(text), 5);
	assert_fe_ok(rig, guest_write_port(&guest, 1, text, sizeof(text), RIG_TIMEOUT_MS));
	host_expect(data_there, text, sizeof(text));
	assert_int_equal(port_input(&data_there->port, text, sizeof(text)), sizeof(text));
	assert_fe_ok(rig, guest_read_port(&guest, 1, got, sizeof(got), RIG_TIMEOUT_MS));
	assert_memory_equal(got, text, sizeof(text));
}

/* VU-177, VU-179, VU-180: rings and buffers are fetched as they are touched, none is lost. */
static void guest_when_its_memory_comes_late_goes_on(void **state)
{
	size_t left = 1;

	(void)state;
	boot_to_move();
	data->pausing = true;
	assert_fe_ok(rig, guest_write_port(&guest, 1, "old,", 4, RIG_TIMEOUT_MS));
	move_without_memory();
	assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
	start_rings();
	host_expect(data_there, "old,", 4);
	exchange();
	assert_true(vhu_frontend_postcopy_faults(&pc).n_backend > 0);
	while (left > 0)
		assert_fe_ok(rig, vhu_frontend_postcopy_fill(&rig->fe, &pc, 64, &left));
	assert_fe_ok(rig, vhu_frontend_postcopy_end(&rig->fe, &pc));
	exchange();
	/* The next table is an ordinary one. */
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	exchange();
}

/* Another table while pages are missing: nothing is read where nobody brings them any more. */
static void table_when_replaced_under_way_loses_nothing(void **state)
{
	(void)state;
	boot_to_move();
	data->pausing = true;
	assert_fe_ok(rig, guest_write_port(&guest, 1, "old,", 4, RIG_TIMEOUT_MS));
	move_without_memory();
	assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
	start_rings();
	for (unsigned int i = 0; i < 20; i++) {
		assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
		rig_step(rig);
	}
	host_expect(data_there, "old,", 4);
	exchange();
	assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
	exchange();
	assert_fe_ok(rig, vhu_frontend_postcopy_end(&rig->fe, &pc));
	exchange();
}

/* VU-179: rings are not looked up before the front-end has given leave. */
static void rings_when_leave_is_not_given_wait(void **state)
{
	struct vhu_msg msg, reply;

	(void)state;
	boot_to_move();
	move_without_memory();
	vhu_frontend_mem_table_message(&rig->fe, &msg);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.size, msg.size);
	assert_int_equal(reply.flags, VHU_REPLY_FLAGS);
	start_rings();
	assert_null(target.b->mem);
	assert_false(target.b->vqs[0].live);
	assert_int_equal(vhu_frontend_postcopy_faults(&pc).n_backend, 0);
	/* A second table takes the place of the one that waited. */
	assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	for (unsigned int i = 0; !target.b->vqs[0].live; i++) {
		rig_step(rig);
		assert_true(i < 2000);
	}
	exchange();
}

/* The front-end dies, and nobody serves a fault any more: the session ends, and nothing hangs. */
static void *hang_up_at_a_fault(void *arg)
{
	struct pollfd p = { .fd = pc.backend_fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

static int advise(void)
{
	struct vhu_msg msg, reply;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.size, 0);
	return fdset_take(&reply.fds, 0);
}

/* The target waits for memory that nobody will ever bring. */
static void give_late_memory(void)
{
	struct vhu_msg msg, reply;

	boot_to_move();
	stop_source();
	leave_source();
	assert_fe_ok(rig, vhu_frontend_memory_make(&rig->fe, &memory));
	assert_fe_ok(rig, vhu_frontend_memory_swap(&rig->fe, &memory));
	come_to_target();
	pc.backend_fd = advise();
	pc.own_fd = pc.wake_fd = -1;
	assert_true(pc.backend_fd >= 0);
	assert_fe_ok(rig, vhu_frontend_postcopy_listen(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       vhu_style_features(&rig->fe, &rig_plan), false));
	vhu_frontend_mem_table_message(&rig->fe, &msg);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put_u64(&msg, 0);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
}

static void start_a_ring(unsigned int idx)
{
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_NUM, idx, 64, false));
	assert_fe_ok(rig, vhu_frontend_vring_addr(&rig->fe, idx, 0, 0, false));
	assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_KICK, idx,
						rig->fe.rings[idx].kick_fd, false));
}

/* A ring of the target has begun to look at it. */
static void ask_for_a_page(void)
{
	give_late_memory();
	start_a_ring(0);
}

static void forget_faults(void)
{
	pc.backend_fd = fd_close(pc.backend_fd);
	pc = (struct vhu_frontend_postcopy){ 0 };
}

/* The ring waits, and nothing else does: not even its own session. */
static void loop_when_a_page_never_comes_goes_on(void **state)
{
	struct pollfd p = { .events = POLLIN };

	(void)state;
	ask_for_a_page();
	p.fd = pc.backend_fd;
	for (unsigned int i = 0; poll(&p, 1, 0) == 0; i++) {
		rig_step(rig);
		assert_true(i < 2000);
	}
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_true(target.b->vqs[0].fetching);
	assert_false(target.b->vqs[0].live);
	vhu_frontend_disconnect(&rig->fe);
	target_await_end(); /* though the front-end's descriptor for faults is open */
	forget_faults();
}

/* What had come is taken out of the file again: that costs its session, and not the loop. */
static void loop_when_pages_are_taken_back_is_freed(void **state)
{
	static const uint64_t one = 1;

	(void)state;
	give_late_memory();
	memset(rig->fe.mem_map, 0, rig->fe.mem_len);
	start_a_ring(GUEST_TX);
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, GUEST_TX, 1, true));
	assert_true(target.b->vqs[GUEST_TX].q.running);
	assert_int_equal(fallocate(rig->fe.mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)rig->fe.mem_len),
			 0);
	assert_int_equal(write(rig->fe.rings[GUEST_TX].kick_fd, &one, sizeof(one)), sizeof(one));
	target_await_end();
	forget_faults();
}

static void front_end_when_it_dies_at_a_fault_costs_its_session(void **state)
{
	pthread_t thread;

	(void)state;
	ask_for_a_page();
	assert_int_equal(pthread_create(&thread, NULL, hang_up_at_a_fault, &rig->fe.fd), 0);
	target_await_end();
	assert_int_equal(pthread_join(thread, NULL), 0);
	forget_faults();
}

/* VU-181, VU-180: without ADVISE there is nothing to listen for, or to end. */
static void messages_when_not_advised_are_refused(void **state)
{
	uint64_t answer = 0;

	(void)state;
	boot_to_move();
	assert_int_equal(vhu_frontend_postcopy_listen(&rig->fe), -EREMOTEIO);
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_POSTCOPY_END, &answer));
	assert_int_equal(answer, 1);
	/* An empty table is what it always was. */
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	expect_port_works(data);
}

/* VU-044 */
static void advise_when_memory_has_slots_brings_no_descriptor(void **state)
{
	(void)state;
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.extra_protocol = BIT(VHU_PF_PAGEFAULT_BIT),
		.n_set_up = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &rig_plan, 0));
	assert_int_equal(advise(), -1);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* Descriptors and threads are counted after each: advised, listening, with a table, and gone. */
static void session_when_it_ends_at_any_step_leaves_nothing(void **state)
{
	(void)state;
	boot_to_move();
	stop_source();
	leave_source();
	for (unsigned int step = 0; step < 3; step++) {
		struct vhu_msg msg, reply;
		int fd;

		come_to_target();
		fd = advise();
		assert_true(fd >= 0);
		close(advise()); /* another one takes its place */
		if (step > 0)
			assert_fe_ok(rig, vhu_frontend_postcopy_listen(&rig->fe));
		vhu_frontend_mem_table_message(&rig->fe, &msg);
		if (step > 1) {
			assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
			assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
		}
		vhu_frontend_disconnect(&rig->fe);
		target_await_end();
		close(fd);
	}
}

#define POSTCOPY_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	POSTCOPY_TEST(guest_when_its_memory_comes_late_goes_on),
	POSTCOPY_TEST(table_when_replaced_under_way_loses_nothing),
	POSTCOPY_TEST(rings_when_leave_is_not_given_wait),
	POSTCOPY_TEST(loop_when_a_page_never_comes_goes_on),
	POSTCOPY_TEST(loop_when_pages_are_taken_back_is_freed),
	POSTCOPY_TEST(front_end_when_it_dies_at_a_fault_costs_its_session),
	POSTCOPY_TEST(messages_when_not_advised_are_refused),
	POSTCOPY_TEST(advise_when_memory_has_slots_brings_no_descriptor),
	POSTCOPY_TEST(session_when_it_ends_at_any_step_leaves_nothing),
};

int main(void)
{
	if (!vhu_postcopy_works("test")) {
		puts("1..0 # SKIP userfaultfd is not to be had here");
		return 0;
	}
	unit_start_alarm();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
