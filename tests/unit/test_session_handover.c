/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session that another process goes on with, while its front-end and its driver
 * see nothing of it (VU-208, VU-212, VU-172 hold across it). The other process is
 * a child that has the same descriptors; its port gives back what the guest writes.
 * What is wrong with the bytes is said, and nothing else happens.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "iommu_rig.h"

#include "fail_rig.h"
#include "loop-share.h"
#include "vhu/backend-handover.h"
#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"
#include "virtio/console-handover.h"

enum {
	SIZE = 64,
	PARK_NS = 1000 * 1000 * 1000,
	FAR_TOO_MUCH = 1000 * 1000 * 1000, /* ns of the loop's time */
	TAG_SESSION = 1,
	TAG_CONSOLE,
	LOADED = 0,
	REFUSED = 3,
	CRASHED = 4,
	MENDED = 5, /* a call failed, and it was done without */
	LEAKED = 6, /* refused, and not exactly what it had taken is closed */
};

/* Counts what a child has done, if lines are counted. */
extern void __gcov_dump(void) __attribute__((weak));

static struct handover_out out;
static struct vhu_frontend_inflight record = VHU_FRONTEND_INFLIGHT_NONE;
static struct vhu_frontend_log dirty = VHU_FRONTEND_LOG_NONE;

/* The process that goes on. */
static struct other {
	struct loop *loop;
	struct console con;
	struct port port;
	struct port_client client;
	struct vhu_backend *b;
	struct handover_in in;
	struct scope scope;
	struct op until;
	char byte;
} other;

static unsigned int n_leaked; /* how many others were refused, and left something open */
static pid_t other_pid;
static int other_end = -1; /* closed: it ends */

static void echo(struct port_client *client)
{
	char bytes[512];

	while (port_readable(client)) {
		size_t n = port_read(client, bytes, sizeof(bytes));

		port_input(&other.port, bytes, n);
	}
}

static const struct port_client_ops echo_ops = { .output_ready = echo };

static void other_ended(struct vhu_backend *b, void *arg)
{
	(void)arg;
	vhu_backend_free(b);
	other.b = NULL;
}

static void enough(struct op *op, int res)
{
	(void)op;
	(void)res;
	loop_stop(other.loop);
}

static _Noreturn void leave(int status)
{
	fflush(NULL);
	if (__gcov_dump)
		__gcov_dump();
	_exit(status);
}

/* What this program finds before it has any session. */
static void other_begin(void)
{
	const char *why;

	unit_start_alarm(); /* a child has none */
	if (loop_new(64, &other.loop, &why) < 0 || port_init(&other.port, 4096) < 0 ||
	    console_init(&other.con, 1, false) < 0)
		leave(CRASHED);
	console_add_port(&other.con, 0, &other.port);
}

static bool other_load(const void *bytes, size_t len, bool iommu, unsigned int nth)
{
	struct vhu_backend_options options = { .who = "other",
					       .max_queue_size = RIG_QUEUE_MAX,
					       .iommu = iommu };
	const struct state_reader *r = &other.in.state;
	int err;

	fail_begin(nth);
	err = handover_in_init(&other.in, bytes, len);
	if (err == 0)
		err = vhu_backend_load(other.loop, &other.con.vdev, &other.in, TAG_SESSION,
				       &options, other_ended, NULL, &other.b);
	if (err == 0)
		console_handover_load(&other.con, &other.in, TAG_CONSOLE);
	if (err == 0)
		err = state_end_of(&other.in.state);
	fail_end();
	if (err < 0 && r->failed && r->why[0] == '\0')
		leave(CRASHED);
	return err == 0 && !r->failed;
}

/*
 * What was refused ends. Closed with it is each descriptor that it had taken, and no
 * other: those are for who read the state to close.
 */
static int other_give_up(unsigned int n_fds_before)
{
	unsigned int n_taken = 0;

	for (size_t i = 0; i < out.n_fds; i++)
		n_taken += handover_taken(&other.in, out.fds[i]);
	if (other.b)
		vhu_backend_close(other.b, LOG_LEVEL_ERROR, NULL);
	while (other.b)
		if (loop_step(other.loop, true) < 0)
			return CRASHED;
	return fd_count_open() + n_taken == n_fds_before ? REFUSED : LEAKED;
}

/* Until the parent has heard enough. */
static void other_run(int until)
{
	static const struct port_client_options options = { .writes = true, .what = "echo" };

	scope_init(&other.scope, other.loop);
	op_init(&other.until, &other.scope, enough);
	op_read(&other.until, until, &other.byte, 1);
	port_join(&other.port, &other.client, &echo_ops, &options);
	if (loop_run(other.loop) < 0)
		leave(CRASHED);
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), CRASHED);
	n_leaked += WEXITSTATUS(status) == LEAKED;
	return WEXITSTATUS(status) == LEAKED ? REFUSED : WEXITSTATUS(status);
}

