/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "log.h"
#include "vhu/backend-handover.h"
#include "vhu/format.h"

enum {
	QUEUE_MAX = 256,
	HISTORY = 4096,
	STEPS_MAX = 100000, /* of the loop, for what has to end by itself */
	CHUNK = 4096,
	FAR_TOO_MUCH = 1000 * 1000 * 1000, /* ns of the loop's time */
};

/* Who listens to the session: every message can be shown as text. */

static void heard_opened(struct vhu_ear *ear)
{
	(void)ear;
}

static void heard_message(struct vhu_ear *ear, const struct vhu_msg *msg, bool received)
{
	char line[256];

	(void)ear;
	must(received || msg->size <= VHU_MAX_PAYLOAD);
	must(vhu_format_line(line, sizeof(line), msg) > 0);
}

static void heard_cut(struct vhu_ear *ear, enum vhu_dir dir, const uint8_t *bytes, size_t len)
{
	(void)ear;
	(void)dir;
	must(bytes && len > 0 && len < VHU_HDR_LEN + VHU_MAX_PAYLOAD);
}

static void heard_closed(struct vhu_ear *ear, const char *why)
{
	(void)ear;
	must(why != NULL);
}

static const struct vhu_ear ear = { heard_opened, heard_message, heard_cut, heard_closed };

/* With a name, as a daemon's sockets have: its connections can tell each other apart. */
static void make_listener(struct session *s)
{
	char name[64];

	snprintf(name, sizeof(name), "@vhu-fuzz-%d", getpid());
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(s->listener >= 0 && fd_unix_address(name, &s->addr, &s->addr_len));
	must(bind(s->listener, (struct sockaddr *)&s->addr, s->addr_len) == 0);
	must(listen(s->listener, 1) == 0);
}

