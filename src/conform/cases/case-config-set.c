/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Writing the config space, and its changes (rst "SET_CONFIG", "BACKEND_CONFIG_CHANGE_MSG"). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"

enum {
	HEAD_LEN = 12,
	MAX_WRITE = 12,
	CONSOLE_LEN = 12,
	EMERG_AT = 8,
	EMERG_BYTE = 'Q',
	SETTLE_MS = 50,
};

static bool is_console(const struct trial *t)
{
	return t->device && strcmp(t->device->name, "console") == 0;
}

static void put_config(const struct trial *t, struct vhu_msg *ret_msg, uint32_t off, uint32_t len,
		       uint32_t flags, const void *bytes)
{
	struct vhu_config config = { .offset = off, .size = len, .flags = flags };

	memcpy(config.bytes, bytes, min_size(len, MAX_WRITE));
	trial_msg(t, ret_msg, VHU_FE_SET_CONFIG);
	vhu_msg_put(ret_msg, &config, HEAD_LEN + min_size(len, MAX_WRITE));
}

/* A write that does nothing, or next to nothing, should it be taken. */
static int put_harmless(struct trial *t, struct vhu_msg *ret_msg, uint32_t flags)
{
	uint32_t len = t->target->info.config_len < 8 ? t->target->info.config_len : 8;
	static const uint8_t emergency[4] = { 'E' };

	if (len == 0)
		return trial_na(t, "the device has no config space");
	if (is_console(t))
		put_config(t, ret_msg, EMERG_AT, sizeof(emergency), flags, emergency);
	else
		put_config(t, ret_msg, 0, len, flags, t->target->info.config);
	return 0;
}

int case_config_set_claims_more(struct trial *t)
{
	const uint32_t size = VHU_MAX_CONFIG;
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err == 0)
		err = put_harmless(t, &msg, 0);
	if (err < 0)
		return err;
	memcpy(msg.payload + offsetof(struct vhu_config, size), &size, sizeof(size));
	return trial_refused(t, &msg, "SET_CONFIG that names %u bytes and has %u", size,
			     msg.size - HEAD_LEN);
}

int case_config_set_flags(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err == 0)
		err = put_harmless(t, &msg, UINT32_MAX);
	return err < 0 ? err : trial_refused(t, &msg, "SET_CONFIG with flags 0xffffffff");
}

int case_config_set_flags_2(struct trial *t)
{
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake(t);

	if (err == 0)
		err = put_harmless(t, &msg, 2);
	if (err == 0)
		err = trial_survives(t, &msg, &accepted, "SET_CONFIG with flags 2");
	if (err < 0 || !accepted)
		return err;
	return trial_warn(t, "SET_CONFIG with flags 2: expected a refusal, but it was acknowledged "
			     "with 0");
}

/* What drivers may only read, by device. */
static bool find_read_only(const struct trial *t, uint32_t *ret_off, uint32_t *ret_len)
{
	static const struct {
		const char *device;
		uint32_t off, len;
	} rows[] = {
		{ "console", 0, 8 }, /* size and number of ports */
		{ "block", 0, 8 },   /* capacity */
		{ "vsock", 0, 8 },   /* the guest's address */
		{ "fs", 0, 8 },	     /* the beginning of its name */
		{ "net", 8, 2 },     /* number of queue pairs */
	};

	for (size_t i = 0; t->device && i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].device, t->device->name) != 0)
			continue;
		*ret_off = rows[i].off;
		*ret_len = rows[i].len;
		return t->target->info.config_len >= rows[i].off + rows[i].len;
	}
	return false;
}

static int read_config(struct trial *t, uint32_t off, uint32_t len, void *ret_bytes)
{
	int got, err = step_get_config(t, off, len, 0, ret_bytes, &got);

	if (err < 0 || got == (int)len)
		return err;
	return trial_fail(t, "GET_CONFIG of %u bytes at %u: expected them, but %s", len, off,
			  got < 0 ? "the connection was closed" : "an error was reported");
}

