/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Descriptors that come with messages (rst "Communication"). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/cases/case-steps.h"
#include "conform/target/process.h"
#include "conform/trial/trial-ring.h"

enum {
	REGION_LEN = 0x10000,
	N_REGIONS = VHU_MAX_REGIONS,
	MANY_FDS = 253, /* the kernel's limit */
};

/* Place. */

static size_t pack_ring_fd(uint8_t *bytes, enum vhu_fe_id id, unsigned int idx)
{
	uint8_t whole[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	size_t len;

	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put_u64(&msg, idx);
	len = vhu_msg_pack(&msg, whole);
	memcpy(bytes, whole, len);
	return len;
}

/* All rings run but the one for requests, which lacks its kick descriptor. */
static int boot_but_kick(struct trial *t)
{
	static const struct trial_plan no_kick = { .no_kick = true, .no_enable = true };
	unsigned int idx = trial_ring(t);
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err == 0)
		err = trial_send_memory(t);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = trial_start_ring(t, i, i == idx ? &no_kick : NULL);
	return err;
}

static int enable_and_exchange(struct trial *t)
{
	int err = 0;

	if (vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT))
		err = trial_step(
			t,
			vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_ENABLE, trial_ring(t), 1, true),
			"SET_VRING_ENABLE");
	if (err == 0)
		err = trial_driver_ready(t, NULL);
	return err < 0 ? err : trial_exchange(t, 4);
}

int case_fds_own_message(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	uint8_t bytes[64];
	size_t len;
	int err = boot_but_kick(t);

	if (err < 0)
		return err;
	len = pack_ring_fd(bytes, VHU_FE_SET_VRING_CALL, idx);
	err = vhu_frontend_send_raw(&t->fe, bytes, len, &t->fe.rings[idx].call_peer, 1);
	len = pack_ring_fd(bytes, VHU_FE_SET_VRING_KICK, idx);
	if (err == 0)
		err = vhu_frontend_send_raw(&t->fe, bytes, len, &t->fe.rings[idx].kick_fd, 1);
	err = trial_step(t, err, "SET_VRING_CALL and SET_VRING_KICK without waiting");
	return err < 0 ? err : enable_and_exchange(t);
}

/* SET_VRING_ENABLE comes behind SET_VRING_KICK in the same write. */
int case_fds_first_of_two(struct trial *t)
{
	const struct vhu_vring_state on = { .index = trial_ring(t), .num = 1 };
	uint8_t bytes[64];
	struct vhu_msg msg;
	size_t len;
	int err = boot_but_kick(t);

	if (err < 0)
		return err;
	len = pack_ring_fd(bytes, VHU_FE_SET_VRING_KICK, on.index);
	if (vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT)) {
		vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ENABLE);
		vhu_msg_put(&msg, &on, sizeof(on));
		vhu_header_pack(&msg, bytes + len);
		memcpy(bytes + len + VHU_HDR_LEN, &on, sizeof(on));
		len += VHU_HDR_LEN + sizeof(on);
	}
	err = trial_step(
		t, vhu_frontend_send_raw(&t->fe, bytes, len, &t->fe.rings[on.index].kick_fd, 1),
		"SET_VRING_KICK and SET_VRING_ENABLE in one write");
	return err < 0 ? err : enable_and_exchange(t);
}

/* Numbers. */

static void put_regions(struct vhu_msg *msg)
{
	struct vhu_mem_table table = { .n_regions = N_REGIONS };

	for (unsigned int i = 0; i < N_REGIONS; i++)
		table.regions[i] = (struct vhu_region){
			.guest_addr = (UINT64_C(1) << 32) + i * (uint64_t)REGION_LEN,
			.size = REGION_LEN,
			.user_addr = UINT64_C(0x7f0000000000) + i * (uint64_t)REGION_LEN,
			.mmap_offset = i * (uint64_t)REGION_LEN,
		};
	vhu_msg_put(msg, &table, sizeof(table));
}

static int send_table(struct trial *t, int fd, unsigned int n_fds, enum step_outcome *ret_outcome)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	int fds[MANY_FDS];
	struct vhu_msg msg;
	int err;

	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = fd;
	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	put_regions(&msg);
	err = step_send_raw(t, bytes, vhu_msg_pack(&msg, bytes), fds, n_fds);
	return err < 0 ? err : step_outcome(t, &msg, ret_outcome, "a table with descriptors");
}

static int with_many_fds(struct trial *t, unsigned int n_fds)
{
	enum step_outcome outcome = STEP_SILENT;
	AUTO_FD int fd = -1;
	int err = trial_handshake(t);

	if (err == 0)
		err = step_memfd(t, (size_t)N_REGIONS * REGION_LEN, &fd);
	if (err == 0)
		err = send_table(t, fd, n_fds, &outcome);
	if (err < 0)
		return err;
	if (outcome == STEP_TAKEN)
		return trial_warn(t,
				  "SET_MEM_TABLE of 8 regions with %u descriptors: expected a "
				  "refusal, but it was acknowledged with 0",
				  n_fds);
	if (outcome == STEP_SILENT)
		return 0; /* it may have been taken, and its descriptors be in use */
	return step_not_kept(t, fd, "SET_MEM_TABLE with too many descriptors");
}

