/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Sessions that end anywhere, come back, and stand beside each other. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"
#include "conform/cases/case-life.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/target/process.h"
#include "conform/trial/trial-ring.h"

enum {
	FDS_SLACK = 1,
	THREADS_SLACK = 2,
	MAPS_SLACK = 16, /* an allocator has its own ideas */
	RSS_SLACK = 64 << 20,
	RSS_NOTED = 4 << 20,
	N_TORN = 50,
	N_HELD = 8,
	N_SECONDS = 20,
	N_CYCLES = 1000,
	N_FIRST = 100, /* cycles until all that is kept for good is there */
	N_RESUMED = 3,
	LOOK_MS = 5,
	READ_MS = 50,
};

/* Where nothing can be waited for. */
static void wait_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* A whole session as messages. */

static struct vhu_msg *put(struct script *s, enum vhu_fe_id id)
{
	struct vhu_msg *msg = &s->msgs[s->n < SCRIPT_MAX ? s->n++ : SCRIPT_MAX - 1];

	vhu_msg_init(msg, VHU_FE, id);
	return msg;
}

static void put_u64(struct script *s, enum vhu_fe_id id, uint64_t value)
{
	vhu_msg_put_u64(put(s, id), value);
}

static void put_state(struct script *s, enum vhu_fe_id id, uint32_t idx, uint32_t num)
{
	const struct vhu_vring_state state = { .index = idx, .num = num };

	vhu_msg_put(put(s, id), &state, sizeof(state));
}

static void put_fd(struct script *s, enum vhu_fe_id id, uint32_t idx, int fd)
{
	struct vhu_msg *msg = put(s, id);

	vhu_msg_put_u64(msg, idx | (fd < 0 ? VHU_VRING_NOFD : 0));
	if (fd >= 0)
		msg->fds.fd[msg->fds.n_fds++] = fd;
}

/* Nothing in a script asks for an acknowledgement. */
static void put_memory(struct script *s, const struct trial *t)
{
	struct vhu_msg *msg = put(s, VHU_FE_SET_MEM_TABLE);
	struct vhu_mem_table table;

	setup_table_msg(t, msg, &table);
	msg->flags &= ~VHU_FLAG_NEED_REPLY;
}

static void put_ring(struct script *s, const struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	struct vhu_vring_addr addr;
	struct vhu_msg *msg;

	put_state(s, VHU_FE_SET_VRING_NUM, idx, r->size);
	put_state(s, VHU_FE_SET_VRING_BASE, idx, 0);
	msg = put(s, VHU_FE_SET_VRING_ADDR);
	setup_addr_msg(t, msg, idx, &addr);
	msg->flags &= ~VHU_FLAG_NEED_REPLY;
	put_fd(s, VHU_FE_SET_VRING_CALL, idx, r->call_peer);
	put_fd(s, VHU_FE_SET_VRING_ERR, idx, r->err_fd);
	put_fd(s, VHU_FE_SET_VRING_KICK, idx, r->kick_fd);
}

struct script *script_new(struct trial *t)
{
	bool protocol = trial_offers(t, VHU_F_PROTOCOL_FEATURES_BIT);
	unsigned int ring = trial_ring(t);
	struct script *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	put(s, VHU_FE_SET_OWNER);
	put(s, VHU_FE_GET_FEATURES);
	if (protocol) {
		put(s, VHU_FE_GET_PROTOCOL_FEATURES);
		put_u64(s, VHU_FE_SET_PROTOCOL_FEATURES,
			trial_protocol(t) & ~BIT(VHU_PF_BACKEND_REQ_BIT));
	}
	if (trial_offers_protocol(t, VHU_PF_MQ_BIT))
		put(s, VHU_FE_GET_QUEUE_NUM);
	put_u64(s, VHU_FE_SET_FEATURES, trial_features(t));
	put_memory(s, t);
	put_ring(s, t, ring);
	if (protocol)
		put_state(s, VHU_FE_SET_VRING_ENABLE, ring, 1);
	if (trial_offers_protocol(t, VHU_PF_STATUS_BIT))
		put_u64(s, VHU_FE_SET_STATUS, 0x0f);
	put(s, VHU_FE_GET_FEATURES);
	put_state(s, VHU_FE_GET_VRING_BASE, ring, 0);
	return s;
}

