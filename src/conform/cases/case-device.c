/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Status, reset. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/trial/trial-ring.h"
#include "virtio/features.h"

enum {
	STATUS_BEGUN = 0x0b, /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
	STATUS_READY = 0x0f, /* and DRIVER_OK */
	STATUS_FEATURES_OK = 8,
	STATUS_NEEDS_RESET = 0x40,
	LOOK_MS = 20,
};

/* Status. */

static int set_status(struct trial *t, uint64_t status)
{
	struct vhu_msg msg;

	trial_msg_u64(t, &msg, VHU_FE_SET_STATUS, status);
	return trial_request(t, &msg, NULL);
}

static int get_status(struct trial *t, uint64_t *ret_status)
{
	return trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_STATUS, ret_status),
			  "GET_STATUS");
}

static int expect_status(struct trial *t, uint64_t wanted)
{
	uint64_t status;
	int err = get_status(t, &status);

	if (err < 0 || status == wanted)
		return err;
	return trial_fail(t,
			  "GET_STATUS after SET_STATUS of %#llx: expected the same, but it is "
			  "%#llx",
			  (unsigned long long)wanted, (unsigned long long)status);
}

static int set_and_expect(struct trial *t, const uint64_t *values, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		err = set_status(t, values[i]);
		if (err == 0)
			err = expect_status(t, values[i]);
	}
	return err;
}

int case_status_kept(struct trial *t)
{
	static const uint64_t values[] = { 1, 3, STATUS_BEGUN, STATUS_READY };
	int err = trial_handshake(t);

	return err < 0 ? err : set_and_expect(t, values, ARRAY_SIZE(values));
}

int case_status_order(struct trial *t)
{
	static const uint64_t values[] = { STATUS_FEATURES_OK, STATUS_READY };
	int err = trial_handshake(t);

	return err < 0 ? err : set_and_expect(t, values, ARRAY_SIZE(values));
}

int case_status_zero(struct trial *t)
{
	int err = trial_handshake(t);

	if (err == 0)
		err = set_status(t, STATUS_READY);
	if (err == 0)
		err = set_status(t, 0);
	return err < 0 ? err : expect_status(t, 0);
}

/* A request after a reset is not for the device any more. */
int case_status_zero_quiet(struct trial *t)
{
	struct trial_request request;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = set_status(t, 0);
	if (err == 0)
		err = expect_status(t, 0);
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	return err < 0 ? err : trial_quiet(t, trial_ring(t));
}

int case_status_not_ready(struct trial *t)
{
	static const struct trial_plan plan = { .not_ready = true, .no_prepare = true };
	struct trial_request request;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	return err < 0 ? err : trial_quiet(t, trial_ring(t));
}

int case_status_then_ready(struct trial *t)
{
	static const struct trial_plan plan = { .not_ready = true, .no_prepare = true };
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_driver_ready(t, NULL);
	return err < 0 ? err : trial_exchange(t, 2);
}

/* A ring that cannot be gone on with. */
static int break_ring(struct trial *t, unsigned int idx)
{
	trial_jump(t, idx);
	return trial_kick(t, idx);
}

static int await_needs_reset(struct trial *t)
{
	uint64_t status = 0;
	int err = 0;

	for (int ms = 0; ms < trial_ms(t, TRIAL_ANSWER_MS) && err == 0; ms += LOOK_MS) {
		err = get_status(t, &status);
		if (err < 0 || (status & STATUS_NEEDS_RESET))
			return err;
		err = trial_pass(t, LOOK_MS);
	}
	if (err < 0)
		return err;
	return trial_fail(t,
			  "a ring whose available index jumps: expected NEEDS_RESET in the status, "
			  "but it is %#llx",
			  (unsigned long long)status);
}

int case_status_needs_reset(struct trial *t)
{
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = break_ring(t, trial_ring(t));
	return err < 0 ? err : await_needs_reset(t);
}

int case_status_needs_reset_told(struct trial *t)
{
	unsigned int before = t->fe.heard.n_config_changes;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = break_ring(t, trial_ring(t));
	if (err == 0)
		err = await_needs_reset(t);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err < 0 || t->fe.heard.n_config_changes != before)
		return err;
	return trial_fail(t, "NEEDS_RESET after DRIVER_OK: expected CONFIG_CHANGE_MSG, but none "
			     "came");
}

/* A feature that nobody offered is refused when it is set, or when the driver asks for FEATURES_OK.
 */
