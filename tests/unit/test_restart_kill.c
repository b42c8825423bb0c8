/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A daemon that is killed at any instruction, with a journal and a record of
 * requests in flight: the next one goes on, and no byte of either direction is
 * lost or doubled (VU-171 to VU-173, VC-062). A child serves both rings of a
 * port and its client and is stopped after every instruction. Whenever
 * something that outlives it has changed (guest memory, record, journal, what is
 * in the sockets), another process goes on from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ring_rig.h"

#include "backends/port-journal.h"
#include "virtio/console.h"

enum {
	RX = 0,
	TX = 1,
	SIZE = 16,
	HISTORY = 64,
	N_OUT = 5, /* chains that the guest has for us, */
	OUT_LEN = 40,
	OUT_BYTES = N_OUT * OUT_LEN,
	N_IN = 6, /* and those for what it gets */
	IN_PART = 5,
	IN_LEN = 2 * IN_PART,
	N_MESSAGES = 3, /* that the client has sent */
	MESSAGE = 14,
	N_RANGES = 9,
	MAX_MOMENTS = 4096,
	AGAIN = 2,     /* at which of those moments the next one is killed as well */
	FINISHED = 40, /* exit status: it has published what the one before had not */
};

/* What outlives a process. */
struct range {
	uint8_t *at;
	size_t len;
};

struct moment {
	uint8_t *bytes;
	int n_sent, n_received; /* by the clients' socket */
};

struct moments {
	unsigned int n;
	struct moment at[MAX_MOMENTS];
};

static struct {
	struct rig side[2]; /* each ring with its guest memory */
	struct inflight *record;
	int record_fd;
	char dir[64], path[96];
	uint8_t *journal;
	size_t journal_len;
	int fds[2]; /* the daemon's end, the client's */
	struct range ranges[N_RANGES];
	unsigned int n_ranges;
	size_t n_bytes;
	struct moments first, second;
} rig;

/* One process. */
static struct {
	struct port port;
	struct port_journal *journal;
	struct port_client client;
	struct console console;
	struct vqueue q[2];
	bool finished;
} life;

static const struct port_client_ops client_ops;
static const struct port_client_options writer = { .writes = true, .holds = true };

static uint8_t byte_at(unsigned int salt, size_t pos)
{
	return (uint8_t)((pos + salt) * 151 >> 3);
}

/* The daemon. */

static void wake_nobody(struct vqueue *q)
{
	(void)q;
}

static void start_queue(unsigned int idx)
{
	const struct vdev_ops *ops = life.console.vdev.ops;
	struct rig *side = &rig.side[idx];
	struct virtq_ring ring = driver_ring(&side->driver, side->mem);
	struct vqueue *q = &life.q[idx];
	struct ring_mark mark;

	*q = (struct vqueue){ .idx = idx, .wake = wake_nobody, .running = true };
	assert_int_equal(virtq_init(&q->vq, SIZE, side->features), 0);
	virtq_set_inflight(&q->vq, rig.record, idx);
	if (ops->queue_resume(&life.console.vdev, idx, inflight_identity(rig.record), &mark) &&
	    virtq_finish(&q->vq, &ring, &mark))
		life.finished = true;
	virtq_start(&q->vq, &ring, side->mem, driverq_first_base(&side->driver), side->features);
	ops->queue_start(&life.console.vdev, q, virtq_is_fresh(&q->vq));
	assert_int_equal(virtq_broken(&q->vq), VIRTQ_FAULT_NONE);
}