static size_t script_bytes(const struct script *s)
{
	size_t n = 0;

	for (unsigned int i = 0; i < s->n; i++)
		n += VHU_HDR_LEN + s->msgs[i].size;
	return n;
}

/* A connection that is served: where one front-end is at most, the one before may have to be
 * noticed. */
int life_connect(struct trial *t, struct vhu_frontend *ret_fe)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	int fd, err;

	for (;;) {
		if (target_connect(t->target, &fd) < 0)
			return trial_fail(t,
					  "after sessions that ended early: expected a "
					  "connection, but: %s",
					  t->target->error);
		vhu_frontend_init(ret_fe, fd);
		ret_fe->timeout_ms = trial_ms(t, TRIAL_ANSWER_MS);
		err = vhu_frontend_ping(ret_fe);
		if (err == 0)
			return 0;
		vhu_frontend_fini(ret_fe);
		if (err != -ECONNRESET || monotonic_ms() > deadline)
			return trial_fail(t,
					  "after sessions that ended early: expected an answer to "
					  "GET_FEATURES, but %s",
					  err == -ECONNRESET ? "every connection is closed"
							     : "none came");
		wait_ms(LOOK_MS);
	}
}

/* Until all that was sent has been read, or nobody will; it is no verdict. */
void life_let_read(const struct vhu_frontend *fe)
{
	int unread = 0;

	for (int ms = 0; ms < READ_MS; ms++) {
		if (ioctl(fe->fd, SIOCOUTQ, &unread) < 0 || unread == 0)
			return;
		wait_ms(1);
	}
}

int life_reconnect(struct trial *t)
{
	struct vhu_frontend fe;
	int err;

	vhu_frontend_disconnect(&t->fe);
	err = life_connect(t, &fe);
	if (err < 0)
		return err;
	vhu_frontend_attach(&t->fe, fd_take(&fe.fd));
	vhu_frontend_fini(&fe);
	t->closed = false;
	if (t->evidence)
		evidence_attach(t->evidence, &t->fe);
	return 0;
}

/* Another connection on which the first n_bytes are sent, and nothing is read. */
static int script_play(struct trial *t, const struct script *s, size_t n_bytes)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_frontend other;
	int err = life_connect(t, &other);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < s->n && n_bytes > 0 && err == 0; i++) {
		size_t len = min_size(vhu_msg_pack(&s->msgs[i], bytes), n_bytes);

		err = vhu_frontend_send_raw(&other, bytes, len, s->msgs[i].fds.fd,
					    s->msgs[i].fds.n_fds);
		n_bytes -= len;
	}
	life_let_read(&other);
	vhu_frontend_fini(&other);
	return err == -ECONNRESET ? 0 : trial_step(t, err, "a part of a session");
}

/* What is left of them. */

/* Descriptors while one session runs, but for what any session costs; -1: cannot be seen. */
static int count_fds(struct trial *t)
{
	return target_n_fds(t->target);
}

int life_expect_fds(struct trial *t, int before, const char *after)
{
	int n = 0, err = 0;

	/* Sessions may end a moment after their connection. */
	for (int ms = 0; ms < trial_ms(t, TRIAL_ANSWER_MS) && err == 0; ms += LOOK_MS) {
		n = count_fds(t);
		if (n < 0 || n <= before + FDS_SLACK)
			return 0;
		err = trial_pass(t, LOOK_MS);
	}
	if (err < 0)
		return err;
	return trial_fail(t, "%s: expected %d open descriptors as before, but there are %d", after,
			  before, n);
}

