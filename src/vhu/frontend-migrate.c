/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhu/codec.h"

enum {
	PAGE = 4096,
	STATE_MAX = 64 << 20, /* bytes: more than any device of ours has */
};

static void ask_for_ack(const struct vhu_frontend *fe, struct vhu_msg *msg)
{
	if (vhu_frontend_has_protocol(fe, VHU_PF_REPLY_ACK_BIT))
		msg->flags |= VHU_FLAG_NEED_REPLY;
}

/* Requests in flight. */

void vhu_frontend_inflight_fini(struct vhu_frontend_inflight *inflight)
{
	if (inflight->map)
		munmap(inflight->map, inflight->wire.mmap_size);
	inflight->map = NULL;
	inflight->fd = fd_close(inflight->fd);
}

static int map_inflight(struct vhu_frontend *fe, struct vhu_frontend_inflight *inflight)
{
	const struct vhu_inflight *wire = &inflight->wire;
	struct stat st;
	void *map;

	if (fstat(inflight->fd, &st) < 0)
		return vhu_frontend_fail(fe, -errno, "the record's file: %s", strerror(errno));
	if (!range_within(wire->mmap_offset, wire->mmap_size, 0, (uint64_t)st.st_size))
		return vhu_frontend_fail(fe, -EPROTO,
					 "a record within its file of %lld bytes, not %llu at %llu",
					 (long long)st.st_size, (unsigned long long)wire->mmap_size,
					 (unsigned long long)wire->mmap_offset);
	map = mmap(NULL, wire->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, inflight->fd,
		   (off_t)wire->mmap_offset);
	if (map == MAP_FAILED)
		return vhu_frontend_fail(fe, -EPROTO, "a record that can be mapped: %s",
					 strerror(errno));
	inflight->map = map;
	return 0;
}

int vhu_frontend_inflight_get(struct vhu_frontend *fe, struct vhu_frontend_inflight *inflight,
			      unsigned int n, unsigned int size)
{
	const struct vhu_inflight ask = { .num_queues = (uint16_t)n, .queue_size = (uint16_t)size };
	struct vhu_msg msg, reply;
	int err;

	vhu_frontend_inflight_fini(inflight);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_INFLIGHT_FD);
	vhu_msg_put(&msg, &ask, sizeof(ask));
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	if (reply.fds.n_fds == 0)
		return vhu_frontend_fail(fe, -EREMOTEIO, "GET_INFLIGHT_FD to be accepted");
	vhu_msg_get(&reply, &inflight->wire, sizeof(inflight->wire));
	inflight->fd = fdset_take(&reply.fds, 0);
	fdset_close(&reply.fds);
	/* Some back-ends leave out what was asked. */
	inflight->wire.num_queues = (uint16_t)n;
	inflight->wire.queue_size = (uint16_t)size;
	return map_inflight(fe, inflight);
}

int vhu_frontend_inflight_set(struct vhu_frontend *fe, const struct vhu_frontend_inflight *inflight)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_INFLIGHT_FD);
	vhu_msg_put(&msg, &inflight->wire, sizeof(inflight->wire));
	ask_for_ack(fe, &msg);
	msg.fds.fd[msg.fds.n_fds++] = inflight->fd;
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

int vhu_frontend_inflight_ready(struct vhu_frontend *fe, struct vhu_frontend_inflight *inflight,
				uint64_t features, unsigned int n, unsigned int size)
{
	int err = vhu_frontend_set_u64(fe, VHU_FE_SET_FEATURES, features, true);

	if (err == 0 && inflight->fd < 0)
		err = vhu_frontend_inflight_get(fe, inflight, n, size);
	return err == 0 ? vhu_frontend_inflight_set(fe, inflight) : err;
}

size_t vhu_frontend_inflight_part_len(const struct vhu_frontend_inflight *inflight)
{
	return (size_t)(inflight->wire.mmap_size / inflight->wire.num_queues);
}

void *vhu_frontend_inflight_part(const struct vhu_frontend_inflight *inflight, unsigned int idx)
{
	return inflight->map + idx * vhu_frontend_inflight_part_len(inflight);
}

/* Positions. */

int vhu_frontend_vring_base_now(struct vhu_frontend *fe, uint32_t idx, uint32_t *ret_base)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_VRING_BASE_SKIP_DRAIN);
	vhu_msg_put(&msg, &state, sizeof(state));
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	vhu_msg_get(&reply, &state, sizeof(state));
	*ret_base = state.num;
	return 0;
}

void vhu_frontend_recover_bases(struct vhu_frontend *fe)
{
	for (unsigned int i = 0; i < fe->n_rings; i++)
		if (fe->rings[i].size > 0)
			fe->rings[i].base = driverq_base(&fe->rings[i].q);
}