int case_fds_16(struct trial *t)
{
	return with_many_fds(t, 16);
}

int case_fds_253(struct trial *t)
{
	return with_many_fds(t, MANY_FDS);
}

/* The table in force, and one more region; so many of each as told. */
static int miscounted(struct trial *t, unsigned int n_regions, unsigned int n_fds)
{
	struct vhu_mem_table table = { .n_regions = n_regions };
	struct vhu_msg msg;
	AUTO_FD int fd = -1;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = step_memfd(t, REGION_LEN, &fd);
	if (err < 0)
		return err;
	table.regions[0] = t->fe.regions[0].wire;
	table.regions[1] = (struct vhu_region){
		.guest_addr = UINT64_C(1) << 40,
		.size = REGION_LEN,
		.user_addr = UINT64_C(0x7e0000000000),
	};
	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &table,
		    offsetof(struct vhu_mem_table, regions) + n_regions * sizeof(table.regions[0]));
	msg.fds = (struct fdset){ .fd = { t->fe.mem_fd, fd }, .n_fds = n_fds };
	err = trial_refused(t, &msg, "SET_MEM_TABLE of %u region(s) with %u descriptor(s)",
			    n_regions, n_fds);
	if (err == 0 && n_fds > n_regions)
		err = step_not_kept(t, fd, "SET_MEM_TABLE with a descriptor too many");
	return err < 0 ? err : step_traffic(t, 4);
}

int case_fds_fewer_than_regions(struct trial *t)
{
	return miscounted(t, 2, 1);
}

int case_fds_more_than_regions(struct trial *t)
{
	return miscounted(t, 1, 2);
}

int case_fds_missing_at_start(struct trial *t)
{
	struct vhu_msg msg;

	vhu_msg_init_sample(&msg, vhu_desc_find(VHU_FE, VHU_FE_SET_MEM_TABLE));
	return trial_refused(t, &msg, "SET_MEM_TABLE without descriptors");
}

int case_fds_surplus_get(struct trial *t)
{
	struct vhu_msg msg;
	AUTO_FD int fd = -1;
	int err = step_memfd(t, REGION_LEN, &fd);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.fds = (struct fdset){ .fd = { fd, fd, fd }, .n_fds = 3 };
	err = trial_survives(t, &msg, NULL, "GET_FEATURES with 3 descriptors");
	return err < 0 ? err : step_not_kept(t, fd, "GET_FEATURES with 3 descriptors");
}

/* Kinds. */

/* A socket has an inode of its own, by which it is found in the process. */
int case_fds_cloexec(struct trial *t)
{
	static const struct trial_plan plan = {
		.call = VHU_CALL_SOCKET,
		.only_ring = true,
		.not_ready = true,
	};
	unsigned int flags = 0;
	int err = trial_boot(t, &plan);

	if (err < 0)
		return err;
	err = process_fd_flags_of(t->target->pid, t->fe.rings[trial_ring(t)].call_peer, &flags);
	if (err < 0)
		return trial_na(t, "the call descriptor is not seen in process %d",
				(int)t->target->pid);
	if (flags & O_CLOEXEC)
		return 0;
	return trial_fail(
		t,
		"the call descriptor of ring %u: expected it to be close-on-exec, but its "
		"flags are %#o",
		trial_ring(t), flags);
}

enum wrong_kind {
	WRONG_SOCKET, /* its other end is closed */
	WRONG_DIRECTORY,
	WRONG_READ_ONLY,
	WRONG_PIPE_IN,	/* nobody writes to it any more */
	WRONG_PIPE_OUT, /* nobody reads from it any more */
	WRONG_N_KINDS,
};

static const char *wrong_name(enum wrong_kind kind)
{
	static const char *const names[WRONG_N_KINDS] = {
		"a socket whose other end is closed",
		"a directory",
		"a file that can only be read",
		"the end of a pipe that nobody writes to",
		"the end of a pipe that nobody reads from",
	};

	return names[kind];
}

static int open_read_only(void)
{
	char path[64];
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), ro;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = ftruncate(fd, REGION_LEN) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	fd_close(fd);
	return ro;
}