int life_goes_on(struct trial *t, int fds_before, const char *after)
{
	int err = life_reconnect(t);

	if (err == 0)
		err = setup_again(t);
	if (err == 0 && t->device)
		err = trial_exchange(t, 1);
	if (err == 0 && fds_before >= 0)
		err = life_expect_fds(t, fds_before, after);
	return err;
}

/* Each session ends step bytes, or one message if step is 0, later than the one before. */
static int end_everywhere(struct trial *t, size_t step)
{
	struct script *s;
	size_t total, at = 0;
	int fds, err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	fds = count_fds(t);
	s = script_new(t);
	if (!s)
		return trial_error(t, "memory for a session");
	total = script_bytes(s);
	vhu_frontend_disconnect(&t->fe);
	for (unsigned int i = 0; at <= total && err == 0; i++) {
		err = script_play(t, s, at);
		at += step > 0 ? step : i < s->n ? VHU_HDR_LEN + s->msgs[i].size : total + 1;
	}
	free(s);
	return err < 0 ? err : life_goes_on(t, fds, "after sessions that ended everywhere");
}

int case_life_end_messages(struct trial *t)
{
	int err = end_everywhere(t, 0);

	if (err == 0 && t->target->info.closes_early)
		err = trial_warn(t, "connections that come while a session is being ended are "
				    "closed unanswered; later ones are served");
	return err;
}

int case_life_end_bytes(struct trial *t)
{
	return end_everywhere(t, 1);
}

/* Requests are on their way when the front-end goes. */
int case_life_end_traffic(struct trial *t)
{
	struct trial_request *requests = calloc(N_HELD, sizeof(*requests));
	int fds = -1, err = requests ? trial_boot(t, NULL) : trial_error(t, "memory for requests");

	if (err == 0)
		fds = count_fds(t);
	for (unsigned int i = 0; i < N_TORN && err == 0; i++) {
		for (unsigned int j = 0; j < N_HELD && err == 0; j++)
			err = trial_offer(t, NULL, &requests[j]);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0)
			err = life_reconnect(t);
		if (err == 0)
			err = setup_again(t);
	}
	free(requests);
	if (err == 0)
		err = trial_exchange(t, 1);
	return err < 0 || fds < 0
		       ? err
		       : life_expect_fds(t, fds, "after sessions that ended with requests");
}

/* A console's other side. */

static int peer_is_there(struct trial *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, 0) > 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return trial_fail(t, "a front-end that went away: expected the console's other "
				     "side to stay connected, but it was closed");
	return 0;
}

int case_life_peer(struct trial *t)
{
	AUTO_FD int peer = -1;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0 && target_connect_peer(t->target, &peer) < 0)
		err = trial_error(t, "the console's other side: %s", t->target->error);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = life_reconnect(t);
	if (err == 0)
		err = setup_again(t);
	if (err == 0)
		err = peer_is_there(t, peer);
	return err < 0 ? err : trial_exchange(t, 1);
}

/* Two at once. */

int life_dial(const struct trial *t)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(t->target->path) >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, t->target->path, strlen(t->target->path) + 1);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return fd_take(&fd);
}

/* A request on another connection: served, refused, or left to wait. */
static const char *ask_beside(struct trial *t, int fd)
{
	struct vhu_frontend other;
	int err;

	vhu_frontend_init(&other, fd);
	other.timeout_ms = trial_ms(t, TRIAL_QUIET_MS);
	err = vhu_frontend_ping(&other);
	vhu_frontend_fini(&other);
	return err == 0 ? "served" : err == -ETIMEDOUT ? "kept waiting" : "turned away";
}

static int traffic(struct trial *t)
{
	return t->device ? trial_exchange(t, 2) : trial_ping(t);
}

int case_life_second(struct trial *t)
{
	int fd, err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	fd = life_dial(t);
	trial_remark(t, "a second front-end is %s", fd < 0 ? "refused" : ask_beside(t, fd));
	return traffic(t);
}