static void open_life(void)
{
	char why[256];

	memset(&life, 0, sizeof(life));
	assert_int_equal(port_init(&life.port, HISTORY), 0);
	life.port.overflow = PORT_HOLD;
	if (port_journal_new(rig.path, HISTORY, &life.journal, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_int_equal(console_init(&life.console, 1, false), 0);
}

static void begin_life(void)
{
	port_journal_begin(life.journal, &life.port);
	console_add_port(&life.console, 0, &life.port);
	life.console.vdev.ops->set_features(&life.console.vdev, rig.side[TX].features);
	life.console.vdev.ops->set_present(&life.console.vdev, true);
	start_queue(RX);
	start_queue(TX);
}

/* As client.c does. */
static void join(void)
{
	port_join(&life.port, &life.client, &client_ops, &writer);
	assert_true(port_journal_join(life.journal, life.client.pos));
	life.client.keeps = true;
	life.client.sent = life.client.pos;
}

static void begin_and_join(void)
{
	open_life();
	begin_life();
	join();
}

static void serve(unsigned int idx)
{
	struct vqueue *q = &life.q[idx];

	life.console.vdev.ops->queue_service(&life.console.vdev, q, 64);
	virtq_publish(&q->vq);
	assert_int_equal(virtq_broken(&q->vq), VIRTQ_FAULT_NONE);
}

static void receive(void)
{
	ssize_t n = port_journal_receive(life.journal, rig.fds[0]);

	for (size_t at = 0, len; n > 0 && at < (size_t)n; at += len) {
		len = port_input(&life.port, life.journal->received + at, (size_t)n - at);
		assert_true(len > 0);
		port_journal_input(life.journal, &life.port, len);
	}
}

/* In two calls: a socket may take a part. */
static void send_all(void)
{
	char buf[PORT_READ_MIN];
	size_t n = port_read(&life.client, buf, sizeof(buf));

	for (size_t at = 0; at < n;) {
		ssize_t len = port_journal_send(life.journal, rig.fds[0], life.client.sent,
						buf + at, (n - at + 1) / 2);

		assert_true(len > 0);
		at += (size_t)len;
		life.client.sent += (uint64_t)len;
		port_output_again(&life.client);
	}
}

static void work(void)
{
	receive();
	serve(RX);
	serve(TX);
	send_all();
	receive();
	serve(TX);
	serve(RX);
}

/* What it looks like from outside. */

static void add_range(void *at, size_t len)
{
	assert_true(rig.n_ranges < N_RANGES);
	rig.ranges[rig.n_ranges++] = (struct range){ .at = at, .len = len };
	rig.n_bytes += len;
}

static int unread(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

static int received_so_far(void)
{
	return N_MESSAGES * MESSAGE - unread(rig.fds[0]);
}

static bool is_now(const struct moment *m)
{
	const uint8_t *bytes = m->bytes;

	for (unsigned int i = 0; i < rig.n_ranges; bytes += rig.ranges[i++].len)
		if (memcmp(bytes, rig.ranges[i].at, rig.ranges[i].len) != 0)
			return false;
	return m->n_sent == unread(rig.fds[1]) && m->n_received == received_so_far();
}

static void add_moment(struct moments *m)
{
	struct moment *now = &m->at[m->n++];
	uint8_t *bytes;

	assert_true(m->n < MAX_MOMENTS);
	bytes = now->bytes = malloc(rig.n_bytes);
	assert_non_null(bytes);
	for (unsigned int i = 0; i < rig.n_ranges; bytes += rig.ranges[i++].len)
		memcpy(bytes, rig.ranges[i].at, rig.ranges[i].len);
	now->n_sent = unread(rig.fds[1]);
	now->n_received = received_so_far();
}

static void restore(const struct moment *m)
{
	const uint8_t *bytes = m->bytes;

	for (unsigned int i = 0; i < rig.n_ranges; bytes += rig.ranges[i++].len)
		memcpy(rig.ranges[i].at, bytes, rig.ranges[i].len);
}

static void free_moments(struct moments *m)
{
	while (m->n > 0)
		free(m->at[--m->n].bytes);
}

/* All that can be found of a child that does this. */
static void collect(struct moments *m, void (*before)(void), void (*script)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		before();
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		script();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	add_moment(m);
	while (WIFSTOPPED(status)) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!is_now(&m->at[m->n - 1]))
			add_moment(m);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The next process, which finds what one moment has left. */

static void expect_output(int n_sent)
{
	size_t pos = (size_t)n_sent, n;
	uint8_t buf[PORT_READ_MIN];

	for (unsigned int turn = 0; turn < 2 * N_OUT; turn++) {
		serve(TX);
		n = port_read(&life.client, buf, sizeof(buf));
		for (size_t i = 0; i < n; i++, pos++)
			assert_int_equal(buf[i], byte_at(TX, pos));
		life.client.sent = life.client.pos;
		port_output_again(&life.client);
	}
	assert_int_equal(pos, OUT_BYTES);
}

static void *token_of(unsigned int n)
{
	return &rig.side[n % 2].host[n];
}

static void expect_output_chains(void)
{
	unsigned int n_back[N_OUT] = { 0 };
	uint32_t len;
	void *token;

	while (driverq_get(&rig.side[TX].driver, &token, &len) == DRIVERQ_USED) {
		assert_int_equal(len, 0);
		for (unsigned int i = 0; i < N_OUT; i++)
			n_back[i] += token == token_of(2 * i + TX);
	}
	for (unsigned int i = 0; i < N_OUT; i++)
		assert_int_equal(n_back[i], 1);
}

static void expect_input(int n_received)
{
	size_t pos = 0;
	uint32_t len;
	void *token;

	serve(RX);
	for (unsigned int n = 0; driverq_get(&rig.side[RX].driver, &token, &len) == DRIVERQ_USED;
	     n++) {
		const uint8_t *bytes = rig_at(&rig.side[RX], rig.side[RX].data + n * IN_LEN);

		assert_ptr_equal(token, token_of(2 * n + RX));
		assert_true(len <= IN_LEN);
		for (uint32_t i = 0; i < len; i++, pos++)
			assert_int_equal(bytes[i], byte_at(RX, pos));
	}
	assert_int_equal(pos, n_received);
}

/* Returns whether it had something to finish. */
static bool succeed(const struct moment *m, int n_sent, int n_received)
{
	int status;
	pid_t pid;

	restore(m);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		begin_and_join();
		expect_output(n_sent);
		expect_output_chains();
		expect_input(n_received);
		_exit(life.finished ? FINISHED : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FINISHED);
	return WEXITSTATUS(status) == FINISHED;
}

/* The guest and the client, before anything. */

static void offer_output(void)
{
	struct rig *side = &rig.side[TX];

	for (size_t pos = 0; pos < OUT_BYTES; pos++)
		*rig_at(side, side->data + pos) = byte_at(TX, pos);
	for (unsigned int i = 0; i < N_OUT; i++) {
		const uint64_t at = side->data + i * OUT_LEN;
		const struct driverq_buf bufs[2] = { { at, 30 }, { at + 30, OUT_LEN - 30 } };

		assert_int_equal(
			driverq_add(&side->driver, bufs, 2, 0, i == 1, token_of(2 * i + TX)), 0);
	}
	driverq_publish(&side->driver);
}

static void offer_input(void)
{
	struct rig *side = &rig.side[RX];

	for (unsigned int i = 0; i < N_IN; i++) {
		const uint64_t at = side->data + i * IN_LEN;
		const struct driverq_buf bufs[2] = { { at, IN_PART }, { at + IN_PART, IN_PART } };

		assert_int_equal(
			driverq_add(&side->driver, bufs, 0, 2, i == 1, token_of(2 * i + RX)), 0);
	}
	driverq_publish(&side->driver);
}

static void type_input(void)
{
	uint8_t message[MESSAGE];

	for (unsigned int i = 0; i < N_MESSAGES; i++) {
		for (unsigned int k = 0; k < MESSAGE; k++)
			message[k] = byte_at(RX, i * MESSAGE + k);
		assert_int_equal(send(rig.fds[1], message, MESSAGE, 0), MESSAGE);
	}
}

static void open_side(unsigned int idx, uint64_t features)
{
	struct rig *side = &rig.side[idx];

	rig_open_data(side, SIZE, features, 512);
	add_range(side->host, driverq_bytes(SIZE));
}

static void open_record(bool packed)
{
	const size_t len = inflight_bytes(2, SIZE, packed);
	void *bytes;

	assert_int_equal(inflight_new(2, SIZE, packed, &rig.record, &rig.record_fd), 0);
	bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, rig.record_fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	add_range(bytes, len);
}

/* What is in use of it: the commits, the transfers, and the beginnings of the queues. */
static void open_journal(void)
{
	struct port_journal *j;
	char why[256];
	struct stat st;
	int fd;

	snprintf(rig.dir, sizeof(rig.dir), "/tmp/vhu-kill-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.path, sizeof(rig.path), "%s/journal", rig.dir);
	assert_int_equal(port_journal_new(rig.path, HISTORY, &j, why, sizeof(why)), 0);
	fd = open(rig.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	rig.journal_len = (size_t)st.st_size;
	rig.journal = mmap(NULL, rig.journal_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(rig.journal, MAP_FAILED);
	assert_int_equal(close(fd), 0);
	add_range(rig.journal, (size_t)(j->received - (uint8_t *)j->file.header));
	add_range(rig.journal + (j->received - (uint8_t *)j->file.header), N_MESSAGES * MESSAGE);
	add_range(rig.journal + (j->in - (uint8_t *)j->file.header), N_MESSAGES * MESSAGE);
	add_range(rig.journal + (j->out - (uint8_t *)j->file.header), HISTORY);
	port_journal_free(j);
}

static void open_all(uint64_t features)
{
	memset(&rig, 0, sizeof(rig));
	open_side(RX, features);
	open_side(TX, features);
	add_range(rig_at(&rig.side[RX], rig.side[RX].data), N_IN * IN_LEN);
	open_record((features & RIG_PACKED) != 0);
	open_journal();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rig.fds), 0);
	offer_input();
	offer_output();
	type_input();
}

static void close_all(void)
{
	rig_close(&rig.side[RX]);
	rig_close(&rig.side[TX]);
	munmap(rig.ranges[3].at, rig.ranges[3].len);
	inflight_unref(rig.record);
	close(rig.record_fd);
	munmap(rig.journal, rig.journal_len);
	assert_int_equal(unlink(rig.path), 0);
	assert_int_equal(rmdir(rig.dir), 0);
	close(rig.fds[0]);
	close(rig.fds[1]);
}

/* The next one is killed as well, while it puts things in order. */
static void kill_again(const struct moment *m)
{
	restore(m);
	collect(&rig.second, open_life, begin_life);
	for (unsigned int i = 0; i < rig.second.n; i++)
		succeed(&rig.second.at[i], m->n_sent, m->n_received);
	free_moments(&rig.second);
}

static void expect_nothing_lost(uint64_t features, bool twice)
{
	unsigned int n_finished = 0;

	open_all(features);
	collect(&rig.first, begin_and_join, work);
	for (unsigned int i = 0; i < rig.first.n; i++) {
		const struct moment *m = &rig.first.at[i];

		if (succeed(m, m->n_sent, m->n_received) && n_finished++ == AGAIN && twice)
			kill_again(m);
	}
	assert_true(n_finished > 0);
	free_moments(&rig.first);
	close_all();
}

static void split_ring_when_killed_anywhere_loses_nothing(void **state)
{
	(void)state;
	expect_nothing_lost(RIG_V1 | RIG_INDIRECT, true);
}

static void split_ring_in_order_when_killed_anywhere_loses_nothing(void **state)
{
	(void)state;
	expect_nothing_lost(RIG_V1 | RIG_INDIRECT | RIG_ORDER, false);
}

static void packed_ring_when_killed_anywhere_loses_nothing(void **state)
{
	(void)state;
	expect_nothing_lost(RIG_V1 | RIG_INDIRECT | RIG_PACKED, true);
}

static void packed_ring_in_order_when_killed_anywhere_loses_nothing(void **state)
{
	(void)state;
	expect_nothing_lost(RIG_V1 | RIG_INDIRECT | RIG_PACKED | RIG_ORDER, false);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(split_ring_when_killed_anywhere_loses_nothing),
	UNIT_TEST(split_ring_in_order_when_killed_anywhere_loses_nothing),
	UNIT_TEST(packed_ring_when_killed_anywhere_loses_nothing),
	UNIT_TEST(packed_ring_in_order_when_killed_anywhere_loses_nothing),
};
UNIT_MAIN(tests)
