/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The front-end's requests one by one: payloads and what is taken from replies. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "vhu/codec.h"
#include "vhu/frontend.h"

/*
 * A request of ours, with need_reply if the caller wants it and it is agreed
 * on: the message that agrees on it may ask already.
 */
static void begin(const struct vhu_frontend *fe, struct vhu_msg *msg, enum vhu_fe_id id,
		  const void *payload, size_t len, bool need_reply)
{
	bool agreed = vhu_frontend_has_protocol(fe, VHU_PF_REPLY_ACK_BIT);

	vhu_msg_init(msg, VHU_FE, id);
	vhu_msg_put(msg, payload, len);
	if (id == VHU_FE_SET_PROTOCOL_FEATURES)
		agreed = need_reply && (vhu_msg_u64(msg) & BIT(VHU_PF_REPLY_ACK_BIT));
	if (agreed && (need_reply || fe->ack_all))
		msg->flags |= VHU_FLAG_NEED_REPLY;
}

static int request(struct vhu_frontend *fe, enum vhu_fe_id id, const void *payload, size_t len,
		   bool need_reply)
{
	struct vhu_msg msg;

	begin(fe, &msg, id, payload, len, need_reply);
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

int vhu_frontend_simple(struct vhu_frontend *fe, enum vhu_fe_id id, bool need_reply)
{
	return request(fe, id, NULL, 0, need_reply);
}

int vhu_frontend_set_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t value,
			 bool need_reply)
{
	return request(fe, id, &value, sizeof(value), need_reply);
}

int vhu_frontend_get_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t *ret_value)
{
	struct vhu_msg msg, reply;
	int err;

	begin(fe, &msg, id, NULL, 0, false);
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	*ret_value = vhu_msg_u64(&reply);
	fdset_close(&reply.fds);
	return 0;
}

int vhu_frontend_vring(struct vhu_frontend *fe, enum vhu_fe_id id, uint32_t idx, uint32_t num,
		       bool need_reply)
{
	struct vhu_vring_state state = { .index = idx, .num = num };

	return request(fe, id, &state, sizeof(state), need_reply);
}

int vhu_frontend_vring_base(struct vhu_frontend *fe, uint32_t idx, uint32_t *ret_base)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg, reply;
	int err;

	begin(fe, &msg, VHU_FE_GET_VRING_BASE, &state, sizeof(state), false);
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	vhu_msg_get(&reply, &state, sizeof(state));
	*ret_base = state.num;
	return 0;
}

int vhu_frontend_vring_fd(struct vhu_frontend *fe, enum vhu_fe_id id, uint32_t idx, int fd,
			  bool need_reply)
{
	uint64_t word = idx | (fd < 0 ? VHU_VRING_NOFD : 0);
	struct vhu_msg msg;

	if (idx >= VHU_MAX_FD_RINGS)
		return vhu_frontend_fail(fe, -EINVAL, "a ring below %d to have descriptors",
					 VHU_MAX_FD_RINGS);
	begin(fe, &msg, id, &word, sizeof(word), need_reply);
	if (fd >= 0)
		msg.fds.fd[msg.fds.n_fds++] = fd;
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

static void config_message(const struct vhu_frontend *fe, struct vhu_msg *msg, enum vhu_fe_id id,
			   struct vhu_config *config, bool need_reply)
{
	size_t len = min_size(config->size, VHU_MAX_CONFIG);

	begin(fe, msg, id, config, offsetof(struct vhu_config, bytes) + len, need_reply);
}

int vhu_frontend_get_config(struct vhu_frontend *fe, uint32_t off, uint32_t len, uint32_t flags,
			    void *ret_bytes)
{
	struct vhu_config config = { .offset = off, .size = len, .flags = flags };
	struct vhu_msg msg, reply;
	int err;

	config_message(fe, &msg, VHU_FE_GET_CONFIG, &config, false);
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	if (reply.size <= offsetof(struct vhu_config, bytes))
		return vhu_frontend_fail(fe, -EREMOTEIO, "GET_CONFIG to be accepted");
	vhu_msg_get(&reply, &config, sizeof(config));
	memcpy(ret_bytes, config.bytes, len);
	return 0;
}

int vhu_frontend_set_config(struct vhu_frontend *fe, uint32_t off, const void *bytes, uint32_t len,
			    uint32_t flags, bool need_reply)
{
	struct vhu_config config = { .offset = off, .size = len, .flags = flags };
	struct vhu_msg msg;

	memcpy(config.bytes, bytes, min_size(len, VHU_MAX_CONFIG));
	config_message(fe, &msg, VHU_FE_SET_CONFIG, &config, need_reply);
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

int vhu_frontend_ping(struct vhu_frontend *fe)
{
	uint64_t features;

	return vhu_frontend_get_u64(fe, VHU_FE_GET_FEATURES, &features);
}

int vhu_frontend_open_channel(struct vhu_frontend *fe, bool need_reply)
{
	struct vhu_msg msg;
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return vhu_frontend_fail(fe, -errno, "socketpair: %s", strerror(errno));
	begin(fe, &msg, VHU_FE_SET_BACKEND_REQ_FD, NULL, 0, need_reply);
	msg.fds.fd[msg.fds.n_fds++] = fds[1];
	err = vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
	fd_close(fds[1]);
	if (err < 0) {
		fd_close(fds[0]);
		return err;
	}
	fd_close(fe->channel_fd);
	fe->channel_fd = fds[0];
	return 0;
}
