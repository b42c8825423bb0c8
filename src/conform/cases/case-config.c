/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Reading the config space (rst "GET_CONFIG"). */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"

enum { CONFIG_MAX = 256, UNKNOWN_MAX = 64, HEAD_LEN = 12 };

/* Bytes that the device has, as far as that is known: what is behind them is anybody's guess. */
static uint32_t known_len(const struct trial *t)
{
	uint32_t readable = t->target->info.config_len;
	uint32_t own = t->device ? t->device->config_len : UNKNOWN_MAX;

	return readable < own ? readable : own;
}

static int begin(struct trial *t)
{
	if (known_len(t) == 0)
		return trial_na(t, "the device has no config space");
	return trial_handshake(t);
}

/* All of it must come. */
static int read_config(struct trial *t, uint32_t off, uint32_t len, uint32_t flags, void *ret_bytes)
{
	int got, err = step_get_config(t, off, len, flags, ret_bytes, &got);

	if (err < 0 || got == (int)len)
		return err;
	return trial_fail(t, "GET_CONFIG of %u bytes at %u: expected them, but %s", len, off,
			  got < 0 ? "the connection was closed" : "an error was reported");
}

int case_config_sizes(struct trial *t)
{
	static const uint32_t sizes[] = { 1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 256 };
	uint8_t bytes[CONFIG_MAX];
	uint32_t known = known_len(t);
	int err = begin(t);

	for (uint32_t off = 0; off < known && err == 0; off++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes) && err == 0; i++)
			if (sizes[i] <= known - off)
				err = read_config(t, off, sizes[i], 0, bytes);
	return err;
}

int case_config_offsets(struct trial *t)
{
	uint8_t whole[CONFIG_MAX], part[4];
	uint32_t known = known_len(t);
	int err = begin(t);

	if (err == 0)
		err = read_config(t, 0, known, 0, whole);
	for (uint32_t off = 0; off < known && err == 0; off++) {
		uint32_t len = known - off < sizeof(part) ? known - off : (uint32_t)sizeof(part);

		err = read_config(t, off, len, 0, part);
		if (err == 0 && memcmp(part, whole + off, len) != 0)
			err = trial_fail(
				t,
				"GET_CONFIG of %u bytes at %u: expected what a read of the "
				"whole has there, first byte %#x, but it is %#x",
				len, off, whole[off], part[0]);
	}
	return err;
}

int case_config_beyond(struct trial *t)
{
	bool exact = t->device && strcmp(t->device->name, "console") == 0;
	uint8_t bytes[CONFIG_MAX];
	uint32_t known = known_len(t);
	int err = begin(t);

	if (err == 0)
		err = read_config(t, 0, sizeof(bytes), 0, bytes);
	/* Of a console the text leaves no doubt where it ends. */
	for (uint32_t i = known; exact && i < sizeof(bytes) && err == 0; i++)
		if (bytes[i] != 0)
			err = trial_fail(
				t,
				"GET_CONFIG of 256 bytes: expected zeroes from byte %u on, "
				"but byte %u is %#x",
				known, i, bytes[i]);
	return err;
}

/* Refusals. */

static int ask_raw(struct trial *t, uint32_t off, uint32_t size, uint32_t room,
		   struct vhu_msg *ret_reply, bool *ret_closed)
{
	const struct vhu_config config = { .offset = off, .size = size };
	struct vhu_msg msg;
	int err = begin(t);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_CONFIG);
	vhu_msg_put(&msg, &config, HEAD_LEN + room);
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "GET_CONFIG");
	if (err == 0)
		err = trial_receive(t, ret_reply, ret_closed);
	if (err == 0 && !*ret_closed)
		fdset_close(&ret_reply->fds);
	if (err == 0 && !*ret_closed && ret_reply->id != VHU_FE_GET_CONFIG)
		err = trial_fail(t, "GET_CONFIG: expected its reply, but that of %s came",
				 vhu_msg_name(VHU_FE, ret_reply->id));
	return err;
}

