/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* When a device works at all, and with which features. */
#include <errno.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

/* Offers a request, kicks, and nothing must come of it. */
static int offer_in_vain(struct trial *t)
{
	struct trial_request request;
	unsigned int idx = trial_ring(t);
	int err = trial_offer(t, NULL, &request);

	if (err < 0)
		return err;
	driverq_publish(&t->fe.rings[idx].q);
	err = trial_kick(t, idx);
	return err < 0 ? err : trial_quiet(t, idx);
}

int case_ring_unstarted(struct trial *t)
{
	const struct trial_plan plan = { .no_kick = true, .no_prepare = true };
	int err = trial_boot(t, &plan);

	if (err < 0)
		return err;
	ring_settle(t);
	return offer_in_vain(t);
}

int case_ring_unready(struct trial *t)
{
	const struct trial_plan plan = { .not_ready = true, .no_prepare = true };
	int err = trial_boot(t, &plan);

	if (err < 0)
		return err;
	ring_settle(t);
	return offer_in_vain(t);
}

static int stop_served_ring(struct trial *t)
{
	uint16_t base;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 3);
	if (err == 0)
		err = trial_stop_ring(t, trial_ring(t), &base);
	if (err == 0)
		ring_settle(t);
	return err;
}

int case_ring_stopped(struct trial *t)
{
	int err = stop_served_ring(t);

	return err < 0 ? err : offer_in_vain(t);
}

/*
 * Front-ends stop the rings as well, and some back-ends wait for that alone:
 * no more than a warning.
 */
int case_ring_status_reset(struct trial *t)
{
	struct trial_request request;
	unsigned int idx = trial_ring(t);
	uint16_t used;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 3);
	if (err == 0)
		err = trial_step(t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, 0, true),
				 "SET_STATUS of 0");
	if (err < 0)
		return err;
	used = trial_used_idx(t, idx);
	err = trial_offer(t, NULL, &request);
	if (err < 0)
		return err;
	driverq_publish(&t->fe.rings[idx].q);
	err = trial_kick(t, idx);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0 && trial_used_idx(t, idx) != used)
		err = trial_warn(t,
				 "a request after status 0: expected it to be left alone, but it "
				 "was used");
	return err;
}

int case_ring_version_1(struct trial *t)
{
	uint64_t features;
	int err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_FEATURES, &features);

	if (err < 0)
		return trial_step(t, err, "GET_FEATURES");
	if (features & BIT(VIRTIO_F_VERSION_1_BIT))
		return 0;
	return trial_fail(t, "expected VERSION_1 to be offered, but the features are %#llx",
			  (unsigned long long)features);
}

int case_ring_legacy(struct trial *t)
{
	uint64_t features = trial_features(t) & ~BIT(VIRTIO_F_VERSION_1_BIT);
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, VHU_FE_SET_FEATURES, features);
	err = trial_survives(t, &msg, &accepted, "SET_FEATURES without VERSION_1");
	if (err == 0 && t->ack)
		trial_remark(t, "features without VERSION_1 are %s",
			     accepted ? "accepted" : "refused");
	return err;
}

/* Requests with exactly these of the offered features. */
static int serve_with(struct trial *t, bool *first, uint64_t features)
{
	const struct trial_plan plan = {
		.with_features = features,
		.without_features = ~features,
	};
	int err = *first ? trial_boot(t, &plan) : ring_reboot(t, &plan);

	*first = false;
	return err < 0 ? err : trial_exchange(t, 20);
}

/* Bits that need nothing else of the driver; the ring layout has cases of its own. */
static uint64_t optional_features(const struct trial *t)
{
	uint64_t more = BIT(VIRTIO_F_ANY_LAYOUT_BIT) | BIT(VIRTIO_F_ORDER_PLATFORM_BIT) |
			BIT(VIRTIO_F_RING_RESET_BIT) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT);

	return (trial_features(t) | (t->target->info.features & more)) &
	       ~(BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT));
}

/* What no device of these days is without. */
static uint64_t basic_features(const struct trial *t)
{
	return t->target->info.features &
	       (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT));
}

