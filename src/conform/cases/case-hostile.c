/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Front-ends that mean harm: what no single clause is about. Each back-end must live, and serve
 * again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-life.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"
#include "conform/cases/case-steps.h"
#include "conform/trial/trial-ring.h"

enum {
	FILE_LEN = 2 << 20,
	N_MANY_FDS = 253,
	N_KICKS = 100000,
	N_FLOOD = 500,
	N_HELD = 32,
	N_RANDOM = 10000,
	N_A_SESSION = 40, /* random messages on one connection */
	PAGE = 4096,
};

/* Everything that is offered is accepted, so that every message has its chance. */
static int begin(struct trial *t)
{
	/* In-band notifications take the descriptors away; postcopy and slots exclude each other.
	 */
	uint64_t without = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_PAGEFAULT_BIT) |
			   BIT(VHU_PF_XEN_MMAP_BIT);

	return trial_handshake_with(t, trial_features(t), t->target->info.protocol & ~without);
}

static int refresh(struct trial *t)
{
	int err;

	if (!t->closed)
		return 0;
	err = life_reconnect(t);
	return err < 0 ? err : begin(t);
}

static int count_fds(const struct trial *t)
{
	return target_n_fds(t->target);
}

/* A new session works, and nothing has been kept. */
static int serves_again(struct trial *t, int fds_before, const char *after)
{
	int err = life_reconnect(t);

	if (err == 0)
		err = trial_boot(t, NULL);
	if (err == 0)
		err = step_traffic(t, 1);
	if (err == 0 && fds_before >= 0)
		err = life_expect_fds(t, fds_before, after);
	return err;
}

/* Descriptors of one session that runs; a new one has to be made then. */
static int count_running(struct trial *t, int *ret_n)
{
	int err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	*ret_n = count_fds(t);
	t->closed = true;
	return refresh(t);
}

/* Descriptors of every kind. */

struct kinds {
	int memory, event, socket, other, folder, null, epoll, readonly, hung_up;
};

static void kinds_fini(struct kinds *k)
{
	int *all[] = { &k->memory, &k->event, &k->socket,   &k->other,	&k->folder,
		       &k->null,   &k->epoll, &k->readonly, &k->hung_up };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*all[i] = fd_close(*all[i]);
}

#define AUTO_KINDS AUTO(kinds_fini) struct kinds

static int kinds_make(struct trial *t, struct kinds *k)
{
	int pair[2] = { -1, -1 }, pipes[2] = { -1, -1 };

	k->memory = memfd_create("hostile", MFD_CLOEXEC);
	k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	k->readonly = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(pipes, O_CLOEXEC) < 0)
		return trial_error(t, "descriptors: %s", strerror(errno));
	k->socket = pair[0];
	k->other = pair[1];
	k->hung_up = pipes[0];
	fd_close(pipes[1]);
	if (k->memory < 0 || ftruncate(k->memory, FILE_LEN) < 0)
		return trial_error(t, "memory: %s", strerror(errno));
	return 0;
}

static int fitting(const struct kinds *k, uint32_t id)
{
	switch (id) {
	case VHU_FE_SET_VRING_KICK:
	case VHU_FE_SET_VRING_CALL:
	case VHU_FE_SET_VRING_ERR:
	case VHU_FE_SET_LOG_FD:
		return k->event;
	case VHU_FE_SET_BACKEND_REQ_FD:
	case VHU_FE_GPU_SET_SOCKET:
	case VHU_FE_SET_DEVICE_STATE_FD:
		return k->socket;
	default:
		return k->memory;
	}
}

/* Whatever comes back is read away; -ECONNRESET: the connection has ended. */
static int drain(int fd)
{
	char junk[4096];
	ssize_t n;

	do
		n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || (errno != EAGAIN && errno != EINTR) ? -ECONNRESET : 0;
}