/* Another process tries these bytes, the nth of its calls for memory in vain. */
static int try_in_other(const struct session_rig *rig, const void *bytes, size_t len,
			unsigned int nth)
{
	pid_t pid = fork();
	unsigned int n_fds;

	assert_true(pid >= 0);
	if (pid > 0)
		return status_of(pid);
	other_begin();
	n_fds = fd_count_open();
	if (!other_load(bytes, len, rig->iommu, nth))
		leave(other_give_up(n_fds));
	leave(n_failed > 0 ? MENDED : LOADED);
}

/* The session at rest, and written down. */
static void save(struct session_rig *rig)
{
	assert_int_equal(loop_park(rig->loop, PARK_NS), 0);
	handover_out_init(&out);
	vhu_backend_save(rig->b, &out, TAG_SESSION);
	console_handover_save(&rig->con, &out, TAG_CONSOLE);
	assert_int_equal(state_finish(&out.state), 0);
	assert_false(out.failed);
	rig->fe.pump = NULL;
}

static void take_back(struct session_rig *rig)
{
	handover_out_fini(&out);
	loop_unpark(rig->loop);
}

/* The other process goes on from here. */
static void hand_over(struct session_rig *rig)
{
	int fds[2];

	save(rig);
	if (out.why[0])
		fail_msg("it cannot go: %s", out.why);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	other_pid = fork();
	assert_true(other_pid >= 0);
	if (other_pid == 0) {
		close(fds[1]);
		other_begin();
		if (!other_load(out.state.buf, out.state.len, rig->iommu, 0))
			leave(REFUSED);
		other_run(fds[0]);
		leave(LOADED);
	}
	close(fds[0]);
	other_end = fds[1];
}

static void end_other(void)
{
	close(other_end);
	assert_int_equal(status_of(other_pid), LOADED);
}

/* What is left of the session in this process has nothing to do any more. */
static void end_here(struct session_rig *rig, int (*pump)(void *arg))
{
	unsigned int n = n_leaked;

	n_leaked = 0;
	rig->fe.pump = pump;
	take_back(rig);
	rig_disconnect(rig);
	assert_int_equal(n, 0);
}

/* The guest of the session writes, and reads it back. */
static void expect_echo(struct session_rig *rig, const char *text)
{
	char got[64] = "";

	assert_fe_ok(rig, guest_write(&g, text, strlen(text), RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_read(&g, got, strlen(text), RIG_TIMEOUT_MS));
	assert_string_equal(got, text);
}

/* Every number of the saved session, one after the other, as large as can be. */
static void expect_bad_numbers_are_said(struct session_rig *rig);

static void session_when_handed_over_goes_on(struct session_rig *rig)
{
	int (*pump)(void *arg) = rig->fe.pump;

	hand_over(rig);
	expect_echo(rig, "across");
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	expect_echo(rig, "again");
	end_other();
	expect_bad_numbers_are_said(rig);
	end_here(rig, pump);
}

/* FNV-1a, as a state ends with it. */
static void seal(uint8_t *bytes, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len - STATE_CHECK_LEN; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
	memcpy(bytes + len - STATE_CHECK_LEN, &sum, sizeof(sum));
}

struct field {
	uint16_t tag;
	uint8_t type, flags;
	uint32_t len;
};

/* The next number or bytes after *at, into groups; false at the end. */
static bool next_field(const uint8_t *bytes, size_t len, size_t *at, struct field *ret_field)
{
	while (*at + STATE_FIELD_LEN <= len - STATE_CHECK_LEN) {
		memcpy(ret_field, bytes + *at, sizeof(*ret_field));
		*at += STATE_FIELD_LEN;
		if (ret_field->type != STATE_GROUP)
			return true;
	}
	return false;
}

static void expect_bad_numbers_are_said(struct session_rig *rig)
{
	const size_t len = out.state.len;
	uint8_t *bytes = malloc(len);
	size_t at = STATE_HEADER_LEN;
	unsigned int n_refused = 0;
	struct field field;

	assert_non_null(bytes);
	while (next_field(out.state.buf, len, &at, &field)) {
		memcpy(bytes, out.state.buf, len);
		memset(bytes + at, 0xff, field.len);
		seal(bytes, len);
		n_refused += try_in_other(rig, bytes, len, 0) == REFUSED;
		at += field.len;
	}
	assert_true(n_refused > 20);
	free(bytes);
}

static void expect_shortage_is_said(struct session_rig *rig)
{
	unsigned int nth = 1, n_refused = 0;
	int status;

	while ((status = try_in_other(rig, out.state.buf, out.state.len, nth++)) != LOADED)
		n_refused += status == REFUSED;
	assert_true(n_refused > 5);
}

/* A guest with its record of what is in flight, and a dirty log. */
static void begin_recorded(struct session_rig *rig, uint64_t kind)
{
	rig_forget_guest(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = usual_features | kind,
		.protocol = usual_protocol,
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_style_begin(&rig->fe, &rig_plan));
	assert_fe_ok(rig, vhu_frontend_inflight_ready(&rig->fe, &record,
						      vhu_style_features(&rig->fe, &rig_plan),
						      GUEST_N_RINGS, SIZE));
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, SIZE));
	start_guest(rig);
	assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &dirty, 0));
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &dirty));
	assert_fe_ok(rig, vhu_frontend_log_fd(&rig->fe, rig->fe.rings[0].call_fd));
	assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, true));
	rig_settle(rig);
}