/* What outlives an input. */
static void make_once(struct session *s)
{
	const char *why = "";

	signal(SIGPIPE, SIG_IGN);
	log_set_level(getenv("FUZZ_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	must(gmem_fault_guard_install() == 0);
	must(loop_new(256, &s->loop, &why) == 0);
	make_listener(s);
	s->memory_fd = fuzz_file(SESSION_MEMORY);
	s->log_fd = fuzz_file(SESSION_LOG_BYTES);
	s->empty_fd = fuzz_file(SESSION_MEMORY);
}

/* All zero, and its size again. */
static void renew(int fd, off_t size)
{
	must(ftruncate(fd, 0) == 0 && ftruncate(fd, size) == 0);
}

static void ended(struct vhu_backend *b, void *arg)
{
	struct session *s = arg;

	must(b == s->b);
	vhu_backend_free(b);
	s->b = NULL;
}

static void collect(struct port_client *client)
{
	char buf[CHUNK];

	while (port_readable(client))
		must(port_read(client, buf, sizeof(buf)) <= sizeof(buf));
}

static void no_input(struct port_client *client)
{
	(void)client;
}

static const struct port_client_ops client_ops = {
	.output_ready = collect,
	.input_room = no_input,
};

/* It goes on, and is to rest again after the next request. */
static void rested(struct share *share)
{
	struct session *s = container_of(share, struct session, share);

	if (s->b)
		vhu_backend_rested(s->b);
	share_charge(share, FAR_TOO_MUCH);
}

static void make_device(struct session *s, uint8_t how)
{
	static const struct port_client_options options = {
		.writes = true, .holds = true, .replay = PORT_REPLAY_ALL, .what = "fuzz"
	};

	must(console_init(&s->con, SESSION_PORTS, how & 2) == 0);
	for (unsigned int i = 0; i < SESSION_PORTS; i++) {
		struct port *port = &s->ports[i];

		must(port_init(port, HISTORY) == 0);
		port->console = i == 0;
		port->overflow = how & 4 ? PORT_HOLD : PORT_DROP;
		snprintf(port->name, sizeof(port->name), "port%u", i);
		console_add_port(&s->con, i, port);
		s->joined[i] = how >> (3 + i) & 1;
		if (s->joined[i])
			port_join(port, &s->clients[i], &client_ops, &options);
	}
	s->iommu = how & 1;
	s->is_heard = how & 64;
	s->has_share = how & 128;
	share_init(&s->share, s->loop, rested);
	if (s->has_share)
		share_charge(&s->share, FAR_TOO_MUCH);
}

static struct vhu_backend_options options_of(struct session *s)
{
	return (struct vhu_backend_options){
		.who = "fuzz",
		.max_queue_size = QUEUE_MAX,
		.iommu = s->iommu,
		.ear = s->is_heard ? &s->ear : NULL,
		.share = s->has_share ? &s->share : NULL,
	};
}

static void connect_frontend(struct session *s)
{
	struct vhu_backend_options options = options_of(s);
	int fd;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(s->fd >= 0 && connect(s->fd, (struct sockaddr *)&s->addr, s->addr_len) == 0);
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	must(fd >= 0);
	must(vhu_backend_new(s->loop, &s->con.vdev, fd, &options, ended, s, &s->b) == 0);
	s->features = s->protocol = 0;
	s->raw = false;
	s->n_pending = s->first_pending = 0;
	fdset_init(&s->came);
	vhu_assembler_init(&s->replies, VHU_FE);
	vhu_assembler_init(&s->calls, VHU_BE);
}

void session_begin(struct session *s, uint8_t how)
{
	if (!s->loop)
		make_once(s);
	renew(s->memory_fd, SESSION_MEMORY);
	renew(s->log_fd, SESSION_LOG_BYTES);
	renew(s->empty_fd, SESSION_MEMORY);
	s->ear = ear;
	s->channel = s->pipe_in = s->pipe_out = s->record_fd = -1;
	s->record_bytes = 0;
	memset(s->ring_num, 0, sizeof(s->ring_num));
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		s->kicks[i] = -1;
	make_device(s, how);
	connect_frontend(s);
}

/* Runs the loop until it has nothing to do at once. */
static void run_loop(struct session *s)
{
	unsigned int n_idle = 0;

	for (unsigned int n = 0; n_idle < 2; n++) {
		uint64_t before = loop_counters(s->loop).n_completions;

		must(n < STEPS_MAX && loop_step(s->loop, false) == 0);
		n_idle = loop_counters(s->loop).n_completions == before ? n_idle + 1 : 0;
	}
}

/* Replies come in the order of the requests; some requests have none. */
static void match_reply(struct session *s, uint32_t id)
{
	while (!s->raw) {
		must(s->first_pending < s->n_pending);
		if (s->pending[s->first_pending++ % SESSION_PENDING_MAX] == id)
			return;
	}
}

static void keep_record(struct session *s, const struct vhu_msg *m, struct fdset *fds)
{
	struct vhu_inflight inflight;

	vhu_msg_get(m, &inflight, sizeof(inflight));
	must(fds->n_fds <= 1);
	if (fds->n_fds == 0)
		return;
	fd_close(s->record_fd);
	s->record_fd = fdset_take(fds, 0);
	s->record_bytes = inflight.mmap_size;
}

static void check_reply(struct session *s, const struct vhu_msg *m, struct fdset *fds)
{
	const struct vhu_desc *desc = vhu_desc_find(VHU_FE, m->id);

	must(m->flags == VHU_REPLY_FLAGS);
	match_reply(s, m->id);
	if (!desc) { /* unknown, and told so */
		must(m->size == vhu_shape_ack()->max_len && vhu_msg_u64(m) != 0);
		return;
	}
	must(m->size == vhu_shape_ack()->max_len ||
	     (m->size >= desc->reply->min_len && m->size <= desc->reply->max_len) ||
	     (m->size == 0 && m->id == VHU_FE_GET_CONFIG));
	if (m->id == VHU_FE_GET_INFLIGHT_FD)
		keep_record(s, m, fds);
	else
		must(fds->n_fds == 0 || desc->reply_fds.kind != VHU_FD_NONE);
}

static void check_call(const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(VHU_BE, m->id);

	must(desc && (m->flags & VHU_FLAG_VERSION_MASK) == VHU_VERSION);
	must(!(m->flags & VHU_FLAG_REPLY));
	must(m->size >= desc->request->min_len && m->size <= desc->request->max_len);
}

/* How much more there is of the header, or of the payload behind it. */
static size_t wanted(const struct vhu_assembler *a)
{
	return a->n_hdr < VHU_HDR_LEN ? VHU_HDR_LEN - a->n_hdr : a->msg.size - a->n_payload;
}

static void heard(struct session *s, struct vhu_assembler *a)
{
	if (a == &s->replies)
		check_reply(s, &a->msg, &s->came);
	else
		check_call(&a->msg);
	fdset_close(&s->came);
}

/*
 * Reads what has come, never past the end of a message: what comes along belongs
 * to that one. False: the other end has closed.
 */
static bool hear(struct session *s, int fd, struct vhu_assembler *a)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDSET_MAX * sizeof(int))];
	uint8_t buf[CHUNK];

	for (;;) {
		struct iovec iov = { buf, wanted(a) };
		struct msghdr hdr = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		enum vhu_assembly got;
		size_t taken;
		ssize_t n = recvmsg(fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		fdset_receive(&s->came, &hdr);
		got = vhu_assembler_feed(a, buf, (size_t)n, &taken);
		must(got != VHU_ASSEMBLY_BROKEN && taken == (size_t)n);
		if (got == VHU_ASSEMBLY_MESSAGE)
			heard(s, a);
	}
}