int case_life_seconds(struct trial *t)
{
	int fds, err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	fds = count_fds(t);
	for (unsigned int i = 0; i < N_SECONDS; i++)
		fd_close(life_dial(t));
	err = traffic(t);
	return err < 0 || fds < 0 ? err : life_expect_fds(t, fds, "after second front-ends");
}

int case_life_idle(struct trial *t)
{
	AUTO_FD int idle = -1;
	int err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	idle = life_dial(t);
	if (idle < 0)
		trial_remark(t, "a second connection is refused at once");
	err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0)
		err = traffic(t);
	idle = fd_close(idle);
	return err < 0 ? err : life_goes_on(t, -1, "after an idle connection");
}

/* Again. */

/* The driver knows nothing of it: its ring memory is as it was, its requests on their way too. */
int case_life_resumed(struct trial *t)
{
	const struct trial_plan plan = {
		.without_features = t->device ? t->device->features : 0,
		.no_prepare = true,
	};
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_exchange(t, N_RESUMED);
	if (err == 0)
		err = life_reconnect(t);
	if (err == 0)
		err = trial_handshake_with(t, trial_features(t) & ~plan.without_features,
					   trial_protocol(t));
	if (err == 0)
		err = trial_send_memory(t);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++) {
		t->fe.rings[i].base = trial_used_idx(t, i);
		vhu_frontend_take_calls(&t->fe, i);
		err = trial_start_ring(t, i, NULL);
	}
	if (err == 0)
		err = trial_driver_ready(t, &plan);
	return err < 0 ? err : trial_exchange(t, N_RESUMED);
}

struct usage {
	int fds, threads, maps;
	int64_t rss;
};

static struct usage usage(const struct trial *t)
{
	pid_t pid = t->target->pid;

	return (struct usage){ process_n_fds(pid), process_n_threads(pid), process_n_maps(pid),
			       process_rss(pid) };
}

static int judge_usage(struct trial *t, const struct usage *before, const struct usage *now)
{
	if (now->fds > before->fds + FDS_SLACK)
		return trial_fail(t, "%d sessions: expected %d open descriptors, but there are %d",
				  N_CYCLES, before->fds, now->fds);
	if (now->threads > before->threads + THREADS_SLACK)
		return trial_fail(t, "%d sessions: expected %d threads, but there are %d", N_CYCLES,
				  before->threads, now->threads);
	if (now->maps > before->maps + MAPS_SLACK)
		return trial_fail(t, "%d sessions: expected %d mappings, but there are %d",
				  N_CYCLES, before->maps, now->maps);
	if (now->rss > before->rss + RSS_SLACK)
		return trial_fail(t, "%d sessions: expected %lld KiB of memory, but it has %lld",
				  N_CYCLES, (long long)before->rss / 1024,
				  (long long)now->rss / 1024);
	if (now->rss > before->rss + RSS_NOTED)
		trial_remark(t, "%d sessions took %lld KiB more memory", N_CYCLES,
			     (long long)(now->rss - before->rss) / 1024);
	return 0;
}

static int one_session(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = life_reconnect(t);

	if (err == 0)
		err = trial_handshake(t);
	if (err == 0)
		err = trial_send_memory(t);
	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, ring);
	err = trial_start_ring(t, ring, NULL);
	return err < 0 ? err : trial_ping(t);
}

int case_life_cycles(struct trial *t)
{
	struct usage before = { 0 }, now;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	for (unsigned int i = 0; i < N_CYCLES && err == 0; i++) {
		if (i == N_FIRST)
			before = usage(t);
		err = one_session(t);
	}
	if (err < 0)
		return err;
	err = life_expect_fds(t, before.fds, "after many sessions");
	now = usage(t);
	return err < 0 ? err : judge_usage(t, &before, &now);
}
