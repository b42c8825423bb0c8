/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that comes late when a call fails on the way, each in turn (VU-177 to
 * VU-181): it is refused, or the session ends, and the next one works.
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include "session_rig.h"

#include "fail_rig.h"
#include "vhu/backend-postcopy.h"
#include "vhu/backend-userfault.h"
#include "vhu/frontend-migrate.h"
#include "vhu/frontend-postcopy.h"

enum { SHORT_MS = 100, MEMORY = 1 << 20 };

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return fails_now(EINVAL) ? -1 : __real_ioctl(fd, request, arg);
}

/* userfaultfd(2), which is not for everybody. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return fails_now(EPERM) ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	return fails_now(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

static struct vhu_frontend_memory memory;
static struct vhu_frontend_postcopy pc;

/* A guest that has stopped, whose memory is in another file by now. */
static void begin(struct session_rig *rig, int timeout_ms)
{
	memory = (struct vhu_frontend_memory)VHU_FRONTEND_MEMORY_NONE;
	pc = (struct vhu_frontend_postcopy){ 0 };
	rig_forget_guest(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.protocol = ~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT)),
		.extra_protocol = BIT(VHU_PF_PAGEFAULT_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, MEMORY, false));
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &rig_plan, 64));
	assert_fe_ok(rig, vhu_style_stop(&rig->fe, &rig_plan));
	assert_fe_ok(rig, vhu_frontend_memory_make(&rig->fe, &memory));
	assert_fe_ok(rig, vhu_frontend_memory_swap(&rig->fe, &memory));
	rig_connect(rig);
	assert_fe_ok(rig, vhu_style_negotiate(&rig->fe, &rig_plan));
	rig->fe.timeout_ms = timeout_ms;
}

/* Its pages come, and the session goes on with all of them. */
static int bring_pages(struct session_rig *rig)
{
	size_t left = 0;
	int err = vhu_frontend_postcopy_begin(&rig->fe, &pc, memory.map, memory.len);

	if (err == 0)
		err = vhu_frontend_postcopy_listen(&rig->fe);
	if (err == 0)
		err = vhu_frontend_postcopy_table(&rig->fe, &pc);
	if (err == 0)
		err = vhu_frontend_postcopy_fill(&rig->fe, &pc, 4, &left);
	return err < 0 ? err : vhu_frontend_postcopy_end(&rig->fe, &pc);
}

static int bring_once(struct session_rig *rig, unsigned int nth, unsigned int *ret_n)
{
	int err;

	begin(rig, nth == UINT_MAX ? RIG_TIMEOUT_MS : SHORT_MS);
	fail_begin(nth);
	err = bring_pages(rig);
	*ret_n = fail_end();
	vhu_frontend_disconnect(&rig->fe);
	rig_await_end(rig);
	vhu_frontend_postcopy_fini(&pc);
	vhu_frontend_memory_fini(&memory);
	return err;
}

static void late_memory_when_a_call_fails_costs_its_session(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_calls, n;

	assert_fe_ok(rig, bring_once(rig, UINT_MAX, &n_calls));
	assert_true(n_calls > 10 && n_calls < 5000);
	for (unsigned int nth = 1; nth <= n_calls; nth++)
		if (bring_once(rig, nth, &n) < 0)
			assert_string_not_equal(rig->fe.error, "");
	assert_int_equal(bring_once(rig, UINT_MAX, &n), 0);
	rig_forget_guest(rig);
	rig->fe.timeout_ms = RIG_TIMEOUT_MS;
	rig_expect_service(rig);
}

/* VU-044: where the kernel does not let us, it is not offered. */
static void userfaultfd_when_the_kernel_refuses_is_not_had(void **state)
{
	int fd;

	(void)state;
	/* Without the call there may be the device. */
	fail_begin(1);
	fd = vhu_userfault_open();
	fail_end();
	assert_int_equal(n_failed, 1);
	fd_close(fd);
	fail_begin(2);
	assert_true(vhu_userfault_open() < 0);
	fail_end();
}

/* VU-177: one at a time. */
static void advice_when_given_again_too_early_is_refused(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_msg msg, reply;

	begin(rig, RIG_TIMEOUT_MS);
	assert_fe_ok(rig, vhu_frontend_postcopy_begin(&rig->fe, &pc, memory.map, memory.len));
	assert_fe_ok(rig, vhu_frontend_postcopy_listen(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_postcopy_table(&rig->fe, &pc));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.fds.n_fds, 0);
	assert_fe_ok(rig, vhu_frontend_postcopy_end(&rig->fe, &pc));
	rig_disconnect(rig);
	vhu_frontend_postcopy_fini(&pc);
	vhu_frontend_memory_fini(&memory);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(late_memory_when_a_call_fails_costs_its_session),
	RIG_TEST(userfaultfd_when_the_kernel_refuses_is_not_had),
	RIG_TEST(advice_when_given_again_too_early_is_refused),
};

/* As test_session_postcopy: where nobody may have a userfaultfd, there is nothing to test. */
int main(void)
{
	unit_start_alarm();
	if (!vhu_postcopy_works("test")) {
		puts("1..0 # SKIP no userfaultfd here");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