int case_status_features(struct trial *t)
{
	uint64_t offered = t->target->info.features, status;
	struct vhu_msg msg;
	unsigned int bit = 63;
	int err = trial_handshake_protocol(t, trial_protocol(t));
	bool accepted = false;

	while (bit > 0 && (offered & BIT(bit)))
		bit--;
	trial_msg_u64(t, &msg, VHU_FE_SET_FEATURES, trial_features(t) | BIT(bit));
	if (err == 0)
		err = trial_survives(t, &msg, &accepted, "SET_FEATURES of bit %u", bit);
	if (err < 0 || t->closed)
		return err;
	if ((msg.flags & VHU_FLAG_NEED_REPLY) && !accepted)
		return 0;
	err = set_status(t, STATUS_BEGUN);
	if (err == 0)
		err = get_status(t, &status);
	if (err < 0 || !(status & STATUS_FEATURES_OK))
		return err;
	return trial_fail(t,
			  "SET_FEATURES of bit %u, which was not offered: expected a refusal, or "
			  "FEATURES_OK to be cleared, but neither came",
			  bit);
}

int case_status_large(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake(t);

	trial_msg_u64(t, &msg, VHU_FE_SET_STATUS, 0x100);
	return err < 0 ? err : trial_refused(t, &msg, "SET_STATUS of 0x100");
}

/* Reset. */

static int reset_device(struct trial *t)
{
	struct vhu_msg msg;
	int err;

	trial_msg(t, &msg, VHU_FE_RESET_DEVICE);
	err = trial_request(t, &msg, NULL);
	return err < 0 ? err : trial_ping(t);
}

static int running(struct trial *t)
{
	int err = trial_boot(t, NULL);

	return err == 0 && t->device ? trial_exchange(t, 2) : err;
}

static int enable(struct trial *t, unsigned int idx)
{
	return trial_step(t, vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true),
			  "SET_VRING_ENABLE of ring %u", idx);
}

/* All rings anew in the same memory, which is not sent again. */
static int restart_all(struct trial *t)
{
	int err = 0;

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = trial_restart_ring(t, i);
	t->slots = (struct trial_slots){ 0 };
	return err < 0 ? err : trial_driver_ready(t, NULL);
}

int case_reset_quiet(struct trial *t)
{
	struct trial_request request;
	int err = running(t);

	if (err == 0)
		err = reset_device(t);
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	return err < 0 ? err : trial_quiet(t, trial_ring(t));
}

int case_reset_again(struct trial *t)
{
	int err = running(t);

	if (err == 0)
		err = reset_device(t);
	/* The next driver accepts features anew; that they are forgotten is in order. */
	if (err == 0)
		err = trial_step(t,
				 vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES,
						      t->fe.nego.features, true),
				 "SET_FEATURES after RESET_DEVICE");
	if (err == 0)
		err = restart_all(t);
	return err < 0 ? err : trial_exchange(t, 2);
}

int case_reset_config(struct trial *t)
{
	uint8_t before[256], after[256];
	uint32_t len = (uint32_t)min_size(t->target->info.config_len, sizeof(before));
	int err = running(t);

	if (len == 0)
		return trial_na(t, "it has no config space that can be read");
	if (err == 0)
		err = trial_step(t, vhu_frontend_get_config(&t->fe, 0, len, 0, before),
				 "GET_CONFIG of %u bytes", len);
	if (err == 0)
		err = reset_device(t);
	if (err == 0)
		err = trial_step(t, vhu_frontend_get_config(&t->fe, 0, len, 0, after),
				 "GET_CONFIG of %u bytes after RESET_DEVICE", len);
	for (uint32_t i = 0; i < len && err == 0; i++)
		if (before[i] != after[i])
			err = trial_fail(t,
					 "RESET_DEVICE: expected the config space to be as it was, "
					 "but byte %u went from %#x to %#x",
					 i, before[i], after[i]);
	return err;
}

/* A kick descriptor starts the ring; it stays disabled until it is enabled. */
int case_reset_disabled(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	static const struct trial_plan plan = { .no_enable = true };
	struct trial_request request;
	uint16_t base;
	int err = running(t);

	if (err == 0)
		err = reset_device(t);
	if (err == 0)
		err = trial_stop_ring(t, ring, &base);
	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, ring);
	t->slots = (struct trial_slots){ 0 };
	err = trial_start_ring(t, ring, &plan);
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	return err < 0 ? err : trial_quiet(t, ring);
}

/* Ignored, or the rings are disabled; nothing else. */
int case_reset_owner(struct trial *t)
{
	struct vhu_msg msg;
	int err = running(t);

	if (err < 0)
		return err;
	trial_msg(t, &msg, VHU_FE_RESET_OWNER);
	err = trial_request(t, &msg, NULL);
	if (err == 0)
		err = trial_ping(t);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		if (vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT))
			err = enable(t, i);
	return err < 0 ? err : trial_exchange(t, 2);
}