static int out_of_range(struct trial *t, uint32_t off, uint32_t size)
{
	struct vhu_msg reply;
	bool closed;
	int err = ask_raw(t, off, size, size, &reply, &closed);

	if (err < 0 || closed)
		return err;
	if (reply.size > HEAD_LEN)
		return trial_fail(
			t,
			"GET_CONFIG of %u bytes at %#x: expected an empty reply or the end "
			"of the connection, but %u bytes came",
			size, off, reply.size);
	if (reply.size > 0)
		trial_remark(t, "an error of GET_CONFIG is a reply of %u bytes", reply.size);
	return trial_goes_on(t, "GET_CONFIG out of range");
}

int case_config_wrap(struct trial *t)
{
	return out_of_range(t, 0xfffffff0, 0x20);
}

int case_config_last_byte(struct trial *t)
{
	return out_of_range(t, UINT32_MAX, 1);
}

/* Who answers must not answer with more than the request had room for. */
static int inconsistent(struct trial *t, uint32_t size, uint32_t room)
{
	struct vhu_msg reply;
	bool closed;
	int err = ask_raw(t, 0, size, room, &reply, &closed);

	if (err < 0 || closed)
		return err;
	if (reply.size > HEAD_LEN + room)
		return trial_fail(t,
				  "GET_CONFIG that names %u bytes and has room for %u: expected a "
				  "refusal, but a reply of %u bytes came",
				  size, room, reply.size);
	if (reply.size > 0)
		trial_remark(t,
			     "GET_CONFIG that names %u bytes and has room for %u is answered "
			     "with %u",
			     size, room, reply.size);
	return trial_goes_on(t, "GET_CONFIG whose sizes do not agree");
}

int case_config_claims_more(struct trial *t)
{
	return inconsistent(t, VHU_MAX_CONFIG, 4);
}

int case_config_claims_none(struct trial *t)
{
	return inconsistent(t, 0, 0);
}

/* When it can be read. */

int case_config_early(struct trial *t)
{
	uint8_t before[CONFIG_MAX], after[CONFIG_MAX];
	uint32_t known = known_len(t);
	int err = 0;

	if (known == 0)
		return trial_na(t, "the device has no config space");
	err = trial_handshake_protocol(t, trial_protocol(t));
	if (err == 0)
		err = read_config(t, 0, known, 0, before);
	if (err == 0)
		err = trial_step(
			t,
			vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES, trial_features(t), true),
			"SET_FEATURES");
	return err < 0 ? err : read_config(t, 0, known, 0, after);
}

int case_config_running(struct trial *t)
{
	uint8_t before[CONFIG_MAX], after[CONFIG_MAX];
	uint32_t known = known_len(t);
	int err = 0;

	if (known == 0)
		return trial_na(t, "the device has no config space");
	err = trial_boot(t, NULL);
	if (err == 0)
		err = read_config(t, 0, known, 0, before);
	if (err == 0)
		err = trial_exchange(t, 4);
	if (err == 0)
		err = read_config(t, 0, known, 0, after);
	if (err < 0 || memcmp(before, after, known) == 0)
		return err;
	/* It may have changed for reasons of the device's own. */
	return trial_remark(t, "the config space changed while requests were answered");
}

int case_config_get_flags(struct trial *t)
{
	uint8_t plain[CONFIG_MAX], flagged[CONFIG_MAX];
	uint32_t known = known_len(t);
	int err = begin(t);

	if (err == 0)
		err = read_config(t, 0, known, 0, plain);
	if (err == 0)
		err = read_config(t, 0, known, 1, flagged);
	if (err < 0 || memcmp(plain, flagged, known) == 0)
		return err;
	return trial_fail(t, "GET_CONFIG with flags 1: expected the same bytes as with flags 0");
}
