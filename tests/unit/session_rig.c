/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "session_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "clock.h"
#include "virtio/features.h"

enum { TICK_NS = 2 * 1000 * 1000 };

struct vhu_frontend_plan rig_plan;

static void ticked(struct op *op, int res)
{
	(void)op;
	(void)res;
}

/* One iteration, which ends at the tick if nothing else happens. */
static int pump(void *arg)
{
	struct session_rig *rig = arg;

	if (!op_armed(&rig->tick.op))
		timer_arm(&rig->tick, TICK_NS);
	return loop_step(rig->loop, true);
}

void rig_ended(struct vhu_backend *b, void *arg)
{
	struct session_rig *rig = arg;

	assert_ptr_equal(b, rig->b);
	vhu_backend_free(b);
	rig->b = NULL;
	rig->n_ended++;
}

static void collect(struct port_client *client)
{
	struct session_rig *rig = container_of(client, struct session_rig, client);

	while (port_readable(client)) {
		if (rig->output_cap - rig->output_len < 4096) {
			rig->output_cap = 2 * rig->output_cap + 4096;
			rig->output = realloc(rig->output, rig->output_cap);
			assert_non_null(rig->output);
		}
		rig->output_len += port_read(client, rig->output + rig->output_len,
					     rig->output_cap - rig->output_len);
	}
}

static const struct port_client_ops client_ops = { .output_ready = collect };

int rig_setup_ports(void **state, unsigned int max_ports)
{
	struct session_rig *rig = calloc(1, sizeof(*rig));
	const char *why = "";

	unit_setup(NULL);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	log_set_level(getenv("UNIT_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	assert_non_null(rig);
	if (loop_new(64, &rig->loop, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(port_init(&rig->port, RIG_HISTORY), 0);
	assert_int_equal(console_init(&rig->con, max_ports, false), 0);
	console_add_port(&rig->con, 0, &rig->port);
	scope_init(&rig->scope, rig->loop);
	timer_init(&rig->tick, &rig->scope, ticked);
	vhu_frontend_init(&rig->fe, -1);
	rig->fe.pump = pump;
	rig->fe.pump_arg = rig;
	*state = rig;
	return 0;
}

int rig_setup(void **state)
{
	return rig_setup_ports(state, 1);
}

int rig_teardown(void **state)
{
	struct session_rig *rig = *state;

	if (rig->joined)
		rig_leave(rig);
	if (rig->b)
		rig_disconnect(rig);
	while (op_armed(&rig->tick.op)) {
		op_cancel(&rig->tick.op);
		assert_int_equal(loop_step(rig->loop, true), 0);
	}
	vhu_frontend_fini(&rig->fe);
	if (console_port(&rig->con, 0) == &rig->port)
		console_remove_port(&rig->con, 0);
	console_fini(&rig->con);
	port_fini(&rig->port);
	loop_free(rig->loop);
	free(rig->output);
	free(rig);
	return unit_teardown(NULL);
}

void rig_connect(struct session_rig *rig)
{
	struct vhu_backend_options options = {
		.who = "rig",
		.max_queue_size = RIG_QUEUE_MAX,
		.iommu = rig->iommu,
	};
	int fds[2];

	if (rig->b)
		rig_disconnect(rig);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(vhu_backend_new(rig->loop, &rig->con.vdev, fds[0], &options, rig_ended,
					 rig, &rig->b),
			 0);
	vhu_frontend_attach(&rig->fe, fds[1]);
}

void rig_step(struct session_rig *rig)
{
	assert_int_equal(pump(rig), 0);
}

void rig_await_end(struct session_rig *rig)
{
	unsigned int n = 0;

	while (rig->b) {
		assert_int_equal(pump(rig), 0);
		assert_true(n++ < 2000);
	}
}

void rig_disconnect(struct session_rig *rig)
{
	vhu_frontend_disconnect(&rig->fe);
	if (rig->b)
		rig_await_end(rig);
}

void rig_settle(struct session_rig *rig)
{
	/* A tick that comes alone means that there was nothing else to do. */
	assert_int_equal(vhu_frontend_pass_time(&rig->fe, 5), 0);
}

void rig_forget_guest(struct session_rig *rig)
{
	vhu_frontend_fini(&rig->fe);
	rig->fe.pump = pump;
	rig->fe.pump_arg = rig;
}

static void begin_style(struct session_rig *rig, enum vhu_frontend_style style, uint64_t features,
			uint64_t protocol)
{
	if (rig->b)
		rig_disconnect(rig);
	rig_forget_guest(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = style,
		.features = features,
		.protocol = protocol,
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	/* cloud-hypervisor's guests do not see F_MULTIPORT. */
	if (style == VHU_STYLE_CLOUD_HYPERVISOR ||
	    (features != 0 && !(features & BIT(CONSOLE_F_MULTIPORT_BIT))))
		rig_plan.n_set_up = 2;
}

void rig_setup_style(struct session_rig *rig, enum vhu_frontend_style style, unsigned int size,
		     uint64_t features, uint64_t protocol)
{
	begin_style(rig, style, features, protocol);
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &rig_plan, size));
}

/* Neither region by region, nor held back until DRIVER_OK. */
static const uint64_t usual_protocol =
	~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT));

void rig_setup_usual(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_QEMU, 0, 0, usual_protocol);
}

void rig_setup_regions(struct session_rig *rig, const struct vhu_region *regions, unsigned int n)
{
	begin_style(rig, VHU_STYLE_QEMU, 0, usual_protocol);
	assert_fe_ok(rig, vhu_frontend_make_memory(&rig->fe, regions, n));
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &rig_plan, 0));
}

