/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "attacks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tools/held-pipe.h"
#include "clock.h"
#include "fd.h"
#include "vhu/codec.h"
#include "vhu/frontend-log.h"

enum {
	TX = GUEST_PORT_TX(INTRUDER_PORT),
	RX = GUEST_PORT_RX(INTRUDER_PORT),
	RACES = 20,
	RACE_NS = 400 * 1000, /* within which the daemon is likely to be at it */
	HUGE_PAGE = 2 << 20,
	STATE_BYTES = 1 << 20,
};

/* Some time in which the daemon does something. */
static void let_it_work(void)
{
	uint64_t end = monotonic_ns() + run_random() % RACE_NS;

	while (monotonic_ns() < end)
		continue;
}

/* Memory that goes */

static void cut_before_kick(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, 8, false);
	intruder_cut(in, in->fe.mem_map);
	intruder_kick(in, TX);
	intruder_await_end(in);
}

static void cut_while_idle(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, 8, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer");
	intruder_cut(in, in->fe.mem_map);
	intruder_kick(in, TX);
	intruder_await_end(in);
}

static void cut_in_processing(struct intruder *in)
{
	for (unsigned int i = 0; i < RACES; i++) {
		intruder_boot(in);
		intruder_offer_output(in, INTRUDER_CHAINS, i % 2);
		intruder_show(in, TX);
		intruder_kick(in, TX);
		let_it_work();
		intruder_cut(in, in->fe.mem_map);
		intruder_kick(in, TX);
		intruder_await_end(in);
	}
}

static void cut_buffers(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, INTRUDER_CHAINS, false);
	intruder_show(in, TX);
	intruder_cut(in, in->hosts[0]);
	intruder_kick(in, TX);
	intruder_await_end(in);
}