static int send_to(int fd, const void *bytes, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(N_MANY_FDS * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { (char *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0)
		fd_attach(&hdr, control.space, fds, n_fds);
	/* A back-end that has stopped reading is not waited for. */
	return sendmsg(fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -ECONNRESET : 0;
}

/* A connection of its own for a few bytes, which is closed then. */
static int send_alone(struct trial *t, const void *bytes, size_t len, const int *fds, size_t n_fds)
{
	struct vhu_frontend fe;
	int err = life_connect(t, &fe);

	if (err < 0)
		return err;
	send_to(fe.fd, bytes, len, fds, n_fds);
	life_let_read(&fe);
	drain(fe.fd);
	vhu_frontend_fini(&fe);
	return 0;
}

/* Headers and sizes. */

int case_hostile_headers(struct trial *t)
{
	static const uint32_t sizes[] = { 4097, 65536, INT32_MAX, UINT32_MAX };
	int fds, err = count_running(t, &fds);

	vhu_frontend_disconnect(&t->fe);
	for (uint32_t id = 0; id < 50 && err == 0; id++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes) && err == 0; i++) {
			const uint32_t header[] = { id, VHU_VERSION, sizes[i] };

			err = send_alone(t, header, sizeof(header), NULL, 0);
		}
	return err < 0 ? err : serves_again(t, fds, "after headers of absurd sizes");
}

int case_hostile_flags(struct trial *t)
{
	static const uint32_t flags[] = { 0, 2, 3, VHU_REPLY_FLAGS, UINT32_MAX };
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	int fds, err = count_running(t, &fds);

	vhu_frontend_disconnect(&t->fe);
	for (size_t row = 0; row < vhu_desc_count() && err == 0; row++)
		for (size_t i = 0; i < ARRAY_SIZE(flags) && err == 0; i++) {
			vhu_msg_init_sample(&msg, vhu_desc_at(row));
			msg.flags = flags[i];
			err = send_alone(t, bytes, vhu_msg_pack(&msg, bytes), NULL, 0);
		}
	return err < 0 ? err : serves_again(t, fds, "after messages with odd flags");
}

/* The size says more, or less, than comes. */
int case_hostile_sizes(struct trial *t)
{
	static const int lies[] = { -8, -1, 1, 8, 64 };
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	int fds, err = count_running(t, &fds);

	vhu_frontend_disconnect(&t->fe);
	for (size_t row = 0; row < vhu_desc_count() && err == 0; row++)
		for (size_t i = 0; i < ARRAY_SIZE(lies) && err == 0; i++) {
			size_t len;
			uint32_t size;

			vhu_msg_init_sample(&msg, vhu_desc_at(row));
			len = vhu_msg_pack(&msg, bytes);
			size = (uint32_t)((int)msg.size + lies[i]);
			memcpy(bytes + 8, &size, sizeof(size));
			err = send_alone(t, bytes, len, NULL, 0);
		}
	return err < 0 ? err : serves_again(t, fds, "after sizes that are not true");
}

/* Descriptors. */

int case_hostile_many_fds(struct trial *t)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	AUTO_KINDS k = { -1, -1, -1, -1, -1, -1, -1, -1, -1 };
	struct vhu_msg msg;
	int many[N_MANY_FDS], fds, err = count_running(t, &fds);

	if (err == 0)
		err = kinds_make(t, &k);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = k.memory;
	vhu_frontend_disconnect(&t->fe);
	for (size_t row = 0; row < vhu_desc_count() && err == 0; row++) {
		vhu_msg_init_sample(&msg, vhu_desc_at(row));
		err = send_alone(t, bytes, vhu_msg_pack(&msg, bytes), many, ARRAY_SIZE(many));
	}
	return err < 0 ? err : serves_again(t, fds, "after messages with 253 descriptors");
}

/* One message with a descriptor of any kind. */
static int try_kind(struct trial *t, const struct vhu_desc *desc, int fd)
{
	struct vhu_msg msg;
	unsigned int n = vhu_msg_init_sample(&msg, desc);

	for (unsigned int i = 0; i < n; i++)
		msg.fds.fd[msg.fds.n_fds++] = fd;
	if (n == 0)
		return 0;
	return vhu_frontend_send_unchecked(&t->fe, &msg);
}

int case_hostile_kinds(struct trial *t)
{
	AUTO_KINDS k = { -1, -1, -1, -1, -1, -1, -1, -1, -1 };
	int fds, err = count_running(t, &fds);

	if (err == 0)
		err = kinds_make(t, &k);
	for (size_t row = 0; row < vhu_desc_count() && err == 0; row++) {
		const struct vhu_desc *desc = vhu_desc_at(row);
		const int wrong[] = { k.memory, k.event,    k.socket, k.folder,
				      k.null,	k.readonly, k.epoll,  k.hung_up };

		for (size_t i = 0; i < ARRAY_SIZE(wrong) && desc->dir == VHU_FE && err == 0; i++) {
			t->closed = try_kind(t, desc, wrong[i]) == -ECONNRESET;
			vhu_frontend_pass_time(&t->fe, 1);
			t->closed = t->closed || drain(t->fe.fd) == -ECONNRESET;
			err = refresh(t);
		}
	}
	return err < 0 ? err : serves_again(t, fds, "after descriptors of wrong kinds");
}

/* Memory. */

static int bad_table(struct trial *t, const struct vhu_region *regions, unsigned int n, int fd,
		     const char *what)
{
	struct vhu_mem_table table = { .n_regions = n };
	struct vhu_msg msg;
	int err = refresh(t);

	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	for (unsigned int i = 0; i < n; i++) {
		table.regions[i] = regions[i];
		msg.fds.fd[msg.fds.n_fds++] = fd;
	}
	vhu_msg_put(&msg, &table,
		    offsetof(struct vhu_mem_table, regions) + n * sizeof(table.regions[0]));
	return err < 0 ? err : trial_survives(t, &msg, NULL, "a memory table with %s", what);
}

int case_hostile_tables(struct trial *t)
{
	static const uint64_t g = 0x40000000, u = 0x7f5500000000, s = 0x100000;
	static const struct {
		struct vhu_region r[2];
		unsigned int n;
		const char *what;
	} tables[] = {
		{ { { g, 0, u, 0 } }, 1, "an empty region" },
		{ { { g, s, u, 0 }, { g + s / 2, s, u + 2 * s, 0 } }, 2, "guest addresses twice" },
		{ { { g, s, u, 0 }, { g + 2 * s, s, u + s / 2, 0 } }, 2, "user addresses twice" },
		{ { { UINT64_MAX - s / 2, s, u, 0 } }, 1, "guest addresses that wrap around" },
		{ { { g, s, UINT64_MAX - s / 2, 0 } }, 1, "user addresses that wrap around" },
		{ { { g, s, u, UINT64_MAX - s / 2 } }, 1, "an offset that wraps around" },
		{ { { g, s, u, INT64_MAX - PAGE + 1 } }, 1, "an offset beyond any file" },
		{ { { g, UINT64_MAX, u, 0 } }, 1, "a region of all addresses" },
		{ { { g, UINT64_C(1) << 62, u, 0 } }, 1, "a region larger than any memory" },
		{ { { g, 4 * FILE_LEN, u, 0 } }, 1, "a region longer than its file" },
		{ { { g + 1, s - 1, u + 1, 1 } }, 1, "a region of odd addresses" },
		{ { { g, 1, u, 0 } }, 1, "a region of one byte" },
	};
	AUTO_KINDS k = { -1, -1, -1, -1, -1, -1, -1, -1, -1 };
	int fds, err = count_running(t, &fds);

	if (err == 0)
		err = kinds_make(t, &k);
	for (size_t i = 0; i < ARRAY_SIZE(tables) && err == 0; i++)
		err = bad_table(t, tables[i].r, tables[i].n, k.memory, tables[i].what);
	return err < 0 ? err : serves_again(t, fds, "after memory tables that are wrong");
}

/* Config space. */

int case_hostile_config(struct trial *t)
{
	static const uint32_t numbers[] = {
		0, 1, 255, 4096, INT32_MAX, UINT32_MAX - 1, UINT32_MAX
	};
	struct vhu_config payload = { 0 };
	struct vhu_msg msg;
	int err = begin(t);

	for (size_t i = 0; i < ARRAY_SIZE(numbers) * ARRAY_SIZE(numbers) * 2 && err == 0; i++) {
		size_t j = i / 2;

		err = refresh(t);
		if (err < 0)
			break;
		payload.offset = numbers[j % ARRAY_SIZE(numbers)];
		payload.size = numbers[j / ARRAY_SIZE(numbers)];
		trial_msg(t, &msg, i % 2 ? VHU_FE_SET_CONFIG : VHU_FE_GET_CONFIG);
		vhu_msg_put(&msg, &payload, offsetof(struct vhu_config, bytes) + 16);
		err = trial_survives(t, &msg, NULL, "%s of %u bytes at %u with 16 in the message",
				     vhu_msg_name(VHU_FE, msg.id), payload.size, payload.offset);
	}
	return err < 0 ? err : serves_again(t, -1, "after odd offsets");
}

/* Floods. */

int case_hostile_kicks(struct trial *t)
{
	/* A back-end that polls never reads it: other kicks must fit, too. */
	static const uint64_t one = 1, most = UINT64_MAX - 1 - 2 * N_KICKS;
	unsigned int ring = trial_ring(t);
	int fd, err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	fd = t->fe.rings[ring].kick_fd;
	for (unsigned int i = 0; i < N_KICKS && err == 0; i++)
		if (write(fd, &one, sizeof(one)) < 0)
			err = trial_error(t, "a kick: %s", strerror(errno));
	/* Nearly all that a counter holds: nobody may take it for a number of entries. */
	if (err == 0 && write(fd, &most, sizeof(most)) < 0)
		err = trial_error(t, "a kick: %s", strerror(errno));
	if (err == 0)
		err = trial_ping(t);
	return err < 0 ? err : step_traffic(t, 2);
}

int case_hostile_connects(struct trial *t)
{
	int fds, err = count_running(t, &fds);

	vhu_frontend_disconnect(&t->fe);
	for (unsigned int i = 0; i < N_FLOOD && err == 0; i++) {
		int fd;

		if (target_connect(t->target, &fd) < 0)
			err = trial_fail(t, "connection %u of many: %s", i, t->target->error);
		else
			fd_close(fd);
	}
	return err < 0 ? err : serves_again(t, fds, "after 500 connections");
}

/* Sessions that are begun and neither go on nor end, beside one that runs. */
int case_hostile_half_open(struct trial *t)
{
	static const uint32_t half[] = { VHU_FE_GET_FEATURES, VHU_VERSION };
	struct vhu_frontend others[N_HELD];
	int fds, err = trial_boot(t, NULL);
	unsigned int n = 0;

	if (err < 0)
		return err;
	fds = count_fds(t);
	for (; n < N_HELD; n++) {
		int fd = life_dial(t);

		if (fd < 0)
			break;
		vhu_frontend_init(&others[n], fd);
		send_to(others[n].fd, half, n % 2 ? sizeof(half) : 0, NULL, 0);
	}
	err = step_traffic(t, 2);
	if (err == 0)
		err = trial_ping(t);
	for (unsigned int i = 0; i < n; i++)
		vhu_frontend_fini(&others[i]);
	return err < 0 ? err : life_goes_on(t, fds, "after sessions that were half open");
}

/* Chance. */

struct chance {
	uint64_t seed;
	struct kinds k;
	const struct script *session;
};

static uint64_t below(struct chance *c, uint64_t n)
{
	return migration_random(&c->seed) % n;
}

/* A message that is in order, with up to four bytes changed, and perhaps other descriptors. */
static int send_random(struct chance *c, int fd)
{
	const struct vhu_desc *desc = vhu_desc_at((size_t)below(c, vhu_desc_count()));
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	int fds[FDSET_MAX];
	struct vhu_msg msg;
	unsigned int n = vhu_msg_init_sample(&msg, desc);
	size_t len = vhu_msg_pack(&msg, bytes);

	if (below(c, 8) == 0)
		n = (unsigned int)below(c, FDSET_MAX + 1);
	for (unsigned int i = 0; i < n; i++)
		fds[i] = below(c, 16) == 0 ? c->k.null : fitting(&c->k, desc->id);
	for (uint64_t i = below(c, 5); i > 0; i--)
		bytes[below(c, len)] = (uint8_t)migration_random(&c->seed);
	return send_to(fd, bytes, len, fds, n);
}

/* One connection: some of a session in order, then chance. */
static int random_session(struct trial *t, struct chance *c)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_frontend fe;
	int err = life_connect(t, &fe), fd;

	if (err < 0)
		return err;
	fd = fe.fd;
	for (uint64_t i = 0, n = below(c, c->session->n); i < n && err == 0; i++) {
		const struct vhu_msg *msg = &c->session->msgs[i];

		err = send_to(fd, bytes, vhu_msg_pack(msg, bytes), msg->fds.fd, msg->fds.n_fds);
	}
	for (unsigned int i = 0; i < N_A_SESSION && err == 0; i++) {
		err = send_random(c, fd);
		if (err == 0)
			err = drain(fd);
	}
	vhu_frontend_fini(&fe);
	return 0;
}

int case_hostile_random(struct trial *t)
{
	struct chance c = { .seed = 1, .k = { -1, -1, -1, -1, -1, -1, -1, -1, -1 } };
	struct script *session = NULL;
	int fds = -1, err = trial_boot(t, NULL);

	if (err == 0) {
		fds = count_fds(t);
		session = script_new(t);
		err = session ? kinds_make(t, &c.k) : trial_error(t, "memory for a session");
	}
	c.session = session;
	vhu_frontend_disconnect(&t->fe);
	for (unsigned int i = 0; i < N_RANDOM / N_A_SESSION && err == 0; i++)
		err = random_session(t, &c);
	kinds_fini(&c.k);
	free(session);
	return err < 0 ? err : serves_again(t, fds, "after 10000 messages changed at random");
}