void rig_join(struct session_rig *rig)
{
	static const struct port_client_options options = {
		.writes = true,
		.replay = PORT_REPLAY_ALL,
		.what = "rig",
	};

	port_join(&rig->port, &rig->client, &client_ops, &options);
	rig->joined = true;
	collect(&rig->client);
}

void rig_leave(struct session_rig *rig)
{
	port_leave(&rig->client);
	rig->joined = false;
}

void rig_expect_output(struct session_rig *rig, const void *bytes, size_t len)
{
	int64_t deadline = monotonic_ms() + RIG_TIMEOUT_MS;

	while (rig->output_len < len && monotonic_ms() < deadline) {
		assert_int_equal(pump(rig), 0);
		assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 0)); /* it may be asked for */
	}
	assert_int_equal(rig->output_len, len);
	if (len > 0)
		assert_memory_equal(rig->output, bytes, len);
	rig->output_len = 0;
}

void rig_expect_no_output(struct session_rig *rig)
{
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, RIG_QUIET_MS));
	assert_int_equal(rig->output_len, 0);
}

void rig_offer_output(struct session_rig *rig, const char *text)
{
	struct driverq_buf buf = { .len = (uint32_t)strlen(text) };
	void *host = vhu_frontend_alloc(&rig->fe, buf.len, 16, &buf.addr);
	void *token;
	uint32_t len;

	assert_non_null(host);
	while (driverq_get(&rig->fe.rings[GUEST_TX].q, &token, &len) == DRIVERQ_USED)
		assert_int_equal(len, 0);
	memcpy(host, text, buf.len);
	assert_int_equal(driverq_add(&rig->fe.rings[GUEST_TX].q, &buf, 1, 0, false, rig), 0);
	driverq_publish(&rig->fe.rings[GUEST_TX].q);
}

void rig_expect_service(struct session_rig *rig)
{
	struct guest g;
	char byte = 0;
	bool joined = rig->joined;

	rig_setup_usual(rig);
	if (!joined)
		rig_join(rig);
	rig->output_len = 0;
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_write(&g, "o", 1, RIG_TIMEOUT_MS));
	rig_expect_output(rig, "o", 1);
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	assert_fe_ok(rig, guest_read(&g, &byte, 1, RIG_TIMEOUT_MS));
	assert_int_equal(byte, 'i');
	guest_fini(&g);
	if (!joined)
		rig_leave(rig);
	rig_disconnect(rig);
}

static int small_file(int how)
{
	char path[32];
	int fd = memfd_create("small", MFD_CLOEXEC);
	int again;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, GUEST_PAGE), 0);
	if (how == O_RDWR)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(ftruncate(fd, 1 << 24), 0);
	again = open(path, how | O_CLOEXEC);
	assert_true(again >= 0);
	close(fd);
	return again;
}

static int make_fd(const struct session_rig *rig, enum rig_fd_kind kind)
{
	int fd = -1;

	switch (kind) {
	case RIG_FD_MEMORY:
		fd = fcntl(rig->fe.mem_fd, F_DUPFD_CLOEXEC, 0);
		break;
	case RIG_FD_SMALL:
		fd = small_file(O_RDWR);
		break;
	case RIG_FD_READ_ONLY:
		fd = small_file(O_RDONLY);
		break;
	case RIG_FD_DIRECTORY:
		fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		break;
	case RIG_FD_SOCKET:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		break;
	}
	assert_true(fd >= 0);
	return fd;
}

static void send_refused(struct session_rig *rig, const struct rig_refusal *r, uint32_t flags)
{
	uint8_t bytes[VHU_HDR_LEN + sizeof(r->words)];
	uint32_t head[3] = { r->id, VHU_VERSION | r->flags | flags, r->size };
	size_t len = VHU_HDR_LEN + min_size(r->size, sizeof(r->words));
	int fd = r->n_fds > 0 ? make_fd(rig, r->kind) : -1;
	int fds[253];

	assert_true(r->n_fds <= ARRAY_SIZE(fds));
	for (unsigned int i = 0; i < r->n_fds; i++)
		fds[i] = fd;
	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + sizeof(head), r->words, sizeof(r->words));
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, fds, r->n_fds));
	fd_close(fd);
}

static void expect_answer(struct session_rig *rig, const struct rig_refusal *r)
{
	struct vhu_msg reply;

	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.id, r->id);
	assert_int_equal(reply.flags, VHU_REPLY_FLAGS);
	assert_int_equal(reply.fds.n_fds, 0);
	assert_int_equal(reply.size, r->empty_reply ? 0 : 8);
	if (!r->empty_reply)
		assert_true(vhu_msg_u64(&reply) != 0);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

void rig_expect_refusal(struct session_rig *rig, const struct rig_refusal *r,
			void (*begin)(struct session_rig *rig))
{
	static const uint32_t wants[] = { VHU_FLAG_NEED_REPLY, 0 };
	unsigned int n_fds = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		int err;

		begin(rig);
		if (i == 0)
			n_fds = fd_count_open();
		assert_int_equal(fd_count_open(), n_fds);
		send_refused(rig, r, wants[i]);
		if (r->empty_reply || (wants[i] && !r->closes)) {
			expect_answer(rig, r);
			assert_int_equal(fd_count_open(), n_fds);
			continue;
		}
		err = vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS);
		if (err < 0)
			fail_msg("%s, message %u: %s", r->clause, r->id, rig->fe.error);
		rig_await_end(rig);
	}
	begin(rig);
	assert_int_equal(fd_count_open(), n_fds);
}