int case_ring_features_alone(struct trial *t)
{
	uint64_t bits = optional_features(t);
	bool first = true;
	int err = serve_with(t, &first, basic_features(t));

	for (unsigned int bit = 0; bit < 64 && err == 0; bit++) {
		if (!(bits & BIT(bit)))
			continue;
		err = serve_with(t, &first, basic_features(t) | BIT(bit));
		if (err < 0)
			trial_remark(t, "with feature bit %u and no other optional one", bit);
	}
	return err;
}

int case_ring_features_subset(struct trial *t)
{
	uint64_t all = optional_features(t);
	uint64_t state = 1;
	bool first = true;
	int err = 0;

	for (unsigned int i = 0; i < 12 && err == 0; i++) {
		uint64_t random = (uint64_t)ring_random(&state) << 33 | ring_random(&state);
		uint64_t subset = i < 2 ? all : all & (random ^ random >> 17);

		err = serve_with(t, &first, basic_features(t) | subset);
		if (err < 0)
			trial_remark(t, "with the optional features %#llx",
				     (unsigned long long)subset);
	}
	return err;
}

int case_ring_config_early(struct trial *t)
{
	uint32_t len = t->target->info.config_len > 0 ? t->target->info.config_len : 4;
	uint8_t bytes[sizeof(t->target->info.config)];
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	len = len < sizeof(bytes) ? len : sizeof(bytes);
	return trial_step(t, vhu_frontend_get_config(&t->fe, 0, len, 0, bytes),
			  "GET_CONFIG of %u bytes before SET_FEATURES", len);
}

/* RING_RESET: over vhost-user a queue is reset by stopping its ring. */

int case_ring_reset_quiet(struct trial *t)
{
	int err = stop_served_ring(t);

	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, trial_ring(t));
	return offer_in_vain(t);
}

int case_ring_reset_from_zero(struct trial *t)
{
	int err = trial_boot(t, NULL);

	for (unsigned int i = 1; i <= 5 && err == 0; i++) {
		err = trial_exchange(t, i * 7);
		if (err == 0)
			err = trial_restart_ring(t, trial_ring(t));
	}
	return err < 0 ? err : trial_exchange(t, 5);
}

static int resize(struct trial *t, unsigned int size)
{
	unsigned int idx = trial_ring(t);
	uint16_t base;
	int err = trial_stop_ring(t, idx, &base);

	if (err == 0)
		err = trial_step(t, vhu_frontend_make_ring(&t->fe, idx, size, t->fe.nego.features),
				 "a ring of %u entries", size);
	t->slots.tables = false;
	if (err == 0)
		err = trial_start_ring(t, idx, NULL);
	return err < 0 ? err : trial_exchange(t, 3 * size);
}

int case_ring_reset_resized(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 256 };
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_exchange(t, 300);
	if (err == 0)
		err = resize(t, 16);
	return err < 0 ? err : resize(t, 64);
}

int case_ring_reset_others(struct trial *t)
{
	unsigned int other = trial_ring(t) == 0 ? 1 : 0;
	uint16_t base;
	int err = trial_boot(t, NULL);

	if (err == 0 && other >= t->fe.n_rings)
		return trial_na(t, "the device has only one ring");
	if (err == 0)
		err = trial_exchange(t, 3);
	if (err == 0)
		err = trial_stop_ring(t, other, &base);
	return err < 0 ? err : trial_exchange(t, 20);
}

/* Others. */

int case_ring_suspend(struct trial *t)
{
	if (!trial_offers(t, VIRTIO_F_SUSPEND_BIT) || trial_offers_protocol(t, VHU_PF_STATUS_BIT))
		return 0;
	return trial_fail(t, "expected SUSPEND to come with the protocol feature STATUS, but it is "
			     "offered without");
}

int case_ring_order_platform(struct trial *t)
{
	const struct trial_plan plan = { .with_features = BIT(VIRTIO_F_ORDER_PLATFORM_BIT) };
	int err = trial_boot(t, &plan);

	return err < 0 ? err : trial_exchange(t, 100);
}
