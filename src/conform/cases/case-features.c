/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Offers and what is accepted of them (rst "Protocol features", "Multiple queue support"). */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/trial/trial-ring.h"
#include "virtio/features.h"

enum { CONSOLE_MULTIPORT_BIT = 1, MAX_NR_PORTS_AT = 4 };

/* What is offered. */

static int get_features(struct trial *t, uint64_t *ret_features)
{
	return trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_FEATURES, ret_features),
			  "GET_FEATURES");
}

static int expect_features(struct trial *t, uint64_t want, const char *when)
{
	uint64_t got;
	int err = get_features(t, &got);

	if (err < 0 || got == want)
		return err;
	return trial_fail(t, "GET_FEATURES %s: expected %#llx as before, but %#llx came", when,
			  (unsigned long long)want, (unsigned long long)got);
}

int case_features_protocol_first(struct trial *t)
{
	uint64_t protocol;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err == 0)
		err = trial_step(
			t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol),
			"GET_PROTOCOL_FEATURES again");
	if (err < 0)
		return err;
	if (protocol != t->fe.nego.offered_protocol || protocol != t->target->info.protocol)
		return trial_fail(
			t, "GET_PROTOCOL_FEATURES: expected %#llx as before, but %#llx came",
			(unsigned long long)t->target->info.protocol, (unsigned long long)protocol);
	return trial_ping(t);
}

int case_features_stable(struct trial *t)
{
	uint64_t first;
	int err = get_features(t, &first);

	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = expect_features(t, first, "once more");
	if (err == 0)
		err = trial_handshake(t);
	return err < 0 ? err : expect_features(t, first, "after SET_FEATURES");
}

int case_features_stable_running(struct trial *t)
{
	uint64_t first;
	int err = get_features(t, &first);

	if (err == 0)
		err = trial_boot(t, NULL);
	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		err = trial_exchange(t, 1);
		if (err == 0)
			err = expect_features(t, first, "while rings run");
	}
	return err;
}

int case_features_modern(struct trial *t)
{
	uint64_t features;
	int err = get_features(t, &features);

	if (err < 0)
		return err;
	if (!(features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		trial_remark(t, "PROTOCOL_FEATURES is not offered");
	if (features & BIT(VIRTIO_F_VERSION_1_BIT))
		return 0;
	return trial_fail(t, "GET_FEATURES: expected VERSION_1 to be offered, but %#llx is",
			  (unsigned long long)features);
}

/* Both are of the PCI transport alone. */
int case_features_no_pci(struct trial *t)
{
	static const unsigned int bits[] = { VIRTIO_F_SR_IOV_BIT, VIRTIO_F_ADMIN_VQ_BIT };
	uint64_t features;
	int err = get_features(t, &features);

	for (size_t i = 0; i < ARRAY_SIZE(bits) && err == 0; i++)
		if (features & BIT(bits[i]))
			err = trial_fail(t,
					 "GET_FEATURES: expected that %s is not offered, which has "
					 "no meaning here, but %#llx is",
					 vhu_feature_name(bits[i]), (unsigned long long)features);
	if (err == 0 && (features & BIT(VIRTIO_F_ORDER_PLATFORM_BIT)))
		trial_remark(t, "ORDER_PLATFORM is offered, which software has no use for");
	if (err == 0 && (features & BIT(VIRTIO_F_NOTIFICATION_DATA_BIT)))
		trial_remark(t,
			     "NOTIFICATION_DATA is offered, which kick descriptors cannot carry");
	return err;
}

/* A question that a protocol feature unlocks has an answer of at least one. */
static int promised(struct trial *t, enum vhu_fe_id id, uint64_t least)
{
	uint64_t value;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_step(t, vhu_frontend_get_u64(&t->fe, id, &value), "%s",
				 vhu_msg_name(VHU_FE, id));
	if (err < 0 || value >= least)
		return err;
	return trial_fail(t, "%s: expected at least %llu, but %llu came", vhu_msg_name(VHU_FE, id),
			  (unsigned long long)least, (unsigned long long)value);
}

int case_features_claimed_work(struct trial *t)
{
	return promised(t, VHU_FE_GET_QUEUE_NUM, 1);
}

int case_features_claimed_slots(struct trial *t)
{
	return promised(t, VHU_FE_GET_MAX_MEM_SLOTS, 1);
}

int case_features_claimed_status(struct trial *t)
{
	return promised(t, VHU_FE_GET_STATUS, 0);
}

/* What is accepted. */

int case_features_unoffered(struct trial *t)
{
	struct vhu_msg msg;
	unsigned int bit = 50;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	while (bit < 64 && trial_offers(t, bit))
		bit++;
	if (bit == 64)
		return trial_na(t, "all bits from 50 on are offered");
	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, VHU_FE_SET_FEATURES, trial_features(t) | BIT(bit));
	return trial_refused(t, &msg, "SET_FEATURES with bit %u, which was not offered", bit);
}

int case_features_unoffered_packed(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, VHU_FE_SET_FEATURES,
		      trial_features(t) | BIT(VIRTIO_F_RING_PACKED_BIT));
	return trial_refused(t, &msg, "SET_FEATURES with RING_PACKED, which was not offered");
}