int case_config_read_only(struct trial *t)
{
	uint8_t before[MAX_WRITE], after[MAX_WRITE], other[MAX_WRITE];
	uint32_t off, len;
	struct vhu_msg msg;
	int err;

	if (!find_read_only(t, &off, &len))
		return trial_na(t, "no part is known that this device's driver may only read");
	err = trial_handshake(t);
	if (err == 0)
		err = read_config(t, off, len, before);
	if (err < 0)
		return err;
	for (uint32_t i = 0; i < len; i++)
		other[i] = (uint8_t)~before[i];
	put_config(t, &msg, off, len, 0, other);
	err = trial_survives(t, &msg, NULL, "SET_CONFIG of what may only be read");
	if (err == 0 && t->closed) {
		err = step_reconnect(t);
		if (err == 0)
			err = trial_handshake(t);
	}
	if (err == 0)
		err = read_config(t, off, len, after);
	if (err < 0 || memcmp(before, after, len) == 0)
		return err;
	return trial_fail(
		t,
		"SET_CONFIG of %u bytes at %u that may only be read: expected them to stay "
		"%#x..., but they are %#x... now",
		len, off, before[0], after[0]);
}

int case_config_migration(struct trial *t)
{
	uint32_t off = 0, len = t->target->info.config_len;
	struct vhu_msg msg;
	bool accepted;
	int err;

	if (len == 0)
		return trial_na(t, "the device has no config space");
	if (!find_read_only(t, &off, &len))
		len = len < MAX_WRITE ? len : MAX_WRITE;
	err = trial_handshake(t);
	if (err < 0)
		return err;
	put_config(t, &msg, off, len, VHU_CONFIG_MIGRATION, t->target->info.config + off);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_survives(t, &msg, &accepted, "SET_CONFIG for migration");
	if (err < 0 || accepted)
		return err;
	/* Others take flag 1 for any write of a guest, and must not trust it. */
	return trial_warn(t, "SET_CONFIG for migration of the bytes that are there: expected to be "
			     "accepted while no ring runs, but it was refused");
}

/* Out of range. */

static int write_at(struct trial *t, uint32_t off)
{
	static const uint8_t bytes[4] = { 'E' };
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	put_config(t, &msg, off, sizeof(bytes), 0, bytes);
	return trial_refused(t, &msg, "SET_CONFIG of 4 bytes at %#x", off);
}

int case_config_set_far(struct trial *t)
{
	return write_at(t, 0x10000);
}

int case_config_set_wrap(struct trial *t)
{
	return write_at(t, UINT32_MAX);
}

int case_config_set_behind(struct trial *t)
{
	return write_at(t, CONSOLE_LEN);
}

/* Emergency output. */

/* How many bytes that are EMERG_BYTE come, up to the first silence of ms, or until it is enough. */
static unsigned int count_emergency(struct trial *t, int fd, int ms)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, ms + TRIAL_ANSWER_MS);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned int n = 0;
	uint8_t bytes[4096];
	ssize_t got;

	while (monotonic_ms() < deadline && poll(&p, 1, trial_ms(t, ms)) > 0) {
		got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			n += bytes[i] == EMERG_BYTE;
	}
	return n;
}

static int write_emergency(struct trial *t)
{
	uint8_t whole[CONSOLE_LEN];
	struct vhu_msg msg;
	int err = read_config(t, 0, EMERG_AT, whole);

	if (err < 0)
		return err;
	memset(whole + EMERG_AT, 0, sizeof(whole) - EMERG_AT);
	whole[EMERG_AT] = EMERG_BYTE;
	put_config(t, &msg, 0, sizeof(whole), 0, whole);
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	return trial_request(t, &msg, NULL);
}