static int open_end(bool is_socket, unsigned int end)
{
	int fds[2];

	if (is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0
		      : pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fd_close(fds[!end]);
	return fds[end];
}

static int open_wrong(struct trial *t, enum wrong_kind kind, int *ret_fd)
{
	int fd = kind == WRONG_DIRECTORY   ? open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		 : kind == WRONG_READ_ONLY ? open_read_only()
					   : open_end(kind == WRONG_SOCKET, kind == WRONG_PIPE_OUT);

	if (fd < 0)
		return trial_error(t, "%s: %s", wrong_name(kind), strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* Makes the session in which the descriptor is given, and the message that gives it. */
typedef int wrong_fn(struct trial *t, struct vhu_msg *msg);

/* Gives each kind in a session of its own, then lets the back-end use it, if it will. */
static int give_wrong(struct trial *t, wrong_fn *make, const char *use)
{
	int err = 0;

	for (enum wrong_kind kind = 0; kind < WRONG_N_KINDS && err == 0; kind++) {
		struct vhu_msg msg;
		AUTO_FD int fd = -1;

		if (kind > 0)
			err = step_reconnect(t);
		if (err == 0)
			err = make(t, &msg);
		if (err == 0)
			err = open_wrong(t, kind, &fd);
		if (err < 0)
			break;
		msg.fds = (struct fdset){ .fd = { fd }, .n_fds = 1 };
		err = trial_survives(t, &msg, NULL, "%s as %s", wrong_name(kind), use);
		if (err < 0 || t->closed || !t->device || t->fe.n_rings == 0)
			continue;
		vhu_frontend_kick(&t->fe, trial_ring(t));
		vhu_frontend_pass_time(&t->fe, trial_ms(t, 20));
		err = trial_goes_on(t, use);
	}
	return err;
}

static int make_memory_message(struct trial *t, struct vhu_msg *msg)
{
	int err = trial_handshake(t);

	trial_msg(t, msg, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(msg,
		    &(struct vhu_mem_table){ .n_regions = 1,
					     .regions = { { UINT64_C(1) << 32, REGION_LEN,
							    UINT64_C(0x7f0000000000), 0 } } },
		    offsetof(struct vhu_mem_table, regions[1]));
	return err;
}

int case_fds_wrong_memory(struct trial *t)
{
	return give_wrong(t, make_memory_message, "guest memory");
}

/* The rings run, and a request waits to be seen. */
static int make_ring_message(struct trial *t, struct vhu_msg *msg, enum vhu_fe_id id)
{
	struct trial_request request;
	int err = trial_boot(t, NULL);

	if (err == 0 && id == VHU_FE_SET_VRING_KICK && t->fe.n_rings > 0)
		err = setup_without_kick(t, trial_ring(t));
	if (err == 0 && t->device)
		err = trial_offer(t, NULL, &request);
	if (err == 0 && t->device)
		driverq_publish(&t->fe.rings[trial_ring(t)].q);
	trial_msg_u64(t, msg, id, trial_ring(t));
	return err;
}

static int make_kick_message(struct trial *t, struct vhu_msg *msg)
{
	return make_ring_message(t, msg, VHU_FE_SET_VRING_KICK);
}

static int make_call_message(struct trial *t, struct vhu_msg *msg)
{
	return make_ring_message(t, msg, VHU_FE_SET_VRING_CALL);
}

static int make_err_message(struct trial *t, struct vhu_msg *msg)
{
	return make_ring_message(t, msg, VHU_FE_SET_VRING_ERR);
}

int case_fds_wrong_kick(struct trial *t)
{
	return give_wrong(t, make_kick_message, "a kick descriptor");
}

int case_fds_wrong_call(struct trial *t)
{
	return give_wrong(t, make_call_message, "a call descriptor");
}

int case_fds_wrong_err(struct trial *t)
{
	return give_wrong(t, make_err_message, "an error descriptor");
}

static int make_channel_message(struct trial *t, struct vhu_msg *msg)
{
	int err = trial_handshake(t);

	trial_msg(t, msg, VHU_FE_SET_BACKEND_REQ_FD);
	return err;
}

int case_fds_wrong_channel(struct trial *t)
{
	return give_wrong(t, make_channel_message, "a back-end channel");
}

static int make_log_message(struct trial *t, struct vhu_msg *msg)
{
	const struct vhu_log log = { .mmap_size = REGION_LEN };
	int err = trial_handshake_with(t, trial_features(t),
				       trial_protocol(t) | BIT(VHU_PF_LOG_SHMFD_BIT));

	trial_msg(t, msg, VHU_FE_SET_LOG_BASE);
	vhu_msg_put(msg, &log, sizeof(log));
	return err;
}

int case_fds_wrong_log(struct trial *t)
{
	return give_wrong(t, make_log_message, "a dirty log");
}

int case_fds_empty_control(struct trial *t)
{
	int err;

	t->fe.empty_control = true;
	err = trial_handshake(t);
	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err == 0)
		err = trial_send_memory(t);
	if (err == 0)
		err = trial_start_ring(t, trial_ring(t), NULL);
	if (err == 0)
		err = trial_ping(t);
	t->fe.empty_control = false;
	return err;
}