static int works_without(struct trial *t, uint64_t features, uint64_t protocol)
{
	const struct trial_plan plan = {
		.without_features = features,
		.without_protocol = protocol,
	};
	int err = trial_boot(t, &plan);

	return err < 0 ? err : trial_exchange(t, 8);
}

int case_features_only_version_1(struct trial *t)
{
	return works_without(t, ~BIT(VIRTIO_F_VERSION_1_BIT), 0);
}

int case_features_no_indirect(struct trial *t)
{
	return works_without(t, BIT(VIRTIO_F_INDIRECT_DESC_BIT), 0);
}

int case_features_no_event_idx(struct trial *t)
{
	return works_without(t, BIT(VIRTIO_F_EVENT_IDX_BIT), 0);
}

int case_features_no_protocol(struct trial *t)
{
	return works_without(t, 0, UINT64_MAX);
}

/* Bit 30 is not accepted, so that SET_VRING_ENABLE is not sent. */
int case_features_without_30(struct trial *t)
{
	return works_without(t, BIT(VHU_F_PROTOCOL_FEATURES_BIT), 0);
}

static int accept_again(struct trial *t, uint64_t more)
{
	uint64_t features = t->fe.nego.features | more;

	return trial_step(t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES, features, true),
			  "SET_FEATURES of %#llx while rings run", (unsigned long long)features);
}

int case_features_again(struct trial *t)
{
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		err = trial_exchange(t, 3);
		if (err == 0)
			err = accept_again(t, 0);
	}
	return err < 0 ? err : trial_exchange(t, 3);
}

/* Writes are not logged without SET_LOG_BASE, whatever was accepted. */
int case_features_again_log(struct trial *t)
{
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 3);
	if (err == 0)
		err = accept_again(t, BIT(VHOST_F_LOG_ALL_BIT));
	t->fe.nego.features &= ~BIT(VHOST_F_LOG_ALL_BIT);
	if (err == 0)
		err = accept_again(t, 0);
	return err < 0 ? err : trial_exchange(t, 3);
}

int case_features_again_index(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	uint16_t base, avail;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 5);
	if (err == 0)
		err = accept_again(t, 0);
	if (err == 0)
		err = trial_exchange(t, 5);
	if (err == 0)
		err = trial_stop_ring(t, idx, &base);
	if (err < 0)
		return err;
	avail = vring_avail_idx(trial_vring(t, idx));
	if (base == avail)
		return 0;
	return trial_fail(t,
			  "GET_VRING_BASE of ring %u after all of %u requests were answered, with "
			  "SET_FEATURES among them: expected %u, but %u came",
			  idx, avail, avail, base);
}

/* Protocol features. */

int case_features_protocol_unoffered(struct trial *t)
{
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	if (t->target->info.protocol & BIT(63))
		return trial_na(t, "bit 63 is offered");
	trial_msg_u64(t, &msg, VHU_FE_SET_PROTOCOL_FEATURES, t->fe.nego.protocol | BIT(63));
	err = trial_survives(t, &msg, &accepted,
			     "SET_PROTOCOL_FEATURES with bit 63, which was not offered");
	if (err == 0 && accepted)
		trial_remark(t, "protocol features that were not offered are left out silently");
	return err;
}

/* Whether GET_CONFIG is answered now. */
static int has_config(struct trial *t, bool *ret_answered)
{
	uint8_t bytes[1];
	int len, err = step_get_config(t, 0, 1, 0, bytes, &len);

	if (err == 0)
		*ret_answered = len > 0;
	return err;
}

static int set_protocol(struct trial *t, uint64_t protocol)
{
	return trial_step(
		t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_PROTOCOL_FEATURES, protocol, true),
		"SET_PROTOCOL_FEATURES of %#llx", (unsigned long long)protocol);
}

/* A feature's request is what shows whether it is in force. */
int case_features_protocol_replaced(struct trial *t)
{
	uint64_t with = BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_REPLY_ACK_BIT);
	uint64_t without = BIT(VHU_PF_REPLY_ACK_BIT);
	bool answered = false;
	int err = trial_handshake_protocol(t, with);

	if (err == 0)
		err = has_config(t, &answered);
	if (err == 0 && !answered)
		return trial_na(t, "GET_CONFIG is not answered although CONFIG was accepted");
	if (err == 0)
		err = set_protocol(t, without);
	if (err == 0)
		err = has_config(t, &answered);
	if (err < 0 || !answered)
		return err;
	/* Who answers although it was never accepted does not look at what is in force. */
	err = step_reconnect(t);
	if (err == 0)
		err = trial_handshake_protocol(t, without);
	if (err == 0)
		err = has_config(t, &answered);
	if (err < 0)
		return err;
	if (answered)
		return trial_na(t, "GET_CONFIG is answered whether CONFIG was accepted or not");
	return trial_fail(t, "SET_PROTOCOL_FEATURES with CONFIG, then without: expected GET_CONFIG "
			     "to be refused, but it was answered");
}