static void drain_pipe(struct session *s)
{
	uint8_t buf[CHUNK];

	while (s->pipe_out >= 0 && read(s->pipe_out, buf, sizeof(buf)) > 0)
		continue;
}

/* Whatever is written to a descriptor of its kind. False: the other end has closed. */
static bool drain_channel(const struct session *s)
{
	uint8_t buf[CHUNK];
	ssize_t n;

	while ((n = recv(s->channel, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		continue;
	return n < 0 && errno == EAGAIN;
}

static bool hear_channel(struct session *s)
{
	return s->channel_is_odd ? drain_channel(s) : hear(s, s->channel, &s->calls);
}

void session_settle(struct session *s)
{
	run_loop(s);
	drain_pipe(s);
	if (s->fd >= 0 && !hear(s, s->fd, &s->replies))
		s->fd = fd_close(s->fd);
	if (s->channel >= 0 && !hear_channel(s))
		s->channel = fd_close(s->channel);
	run_loop(s);
}

/* Nothing that a front-end does keeps a session alive that is to end. */
static void await_end(struct session *s)
{
	struct pollfd p = { .fd = -1 };

	for (unsigned int n = 0; s->b; n++) {
		must(n < STEPS_MAX && loop_step(s->loop, false) == 0);
		if (n > 64)
			poll(&p, 0, 1);
	}
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		must(!s->con.queues[i]);
}

void session_close_backend(struct session *s)
{
	vhu_backend_close(s->b, LOG_LEVEL_INFO, NULL);
	await_end(s);
}

int session_load_backend(struct session *s, struct handover_in *in, unsigned int tag)
{
	struct vhu_backend_options options = options_of(s);

	return vhu_backend_load(s->loop, &s->con.vdev, in, tag, &options, ended, s, &s->b);
}

static void hang_up(struct session *s)
{
	session_settle(s);
	fdset_close(&s->came);
	s->fd = fd_close(s->fd);
	s->channel = fd_close(s->channel);
	s->pipe_in = fd_close(s->pipe_in);
	s->pipe_out = fd_close(s->pipe_out);
	await_end(s);
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		s->kicks[i] = fd_close(s->kicks[i]);
}

void session_reconnect(struct session *s)
{
	hang_up(s);
	connect_frontend(s);
}

void session_end(struct session *s)
{
	hang_up(s);
	share_fini(&s->share);
	s->record_fd = fd_close(s->record_fd);
	for (unsigned int i = 0; i < SESSION_PORTS; i++) {
		if (s->joined[i])
			port_leave(&s->clients[i]);
		if (console_port(&s->con, i))
			console_remove_port(&s->con, i);
		port_fini(&s->ports[i]);
	}
	console_fini(&s->con);
	run_loop(s);
}

/* Descriptors. */

static int make_pair(int type, int *ret_ours)
{
	int fds[2];

	must(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	if (ret_ours) {
		fd_close(*ret_ours);
		*ret_ours = fds[1];
	} else {
		close(fds[1]);
	}
	return fds[0];
}

static int make_pipe(int *ret_ours, bool we_write)
{
	int fds[2];

	must(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	fd_close(*ret_ours);
	*ret_ours = fds[we_write ? 1 : 0];
	return fds[we_write ? 0 : 1];
}

static int make_fd(struct session *s, enum session_fd kind)
{
	switch (kind) {
	case SESSION_FD_MEMORY:
		return fcntl(s->memory_fd, F_DUPFD_CLOEXEC, 0);
	case SESSION_FD_LOG:
		return fcntl(s->log_fd, F_DUPFD_CLOEXEC, 0);
	case SESSION_FD_RECORD:
		return fcntl(s->record_fd >= 0 ? s->record_fd : s->empty_fd, F_DUPFD_CLOEXEC, 0);
	case SESSION_FD_EVENT:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case SESSION_FD_FULL_EVENT:
		return eventfd(UINT32_MAX, EFD_CLOEXEC | EFD_NONBLOCK);
	case SESSION_FD_PIPE:
		return make_pipe(&s->pipe_in, true);
	case SESSION_FD_PIPE_IN:
		return make_pipe(&s->pipe_out, false);
	case SESSION_FD_CHANNEL:
		return make_pair(SOCK_STREAM, &s->channel);
	case SESSION_FD_HUNG_UP:
		return make_pair(SOCK_STREAM, NULL);
	case SESSION_FD_FOLDER:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case SESSION_FD_READ_ONLY:
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	case SESSION_FD_OURS:
		return fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	case SESSION_N_FDS:
		break;
	}
	return -1;
}

void session_store(struct session *s, size_t at, const void *bytes, size_t len)
{
	if (at >= SESSION_MEMORY)
		return;
	len = min_size(len, SESSION_MEMORY - at);
	must(pwrite(s->memory_fd, bytes, len, (off_t)at) == (ssize_t)len);
}

void session_load(struct session *s, size_t at, void *buf, size_t len)
{
	memset(buf, 0, len);
	must(pread(s->memory_fd, buf, len, (off_t)at) >= 0);
}

/* Sending. */

static bool send_bytes(struct session *s, const uint8_t *bytes, size_t len, const int *fds,
		       unsigned int n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((FDSET_MAX + 1) * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (s->fd < 0 || len == 0)
		return false;
	if (n_fds > 0)
		fd_attach(&hdr, control, fds, n_fds);
	return sendmsg(s->fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static void send_with(struct session *s, const uint8_t *bytes, size_t len,
		      const enum session_fd *kinds, unsigned int n_fds, int *ret_first)
{
	int fds[FDSET_MAX + 1];

	n_fds = n_fds > FDSET_MAX + 1 ? FDSET_MAX + 1 : n_fds;
	if (s->fd < 0)
		return;
	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = make_fd(s, kinds[i]);
	if (!send_bytes(s, bytes, len, fds, n_fds))
		s->raw = true; /* cut short, or nobody is there */
	for (unsigned int i = 0; i < n_fds; i++) {
		if (i == 0 && ret_first && kinds[0] == SESSION_FD_EVENT) {
			fd_close(*ret_first);
			*ret_first = fds[0];
		} else {
			fd_close(fds[i]);
		}
	}
}

/* These go out with a message of that id. */
static void note_channel(struct session *s, const enum session_fd *kinds, unsigned int n_fds,
			 uint32_t id)
{
	for (unsigned int i = 0; i < n_fds; i++) {
		if (kinds[i] != SESSION_FD_CHANNEL)
			continue;
		s->channel_is_odd = id != VHU_FE_SET_BACKEND_REQ_FD;
		vhu_assembler_init(&s->calls, VHU_BE);
	}
}

void session_send_raw(struct session *s, const uint8_t *bytes, size_t len,
		      const enum session_fd *fds, unsigned int n_fds)
{
	s->raw = true;
	note_channel(s, fds, n_fds, 0);
	send_with(s, bytes, len, fds, n_fds, NULL);
}

/* What the front-end itself has to know afterwards. */
static void note(struct session *s, const struct vhu_msg *m)
{
	struct vhu_vring_state state;

	if (m->id == VHU_FE_SET_FEATURES)
		s->features = vhu_msg_u64(m);
	else if (m->id == VHU_FE_SET_PROTOCOL_FEATURES)
		s->protocol = vhu_msg_u64(m);
	vhu_msg_get(m, &state, sizeof(state));
	if (m->id == VHU_FE_SET_VRING_NUM && state.index < SESSION_RINGS)
		s->ring_num[state.index] = state.num;
}

void session_send(struct session *s, const struct session_message *m)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len = vhu_msg_pack(&m->msg, bytes);
	int *kick = NULL;

	if (m->msg.id == VHU_FE_SET_VRING_KICK)
		kick = &s->kicks[vhu_msg_u64(&m->msg) % SESSION_RINGS];
	must(s->n_pending - s->first_pending < SESSION_PENDING_MAX);
	s->pending[s->n_pending++ % SESSION_PENDING_MAX] = m->msg.id;
	note_channel(s, m->fds, m->n_fds, m->msg.id);
	send_with(s, bytes, len, m->fds, m->n_fds, kick);
	note(s, &m->msg);
}