int case_config_emergency(struct trial *t)
{
	AUTO_FD int fd = -1;
	unsigned int n;
	int err = trial_handshake(t);

	if (err == 0)
		err = con_connect(t, 0, &fd);
	if (err == -ENOENT)
		return trial_na(t, "there is no other side of port 0");
	if (err < 0)
		return err;
	/* Whatever was kept for whoever comes late. */
	count_emergency(t, fd, SETTLE_MS);
	err = write_emergency(t);
	if (err == 0)
		err = trial_ping(t);
	if (err < 0)
		return err;
	n = count_emergency(t, fd, TRIAL_QUIET_MS);
	if (n == 1)
		return 0;
	return trial_fail(
		t,
		"SET_CONFIG of 12 bytes with one byte of emergency output: expected it to "
		"come out once, but it came %u times",
		n);
}

/* Changes. */

struct size {
	uint16_t cols, rows;
};

static int resize(struct trial *t, struct size size)
{
	char cols[32], rows[32];
	const char *const words[] = { "port=0", cols, rows, NULL };

	snprintf(cols, sizeof(cols), "cols=%u", size.cols);
	snprintf(rows, sizeof(rows), "rows=%u", size.rows);
	if (target_act(t->target, "resize", words) < 0)
		return trial_error(t, "the command of --do resize: %s", t->target->error);
	return 0;
}

/* A size that is not there yet, and not that of a call with another n. */
static struct size new_size(const struct trial *t, unsigned int n)
{
	struct size now;

	memcpy(&now, t->target->info.config, sizeof(now));
	return (struct size){ (uint16_t)(now.cols % 100 + 60 + n), (uint16_t)(30 + n) };
}

static int await_change(struct trial *t, unsigned int n_before)
{
	int err = 0;

	while (err == 0 && t->fe.heard.n_config_changes == n_before)
		err = vhu_frontend_await_readable(&t->fe, NULL, 0, trial_ms(t, TRIAL_ANSWER_MS));
	if (err == -ETIMEDOUT)
		return trial_fail(t, "a console resized: expected CONFIG_CHANGE_MSG on the "
				     "back-end channel, but nothing came in time");
	return trial_step(t, err, "CONFIG_CHANGE_MSG");
}

/* Without F_MULTIPORT the size is in the config space alone. */
static int boot_single(struct trial *t)
{
	static const struct trial_plan plan = { .without_features = CON_MULTIPORT };
	int err = trial_boot(t, &plan);

	return err < 0 ? err : trial_ping(t);
}

static int change_and_read(struct trial *t, unsigned int n)
{
	unsigned int n_before = t->fe.heard.n_config_changes;
	struct size want = new_size(t, n), got;
	int err = resize(t, want);

	if (err == 0)
		err = await_change(t, n_before);
	if (err == 0)
		err = read_config(t, 0, sizeof(got), &got);
	if (err < 0 || (got.cols == want.cols && got.rows == want.rows))
		return err;
	return trial_fail(t,
			  "CONFIG_CHANGE_MSG after a resize: expected %u columns and %u rows to be "
			  "read then, but %u and %u are",
			  want.cols, want.rows, got.cols, got.rows);
}

int case_config_change(struct trial *t)
{
	int err = boot_single(t);

	return err < 0 ? err : change_and_read(t, 1);
}

int case_config_change_visible(struct trial *t)
{
	int err = boot_single(t);

	for (unsigned int i = 2; i < 6 && err == 0; i++)
		err = change_and_read(t, i);
	return err;
}

int case_config_change_stopped(struct trial *t)
{
	unsigned int n_before;
	uint16_t base;
	int err = boot_single(t);

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = trial_stop_ring(t, i, &base);
	n_before = t->fe.heard.n_messages;
	if (err == 0)
		err = resize(t, new_size(t, 7));
	if (err == 0)
		err = trial_step(t, vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS)),
				 "silence while all rings are stopped");
	if (err == 0)
		err = trial_ping(t);
	if (err < 0 || t->fe.heard.n_messages == n_before)
		return err;
	return trial_fail(t, "a console resized while all its rings are stopped: expected no "
			     "message on the back-end channel, but one came");
}