static void send_input(const struct intruder *in, size_t len)
{
	static const uint8_t zeroes[GUEST_PAGE];

	for (size_t at = 0; at < len; at += sizeof(zeroes))
		if (send(in->client, zeroes, sizeof(zeroes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return; /* as much as it takes */
}

static void cut_rooms(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_room(in, INTRUDER_CHAINS);
	intruder_show(in, RX);
	intruder_cut(in, in->hosts[0]);
	intruder_kick(in, RX);
	send_input(in, GUEST_PAGE);
	intruder_await_end(in);
}

static void read_some_output(const struct intruder *in)
{
	uint8_t buf[GUEST_PAGE];

	while (recv(in->client, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
}

static void cut_to_socket(struct intruder *in)
{
	for (unsigned int i = 0; i < RACES; i++) {
		intruder_boot(in);
		intruder_offer_output(in, INTRUDER_CHAINS, false);
		intruder_show(in, TX);
		intruder_kick(in, TX);
		read_some_output(in);
		let_it_work();
		intruder_cut(in, in->hosts[i % INTRUDER_CHAINS]);
		read_some_output(in);
		intruder_cut(in, in->fe.mem_map);
		intruder_kick(in, TX);
		intruder_await_end(in);
	}
}

static void cut_from_socket(struct intruder *in)
{
	for (unsigned int i = 0; i < RACES; i++) {
		intruder_boot(in);
		intruder_offer_room(in, INTRUDER_CHAINS);
		intruder_show(in, RX);
		intruder_kick(in, RX);
		send_input(in, (INTRUDER_CHAINS / 2) * GUEST_PAGE);
		let_it_work();
		intruder_cut(in, in->hosts[i % INTRUDER_CHAINS]);
		send_input(in, (INTRUDER_CHAINS / 2) * GUEST_PAGE);
		intruder_cut(in, in->fe.mem_map);
		intruder_kick(in, RX);
		intruder_await_end(in);
	}
}

static void cut_table(struct intruder *in)
{
	void *tables;

	intruder_boot(in);
	tables = intruder_move_tables(in);
	intruder_offer_output(in, 8, true);
	intruder_show(in, TX);
	intruder_cut(in, tables);
	intruder_kick(in, TX);
	intruder_await_end(in);
}

/* The used area lies behind the others; a packed ring has it all in one page. */
static void cut_used(struct intruder *in)
{
	const struct driverq *q;

	intruder_boot(in);
	q = &in->fe.rings[TX].q;
	intruder_offer_output(in, 1, false);
	intruder_show(in, TX);
	intruder_cut(in, vhu_frontend_host(&in->fe, q->packed ? q->desc_addr : q->used_addr));
	intruder_kick(in, TX);
	intruder_await_end(in);
}

static void cut_control(struct intruder *in)
{
	intruder_boot(in);
	intruder_cut(in, vhu_frontend_host(&in->fe, in->fe.rings[GUEST_CTRL_RX].q.desc_addr));
	intruder_kick(in, GUEST_CTRL_RX);
	intruder_kick(in, GUEST_CTRL_TX);
	intruder_await_end(in);
}

/* Files beside memory */

static int file_of(size_t len)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		die("no file in memory: %s", strerror(errno));
	return fd;
}

static void cut_file(int fd)
{
	if (ftruncate(fd, 0) < 0)
		die("a file cannot be cut off: %s", strerror(errno));
}

/* The daemon's own file is sealed: this one is like it. */
static void cut_record(struct intruder *in)
{
	struct vhu_frontend_inflight record = VHU_FRONTEND_INFLIGHT_NONE;

	intruder_negotiate(in);
	must(&in->fe,
	     vhu_frontend_set_u64(&in->fe, VHU_FE_SET_FEATURES,
				  vhu_style_features(&in->fe, &in->plan), true),
	     "features, which the record's layout follows");
	must(&in->fe,
	     vhu_frontend_inflight_get(&in->fe, &record, in->plan.n_set_up, INTRUDER_RING_SIZE),
	     "a record of requests in flight");
	fd_close(record.fd);
	record.fd = file_of(record.wire.mmap_size);
	if (pwrite(record.fd, record.map, record.wire.mmap_size, 0) < 0)
		die("a record cannot be copied: %s", strerror(errno));
	intruder_go_on(in, &record);
	cut_file(record.fd);
	intruder_offer_output(in, 8, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	intruder_await_end(in);
	vhu_frontend_inflight_fini(&record);
}

static void cut_log(struct intruder *in)
{
	struct vhu_frontend_log log;

	intruder_boot(in);
	must(&in->fe, vhu_frontend_log_make(&in->fe, &log, 0), "a log");
	fd_close(log.fd);
	log.fd = file_of(log.map_len);
	must(&in->fe, vhu_frontend_log_give(&in->fe, &log), "giving the log");
	must(&in->fe, vhu_frontend_log_switch(&in->fe, in->plan.n_set_up, true), "logging");
	cut_file(log.fd);
	intruder_offer_output(in, 8, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	intruder_await_end(in);
	vhu_frontend_log_fini(&log);
}

/* Messages after memory has gone */

static void cut_then_table(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, 8, false);
	intruder_show(in, TX);
	intruder_cut(in, in->fe.mem_map);
	(void)vhu_frontend_set_mem_table(&in->fe, 0,
					 true); /* refused: it is longer than its file */
	intruder_kick(in, TX);
	intruder_await_end(in);
}

static void cut_and_gone(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, INTRUDER_CHAINS, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	intruder_cut(in, in->fe.mem_map);
	intruder_leave(in);
}

static void cut_and_stop(struct intruder *in)
{
	uint32_t base;

	intruder_boot(in);
	intruder_offer_output(in, INTRUDER_CHAINS, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	intruder_cut(in, in->fe.mem_map);
	for (unsigned int i = 0; i < in->plan.n_set_up; i++)
		if (vhu_frontend_vring_base(&in->fe, i, &base) < 0)
			break; /* the session has ended by then */
	intruder_leave(in);
}

/* Memory that is other than it was */

static void punch_rings(struct intruder *in)
{
	const struct vhu_frontend_ring *ring;

	intruder_boot(in);
	ring = &in->fe.rings[TX];
	intruder_offer_output(in, INTRUDER_CHAINS, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	let_it_work();
	intruder_punch(in, ring->block, driverq_bytes(INTRUDER_RING_SIZE));
	intruder_kick(in, TX);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer after rings were replaced by zeroes");
	intruder_leave(in);
}

static void punch_buffers(struct intruder *in)
{
	intruder_boot(in);
	intruder_offer_output(in, INTRUDER_CHAINS, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	intruder_punch(in, in->hosts[0], (size_t)INTRUDER_CHAINS * GUEST_PAGE);
	must(&in->fe, vhu_frontend_ping(&in->fe),
	     "an answer after buffers were replaced by zeroes");
	intruder_leave(in);
}

/* Where the machine has such pages, it is a plain session. */
static void huge_pages_missing(struct intruder *in)
{
	const struct vhu_region region = {
		.guest_addr = HUGE_PAGE,
		.size = HUGE_PAGE,
		.user_addr = HUGE_PAGE,
	};
	struct vhu_mem_table table = { .n_regions = 1, .regions = { region } };
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_HUGETLB);
	struct vhu_msg msg;
	int err;

	if (fd < 0 || ftruncate(fd, HUGE_PAGE) < 0)
		die("no file of huge pages: %s", strerror(errno));
	intruder_negotiate(in);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &table, offsetof(struct vhu_mem_table, regions) + sizeof(region));
	msg.flags |= VHU_FLAG_NEED_REPLY;
	msg.fds.fd[msg.fds.n_fds++] = fd;
	err = vhu_frontend_request(&in->fe, &msg, NULL, RUN_WAIT_MS);
	if (err < 0 && err != -EREMOTEIO)
		must(&in->fe, err, "a refusal of memory that is not there");
	fd_close(fd);
	intruder_leave(in);
}

/* The device's state */

static void move_state(struct intruder *in, bool load, int fd)
{
	const struct vhu_device_state payload = { .direction = load };
	struct vhu_msg msg, reply;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	msg.fds.fd[msg.fds.n_fds++] = fd;
	must(&in->fe, vhu_frontend_request(&in->fe, &msg, &reply, RUN_WAIT_MS), "moving state");
	fdset_close(&reply.fds);
}

static void state_to_nobody(struct intruder *in)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("no pipe: %s", strerror(errno));
	intruder_negotiate(in);
	move_state(in, false, fds[1]);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer while state is saved");
	fd_close(fds[0]); /* what is written now finds nobody */
	fd_close(fds[1]);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer after state was saved to nobody");
	intruder_leave(in);
}

static void state_from_nobody(struct intruder *in)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("no pipe: %s", strerror(errno));
	intruder_negotiate(in);
	move_state(in, true, fds[0]);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer while state is loaded");
	intruder_leave(in); /* the daemon waits for bytes: its session ends without them */
	fd_close(fds[0]);
	fd_close(fds[1]);
}

static void state_from_cut_file(struct intruder *in)
{
	int fd = file_of(STATE_BYTES);

	intruder_negotiate(in);
	move_state(in, true, fd);
	cut_file(fd);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer while state is loaded");
	intruder_leave(in);
	fd_close(fd);
}

/* Descriptors that do what nobody expects */

static void hold(struct held_pipe *h)
{
	held_pipe_make(h);
	if (h->uffd < 0)
		printf("# without userfaultfd no pipe can be held: these are plain ones\n");
}

/* The session may wait for its end until the pipes are let go, but nobody else for it. */
static void held_pipes(struct intruder *in)
{
	struct held_pipe kick, call;

	hold(&kick);
	hold(&call);
	intruder_boot(in);
	must(&in->fe, vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_CALL, TX, call.fds[1], true),
	     "a pipe as call");
	must(&in->fe, vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, RX, kick.fds[0], true),
	     "a pipe as kick");
	intruder_offer_output(in, 8, false);
	intruder_show(in, TX);
	intruder_kick(in, TX);
	must(&in->fe, vhu_frontend_ping(&in->fe), "an answer while the pipes are held");
	intruder_leave(in);
	held_pipe_unmake(&kick);
	held_pipe_unmake(&call);
}

static void await_stuck(pid_t pid)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	while (!held_pipe_is_met(pid)) {
		if (monotonic_ms() > deadline)
			die("the daemon's operation on a held pipe does not wait for it");
		poll(NULL, 0, 1);
	}
}

static void await_words(const struct run_daemon *d, const char *words)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	long at = 0;

	while (!daemon_said(d, words, &at)) {
		if (waitpid(d->pid, NULL, WNOHANG) == d->pid)
			die("the daemon ends, and an operation of its is held up: expected a word");
		if (monotonic_ms() > deadline)
			die("the daemon does not end, nor say why");
		poll(NULL, 0, 1);
	}
}