static int inband_with(struct trial *t, uint64_t others)
{
	struct vhu_msg msg;
	int err = trial_handshake_protocol(t, 0);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_PROTOCOL_FEATURES);
	vhu_msg_put_u64(&msg, BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | others);
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "SET_PROTOCOL_FEATURES");
	return err < 0 ? err : trial_expect_close(t);
}

int case_features_inband_alone(struct trial *t)
{
	return inband_with(t, 0);
}

int case_features_inband_ack(struct trial *t)
{
	return inband_with(t, BIT(VHU_PF_REPLY_ACK_BIT));
}

int case_features_inband_channel(struct trial *t)
{
	return inband_with(t, BIT(VHU_PF_BACKEND_REQ_BIT));
}

int case_features_skip_drain_offer(struct trial *t)
{
	uint64_t needs = vhu_protocol_feature_needs(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT);
	uint64_t missing = needs & ~t->target->info.protocol;

	if (missing == 0)
		return 0;
	return trial_fail(t,
			  "GET_PROTOCOL_FEATURES: expected GET_VRING_BASE_SKIP_DRAIN together with "
			  "what it needs, but %#llx of that is not offered",
			  (unsigned long long)missing);
}

int case_features_skip_drain_alone(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, VHU_FE_SET_PROTOCOL_FEATURES,
		      (t->fe.nego.protocol & BIT(VHU_PF_REPLY_ACK_BIT)) |
			      BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT));
	return trial_refused(t, &msg,
			     "SET_PROTOCOL_FEATURES of GET_VRING_BASE_SKIP_DRAIN without "
			     "what it needs");
}

/* Rings. */

int case_features_mq(struct trial *t)
{
	if (trial_offers_protocol(t, VHU_PF_MQ_BIT))
		return 0;
	return trial_fail(t, "GET_PROTOCOL_FEATURES: expected MQ to be offered, but %#llx is",
			  (unsigned long long)t->target->info.protocol);
}

static int get_queue_num(struct trial *t, uint64_t *ret_n)
{
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	return trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_QUEUE_NUM, ret_n),
			  "GET_QUEUE_NUM");
}

int case_features_queue_num(struct trial *t)
{
	uint64_t n;
	unsigned int least = t->device ? t->device->min_rings : 1;
	int err = get_queue_num(t, &n);

	if (err < 0)
		return err;
	/* A network device may count pairs. */
	if (t->device && strcmp(t->device->name, "net") == 0)
		least = 1;
	if (n < least || n > VHU_MAX_RINGS)
		return trial_fail(t, "GET_QUEUE_NUM: expected %u rings or more, but %llu came",
				  least, (unsigned long long)n);
	err = vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_NUM, (uint32_t)n - 1, TRIAL_RING, true);
	err = trial_step(t, err, "SET_VRING_NUM of %d for ring %u, the last one of %u", TRIAL_RING,
			 (unsigned int)n - 1, (unsigned int)n);
	return err < 0 ? err : trial_ping(t);
}

static int get_max_ports(struct trial *t, uint32_t *ret_n)
{
	int len, err = step_get_config(t, MAX_NR_PORTS_AT, sizeof(*ret_n), 0, ret_n, &len);

	if (err == 0 && len <= 0)
		return trial_na(t, "the number of ports cannot be read from the config space");
	return err;
}

int case_features_queue_num_console(struct trial *t)
{
	uint32_t ports = 0;
	uint64_t n, want = 2;
	int err = get_queue_num(t, &n);

	if (err == 0 && trial_offers(t, CONSOLE_MULTIPORT_BIT)) {
		if (!trial_offers_protocol(t, VHU_PF_CONFIG_BIT))
			return trial_na(t, "the back-end has no config space to name its ports");
		err = get_max_ports(t, &ports);
		want = 2 * ((uint64_t)ports + 1);
	}
	if (err < 0 || n == want)
		return err;
	return trial_fail(t, "GET_QUEUE_NUM: expected %llu for %u port(s), but %llu came",
			  (unsigned long long)want, ports, (unsigned long long)n);
}

int case_features_queue_num_early(struct trial *t)
{
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake_protocol(t, trial_protocol(t) & ~BIT(VHU_PF_MQ_BIT));

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_QUEUE_NUM);
	err = trial_survives(t, &msg, &accepted, "GET_QUEUE_NUM without MQ");
	if (err == 0)
		trial_remark(t, "GET_QUEUE_NUM without MQ is %s",
			     accepted ? "answered" : "refused");
	return err;
}

int case_features_postcopy_slots(struct trial *t)
{
	uint64_t protocol = trial_protocol(t) | BIT(VHU_PF_PAGEFAULT_BIT);
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake_with(t, trial_features(t), protocol);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	err = trial_survives(t, &msg, &accepted, "POSTCOPY_ADVISE with CONFIGURE_MEM_SLOTS");
	if (err == 0)
		trial_remark(t, "POSTCOPY_ADVISE with CONFIGURE_MEM_SLOTS is %s",
			     accepted ? "answered" : "refused");
	return err;
}