static void end_recorded(void)
{
	vhu_frontend_inflight_fini(&record);
	vhu_frontend_log_fini(&dirty);
}

static void recorded_session_when_handed_over_goes_on(void **state)
{
	struct session_rig *rig = *state;

	for (unsigned int packed = 0; packed < 2; packed++) {
		begin_recorded(rig, packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);
		session_when_handed_over_goes_on(rig);
		guest_fini(&g);
		guest_there = false;
		end_recorded();
	}
}

static void session_when_there_is_no_memory_for_it_is_refused(void **state)
{
	struct session_rig *rig = *state;
	int (*pump)(void *arg) = rig->fe.pump;

	for (unsigned int packed = 0; packed < 2; packed++) {
		begin_recorded(rig, packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);
		save(rig);
		expect_shortage_is_said(rig);
		end_here(rig, pump);
		guest_fini(&g);
		guest_there = false;
		end_recorded();
	}
}

/* VU-208: translations go along, so that the rings' are not asked for again. */
static void translated_session_when_handed_over_goes_on(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_misses;

	setup_iommu(rig);
	start_guest(rig);
	rig_settle(rig);
	n_misses = table.n_misses;
	assert_true(n_misses > 0);
	session_when_handed_over_goes_on(rig);
	/* New pages of the buffers at most: those of the rings are known. */
	assert_true(table.n_misses - n_misses < n_misses / 2);
}

static void translated_session_when_there_is_no_memory_for_it_is_refused(void **state)
{
	struct session_rig *rig = *state;
	int (*pump)(void *arg) = rig->fe.pump;

	setup_iommu(rig);
	start_guest(rig);
	rig_settle(rig);
	save(rig);
	expect_shortage_is_said(rig);
	end_here(rig, pump);
}

/* VU-142: a call whose answer has not come is waited for by the other process. */
static void question_when_unanswered_goes_along(void **state)
{
	struct session_rig *rig = *state;
	int (*pump)(void *arg) = rig->fe.pump;

	rig_setup_style(rig, VHU_STYLE_UML, 64,
			~(BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT)), 0);
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_INBAND_NOTIFICATIONS_BIT));
	rig->fe.channel_silent = true;
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_settle(rig);
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], 1);
	hand_over(rig);
	rig_offer_output(rig, "y");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], 1);
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	rig->fe.channel_silent = false;
	assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
	end_other();
	expect_bad_numbers_are_said(rig);
	end_here(rig, pump);
}

static void still_rests(struct share *share)
{
	share_charge(share, FAR_TOO_MUCH);
}

/* What a guest's requests have cost keeps the next from being read here, not there. */
static void session_when_it_rests_is_read_from_in_the_other_process(void **state)
{
	struct session_rig *rig = *state;
	int (*pump)(void *arg) = rig->fe.pump;
	struct share share;

	rig_setup_usual(rig);
	share_init(&share, rig->loop, still_rests);
	rig->b->share = &share;
	share_charge(&share, FAR_TOO_MUCH);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	rig_settle(rig);
	assert_false(op_armed(&rig->b->conn.rx));
	hand_over(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	end_other();
	share_fini(&share);
	vhu_backend_rested(rig->b);
	end_here(rig, pump);
}

static void session_when_it_ends_cannot_be_handed_over(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	rig_settle(rig);
	vhu_backend_close(rig->b, LOG_LEVEL_INFO, "for the test");
	handover_out_init(&out);
	vhu_backend_save(rig->b, &out, TAG_SESSION);
	assert_non_null(strstr(out.why, "ending"));
	handover_out_fini(&out);
	rig_await_end(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(recorded_session_when_handed_over_goes_on, rig_setup, teardown),
	UNIT_TEST_WITH(session_when_there_is_no_memory_for_it_is_refused, rig_setup, teardown),
	IOMMU_TEST(translated_session_when_handed_over_goes_on),
	IOMMU_TEST(translated_session_when_there_is_no_memory_for_it_is_refused),
	RIG_TEST(question_when_unanswered_goes_along),
	RIG_TEST(session_when_it_rests_is_read_from_in_the_other_process),
	RIG_TEST(session_when_it_ends_cannot_be_handed_over),
};
UNIT_MAIN(tests)