void attack_end(struct run_daemon *d, struct intruder *in)
{
	struct held_pipe kick;
	int status;

	hold(&kick);
	intruder_boot(in);
	must(&in->fe, vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, TX, kick.fds[0], true),
	     "a pipe as kick");
	if (kick.uffd >= 0)
		await_stuck(d->pid);
	kill(d->pid, SIGTERM);
	if (kick.uffd >= 0)
		await_words(d, "the end has not come");
	held_pipe_unmake(&kick);
	if (waitpid(d->pid, &status, 0) != d->pid || !WIFEXITED(status))
		die("the daemon has ended with status 0x%x", status);
	intruder_leave(in);
}

static void own_socket(struct intruder *in)
{
	const uint8_t half[VHU_HDR_LEN / 2] = { VHU_FE_SET_VRING_KICK };

	intruder_negotiate(in);
	must(&in->fe, vhu_frontend_send_raw(&in->fe, half, sizeof(half), &in->fe.fd, 1),
	     "half a message");
	intruder_leave(in); /* nothing but what the daemon was sent keeps the connection open */
}

static void semaphore_kick(struct intruder *in)
{
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0 || write(fd, &most, sizeof(most)) < 0)
		die("no semaphore: %s", strerror(errno));
	intruder_boot(in);
	must(&in->fe, vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, TX, fd, true),
	     "a kick that is a semaphore");
	if (vhu_frontend_await_readable(&in->fe, &in->fe.rings[TX].err_fd, 1, RUN_WAIT_MS) < 0)
		die("a ring whose kick never ends goes on for ever");
	intruder_leave(in);
	fd_close(fd);
}

const struct attack attacks[] = {
#define ATTACK(name, text) { text, name },
#include "attacks.def"
	{ 0 },
};