/* The device's state. */

enum direction { SAVE = 0, LOAD = 1 };

/* A way for state: our end and the back-end's. */
struct way {
	int ours, theirs;
};

static void way_fini(struct way *w)
{
	w->ours = fd_close(w->ours);
	w->theirs = fd_close(w->theirs);
}

#define AUTO_WAY AUTO(way_fini) struct way

static int way_open(struct vhu_frontend *fe, struct way *w, enum vhu_state_way kind,
		    enum direction direction)
{
	int fds[2];

	if (kind == VHU_STATE_SOCKET ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0
				     : pipe2(fds, O_CLOEXEC) < 0)
		return vhu_frontend_fail(fe, -errno, "a way for state: %s", strerror(errno));
	w->ours = fds[direction == SAVE ? 0 : 1];
	w->theirs = fds[direction == SAVE ? 1 : 0];
	return 0;
}

/* SET_DEVICE_STATE_FD. Our end is the back-end's own if it has sent one, and never blocks. */
static int agree(struct vhu_frontend *fe, struct way *w, enum direction direction)
{
	const struct vhu_device_state payload = { .direction = direction };
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	msg.fds.fd[msg.fds.n_fds++] = w->theirs;
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	w->theirs = fd_close(w->theirs); /* else there is no end of it */
	if (err < 0)
		return err;
	if (reply.fds.n_fds > 0) {
		fd_close(w->ours);
		w->ours = fdset_take(&reply.fds, 0);
	}
	fdset_close(&reply.fds);
	fcntl(w->ours, F_SETFL, O_NONBLOCK);
	if ((vhu_msg_u64(&reply) & ~VHU_DEVICE_STATE_NOFD) == 0)
		return 0;
	return vhu_frontend_fail(fe, -EREMOTEIO, "SET_DEVICE_STATE_FD to be accepted, not %#llx",
				 (unsigned long long)vhu_msg_u64(&reply));
}

static int check(struct vhu_frontend *fe, const char *what)
{
	uint64_t value;
	int err = vhu_frontend_get_u64(fe, VHU_FE_CHECK_DEVICE_STATE, &value);

	if (err < 0 || value == 0)
		return err;
	return vhu_frontend_fail(fe, -EREMOTEIO, "state to be %s, not failure %llu", what,
				 (unsigned long long)value);
}

void vhu_frontend_state_fini(struct vhu_frontend_state *state)
{
	free(state->bytes);
	*state = (struct vhu_frontend_state){ .bytes = NULL };
}

/* Room for something more. */
static int make_room(struct vhu_frontend *fe, struct vhu_frontend_state *state, size_t *cap)
{
	size_t more = *cap > 0 ? 2 * *cap : PAGE;
	uint8_t *bytes;

	if (state->len < *cap)
		return 0;
	if (*cap >= STATE_MAX)
		return vhu_frontend_fail(fe, -EPROTO, "less than %d bytes of state", STATE_MAX);
	bytes = realloc(state->bytes, more);
	if (!bytes)
		return vhu_frontend_fail(fe, -ENOMEM, "memory for state");
	state->bytes = bytes;
	*cap = more;
	return 0;
}

static int read_to_end(struct vhu_frontend *fe, int fd, struct vhu_frontend_state *state)
{
	size_t cap = 0;
	int err = 0;

	while (err == 0) {
		ssize_t n;

		err = make_room(fe, state, &cap);
		if (err < 0)
			break;
		n = read(fd, state->bytes + state->len, cap - state->len);
		if (n == 0)
			return 0;
		if (n > 0)
			state->len += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			err = vhu_frontend_await_readable(fe, &fd, 1, fe->timeout_ms);
		else
			err = vhu_frontend_fail(fe, -errno, "state to be readable: %s",
						strerror(errno));
	}
	return err;
}

int vhu_frontend_save_state(struct vhu_frontend *fe, enum vhu_state_way way,
			    struct vhu_frontend_state *state)
{
	AUTO_WAY w = { -1, -1 };
	int err = way_open(fe, &w, way, SAVE);

	vhu_frontend_state_fini(state);
	if (err == 0)
		err = agree(fe, &w, SAVE);
	if (err == 0)
		err = read_to_end(fe, w.ours, state);
	return err == 0 ? check(fe, "saved") : err;
}

/* A reader may have gone: SIGPIPE, which a pipe knows no way around, is ignored by whoever runs us.
 */
static ssize_t write_some(enum vhu_state_way way, int fd, const uint8_t *bytes, size_t len)
{
	return way == VHU_STATE_SOCKET ? send(fd, bytes, len, MSG_NOSIGNAL) : write(fd, bytes, len);
}

static int write_all(struct vhu_frontend *fe, enum vhu_state_way way, int fd, const uint8_t *bytes,
		     size_t len)
{
	int err = 0;

	while (len > 0 && err == 0) {
		ssize_t n = write_some(way, fd, bytes, len);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			err = vhu_frontend_await_writable(fe, fd, fe->timeout_ms);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* it has read enough: CHECK_DEVICE_STATE tells */
		} else {
			err = vhu_frontend_fail(fe, -errno, "state to be writable: %s",
						strerror(errno));
		}
	}
	return err;
}

int vhu_frontend_load_state(struct vhu_frontend *fe, enum vhu_state_way way, const void *bytes,
			    size_t len)
{
	AUTO_WAY w = { -1, -1 };
	int err = way_open(fe, &w, way, LOAD);

	if (err == 0)
		err = agree(fe, &w, LOAD);
	if (err == 0)
		err = write_all(fe, way, w.ours, bytes, len);
	w.ours = fd_close(w.ours); /* its end */
	return err == 0 ? check(fe, "loaded") : err;
}

/* Memory of another machine. */

int vhu_frontend_memory_make(struct vhu_frontend *fe, struct vhu_frontend_memory *memory)
{
	void *map;

	*memory = (struct vhu_frontend_memory){ .fd = memfd_create("guest", MFD_CLOEXEC) };
	if (memory->fd < 0 || ftruncate(memory->fd, (off_t)fe->mem_len) < 0)
		return vhu_frontend_fail(fe, -errno, "a file for memory: %s", strerror(errno));
	map = mmap(NULL, fe->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (map == MAP_FAILED)
		return vhu_frontend_fail(fe, -errno, "memory mapped: %s", strerror(errno));
	memory->map = map;
	memory->len = fe->mem_len;
	return 0;
}

void vhu_frontend_memory_fini(struct vhu_frontend_memory *memory)
{
	if (memory->map)
		munmap(memory->map, memory->len);
	memory->map = NULL;
	memory->fd = fd_close(memory->fd);
}

void vhu_frontend_memory_copy_page(const struct vhu_frontend *fe,
				   struct vhu_frontend_memory *memory, uint64_t guest_addr)
{
	const uint8_t *from = vhu_frontend_host(fe, guest_addr / PAGE * PAGE + fe->iova_shift);
	size_t at;

	if (!from)
		return;
	at = (size_t)(from - fe->mem_map);
	memcpy(memory->map + at, from, min_size(PAGE, memory->len - at));
}

void vhu_frontend_memory_copy(const struct vhu_frontend *fe, struct vhu_frontend_memory *memory)
{
	memcpy(memory->map, fe->mem_map, memory->len);
}

static int map_at(struct vhu_frontend *fe, uint8_t *at, size_t len, int fd)
{
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
		return 0;
	return vhu_frontend_fail(fe, -errno, "memory mapped: %s", strerror(errno));
}

int vhu_frontend_memory_swap(struct vhu_frontend *fe, struct vhu_frontend_memory *memory)
{
	int fd = fe->mem_fd;
	int err;

	if (memory->len != fe->mem_len)
		return vhu_frontend_fail(fe, -EINVAL, "as much memory as the guest has");
	err = map_at(fe, fe->mem_map, fe->mem_len, memory->fd);
	if (err == 0)
		err = map_at(fe, memory->map, memory->len, fd);
	if (err < 0)
		return err;
	fe->mem_fd = memory->fd;
	memory->fd = fd;
	return 0;
}

static void swap_fds(int *a, int *b)
{
	int fd = *a;

	*a = *b;
	*b = fd;
}

void vhu_frontend_swap_connection(struct vhu_frontend *a, struct vhu_frontend *b)
{
	struct vhu_msg *unanswered = a->unanswered;
	struct vhu_frontend_heard heard = a->heard;
	struct vhu_nego nego = a->nego;
	unsigned int n_sent = a->n_sent;

	swap_fds(&a->fd, &b->fd);
	swap_fds(&a->channel_fd, &b->channel_fd);
	a->unanswered = b->unanswered;
	b->unanswered = unanswered;
	a->heard = b->heard;
	b->heard = heard;
	a->nego = b->nego;
	b->nego = nego;
	a->n_sent = b->n_sent;
	b->n_sent = n_sent;
	for (unsigned int i = 0; i < a->n_regions; i++)
		a->regions[i].added = false;
	for (unsigned int i = 0; i < b->n_regions; i++)
		b->regions[i].added = false;
}
