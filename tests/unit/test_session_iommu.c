/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session behind an IOMMU, and with guest addresses: VU-071, VU-205, VU-208,
 * VU-210, VU-211, VU-212.
 */
#include "iommu_rig.h"

#include "vhu/backend-channel.h"
#include "vhu/frontend-log.h"
#include "virtio/iotlb.h"

static void forget_all(struct session_rig *rig)
{
	assert_fe_ok(rig, vhu_frontend_iotlb_invalidate(
				  &rig->fe, rig->fe.regions[0].wire.guest_addr + SHIFT, MIB));
}

/* VU-212: rings and buffers at addresses that only the front-end can translate. */
static void expect_traffic(struct session_rig *rig, uint64_t kind)
{
	static uint8_t bytes[50000], got[50000];

	setup_kind(rig, kind);
	start_guest(rig);
	assert_true(table.n_misses > 0 && table.n_updates == table.n_misses);
	fill(bytes, sizeof(bytes), 1);
	rig->output_len = 0;
	assert_fe_ok(rig, guest_write(&g, bytes, sizeof(bytes), RIG_TIMEOUT_MS));
	rig_expect_output(rig, bytes, sizeof(bytes));
	assert_int_equal(port_input(&rig->port, bytes, sizeof(bytes)), sizeof(bytes));
	assert_fe_ok(rig, guest_read(&g, got, sizeof(got), RIG_TIMEOUT_MS));
	assert_memory_equal(got, bytes, sizeof(got));
	assert_int_equal(table.n_unknown, 0);
	assert_int_equal(table.n_fails, 0);
	guest_fini(&g);
	guest_there = false;
}

static void traffic_when_translated_is_byte_exact(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring_kinds); i++)
		expect_traffic(*state, ring_kinds[i]);
}

/* A table of descriptors, and what it names, in pages of their own. */
static void indirect_table_when_not_translated_is_asked_for(void **state)
{
	struct session_rig *rig = *state;
	struct driverq *q;
	struct driverq_buf bufs[3];
	uint64_t tables;
	void *host;

	for (size_t i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		setup_kind(rig, ring_kinds[i]);
		q = &rig->fe.rings[GUEST_TX].q;
		host = vhu_frontend_alloc(&rig->fe, driverq_table_bytes(64, 4), PAGE, &tables);
		assert_non_null(host);
		driverq_set_tables(q, host, tables, 4);
		for (unsigned int k = 0; k < ARRAY_SIZE(bufs); k++) {
			bufs[k].len = 5;
			host = vhu_frontend_alloc(&rig->fe, PAGE, PAGE, &bufs[k].addr);
			assert_non_null(host);
			memcpy(host, "piece", 5);
		}
		assert_int_equal(driverq_add(q, bufs, 3, 0, true, rig), 0);
		driverq_publish(q);
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_settle(rig);
		rig_expect_output(rig, "piecepiecepiece", 15);
		/* Three areas of the ring lie in one page here; then the table, and its buffers. */
		assert_true(table.n_misses >= 4);
	}
}

/* VU-210: offered only where asked for, and then as QEMU wants it: with what it depends on. */
static void feature_when_not_asked_for_is_not_offered(void **state)
{
	struct session_rig *rig = *state;

	rig->iommu = false;
	rig_setup_usual(rig);
	assert_false(rig->fe.nego.offered_features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT));
	rig->iommu = true;
	rig_setup_usual(rig);
	assert_true(rig->fe.nego.offered_features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT));
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_REPLY_ACK_BIT));
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_BACKEND_REQ_BIT));
	/* Not accepted: addresses are what they are without it. */
	assert_null(rig->b->iotlb);
	rig_join(rig);
	send_text(rig, "plain");
}

/* VU-211 */
static void iotlb_message_when_malformed_is_answered_with_failure(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_iotlb good, bad[10];
	size_t n = 0;

	setup_iommu(rig);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		rig_until(rig, rig->b->vqs[i].mapped);
	vhu_frontend_iotlb_fini(&rig->fe); /* what was asked for twice is not to be told now */
	good = whole(rig, 0x1000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[n++].uaddr += UINT64_C(1) << 40; /* outside the memory table */
	bad[n++].size += 1;		     /* past its end */
	bad[n++].uaddr -= 1;		     /* before its beginning */
	bad[n++].size = 0;
	bad[n++].size = UINT64_MAX;
	bad[n++].iova = UINT64_MAX - PAGE; /* wraps */
	bad[n++].perm = 4;
	bad[n++].type = 0;
	bad[n++].type = VHU_IOTLB_MISS; /* ours to say */
	bad[n++].type = VHU_IOTLB_ACCESS_FAIL;
	assert_int_equal(n, ARRAY_SIZE(bad));
	for (size_t i = 0; i < n; i++) {
		assert_true(tell(rig, &bad[i], true) != 0);
		assert_true(tell(rig, &bad[i], false) != 0);
	}
	assert_int_equal(tell(rig, &good, false), 0);
	good.type = VHU_IOTLB_INVALIDATE;
	assert_int_equal(tell(rig, &good, true), 0);
	/* Of all addresses, in the two ways that there are to say it. */
	good.iova = 0;
	good.size = UINT64_MAX;
	assert_int_equal(tell(rig, &good, true), 0);
	good.size = 0;
	assert_int_equal(tell(rig, &good, true), 0);
	good.iova = 1;
	assert_true(tell(rig, &good, true) != 0);
	vhu_frontend_iotlb_init(&rig->fe, &table);
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &table.entries[0]));
	send_text(rig, "alive");
}

/* VU-212, VU-205: whoever waits does not hold up the main socket, nor other rings. */
static void ring_when_nobody_answers_waits_alone(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_iotlb t;
	unsigned int n_messages;
	char byte = 0;

	setup_iommu(rig);
	start_guest(rig);
	rig_settle(rig);
	vhu_frontend_iotlb_fini(&rig->fe);
	rig->fe.channel_silent = true;
	/* All is known but where the next buffer will be. */
	t = whole(rig, rig->fe.regions[0].wire.guest_addr + SHIFT);
	assert_int_equal(tell(rig, &t, true), 0);
	assert_non_null(vhu_frontend_alloc(&rig->fe, PAGE, PAGE, &t.iova));
	t.size = 16 * PAGE;
	t.type = VHU_IOTLB_INVALIDATE;
	assert_int_equal(tell(rig, &t, true), 0);
	rig_offer_output(rig, "wait");
	for (unsigned int i = 0; i < 20; i++) {
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_settle(rig);
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	}
	/* Asked once, however often it is kicked. */
	rig_until(rig, rig->fe.heard.n_unanswered > 0);
	assert_int_equal(rig->fe.heard.n_unanswered, 1);
	assert_int_equal(rig->output_len, 0);
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	assert_fe_ok(rig, guest_read(&g, &byte, 1, RIG_TIMEOUT_MS));
	assert_int_equal(byte, 'i');
	/* The update counts, not the acknowledgement. */
	n_messages = rig->fe.heard.n_messages;
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	rig_expect_no_output(rig);
	assert_int_equal(rig->fe.heard.n_messages, n_messages);
	vhu_frontend_iotlb_init(&rig->fe, &table);
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &table.entries[0]));
	rig_expect_output(rig, "wait", 4);
}

/* One request per ring, whatever its driver does meanwhile. */
static void descriptor_when_changed_meanwhile_is_asked_for_afterwards(void **state)
{
	struct session_rig *rig = *state;
	struct vring *ring;
	struct vring_desc desc;
	unsigned int n;

	setup_iommu(rig);
	send_text(rig, "first");
	n = table.n_misses;
	vhu_frontend_iotlb_fini(&rig->fe);
	rig->fe.channel_silent = true;
	ring = &rig->fe.rings[GUEST_TX].q.ring;
	rig_offer_output(rig, "again");
	desc = vring_desc_load(ring, vring_avail_entry(ring, 1));
	for (uint64_t i = 1; i <= 50; i++) {
		desc.addr = (i << 40) + SHIFT;
		vring_desc_store(ring, vring_avail_entry(ring, 1), desc);
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_settle(rig);
	}
	assert_int_equal(rig->fe.heard.n_unanswered, 1);
	vhu_frontend_iotlb_init(&rig->fe, &table);
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	/* The newest is asked for then, once; that nobody knows it is for the driver to mend. */
	rig_until(rig, table.n_misses >= 1);
	assert_int_equal(table.n_misses, 1);
	assert_int_equal(table.last_miss.iova, (UINT64_C(50) << 40) + SHIFT);
	assert_int_equal(table.last_miss.perm, VHU_IOTLB_READ);
	assert_int_equal(table.n_unknown, 1);
	rig_settle(rig);
	assert_int_equal(table.n_misses, 1);
	assert_true(n > 0);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* An area of the ring itself: the ring is parked, asks, and goes on where it was. */
static void ring_when_its_areas_are_invalidated_asks_again(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_unknown;

	setup_iommu(rig);
	send_text(rig, "before");
	forget_all(rig);
	n_unknown = table.n_unknown;
	assert_false(rig->b->vqs[GUEST_TX].mapped);
	assert_true(rig->b->vqs[GUEST_TX].live);
	rig_offer_output(rig, "after");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	/* Each ring has asked for the first of its areas, once. */
	assert_int_equal(table.n_unknown, GUEST_N_RINGS);
	assert_true(n_unknown <= table.n_unknown);
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &table.entries[0]));
	rig_expect_output(rig, "after", 5);
	send_text(rig, "and on");
}

/* The answer to an invalidation is a promise: what is there then is another's. */
static void memory_when_invalidated_is_not_touched(void **state)
{
	struct session_rig *rig = *state;
	const struct vhu_frontend_region *r;
	uint8_t *copy;

	setup_iommu(rig);
	start_guest(rig);
	r = &rig->fe.regions[0];
	copy = malloc(MIB);
	assert_non_null(copy);
	assert_int_equal(port_input(&rig->port, "x", 1), 1);
	forget_all(rig);
	memset(r->host, 0xa5, MIB);
	memset(copy, 0xa5, MIB);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, i));
	assert_int_equal(port_input(&rig->port, "yz", 2), 2);
	rig_expect_no_output(rig);
	assert_memory_equal(r->host, copy, MIB);
	free(copy);
	rig_disconnect(rig);
}

/* An update of what is known already is in force when it is answered. */
static void ring_when_its_translation_is_replaced_is_there(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_iotlb t;
	uint8_t *before, *after;

	setup_iommu(rig);
	send_text(rig, "before");
	before = rig->fe.rings[GUEST_TX].block;
	after = vhu_frontend_alloc(&rig->fe, PAGE, PAGE, &t.iova);
	assert_non_null(after);
	t = whole(rig, rig->fe.rings[GUEST_TX].guest_addr);
	t.uaddr += (uint64_t)(after - rig->fe.regions[0].host);
	t.size = PAGE;
	rig_offer_output(rig, "after");
	memcpy(after, before, PAGE);
	assert_int_equal(tell(rig, &t, true), 0);
	memset(before, 0xa5, PAGE);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_settle(rig);
	rig_expect_output(rig, "after", 5);
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(before[i], 0xa5);
}

/* Told that it may not: says so, once, and waits. */
static void access_when_not_permitted_is_reported(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_translation part;
	uint64_t addr = 0;

	setup_iommu(rig);
	send_text(rig, "before");
	assert_non_null(vhu_frontend_alloc(&rig->fe, 2 * PAGE, PAGE, &addr));
	forget_all(rig);
	rig_settle(rig);
	/* All but that page, so that the ring works and its next buffer does not. */
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
	part = table.entries[0];
	part.size = addr + PAGE - part.iova;
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &part));
	table.n_entries = 0;
	rig_offer_output(rig, "secret");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	assert_int_equal(table.n_fails, 0);
	part.uaddr += addr + PAGE - part.iova;
	part.iova = addr + PAGE;
	part.size = 4 * PAGE;
	part.perm = VHU_IOTLB_WRITE;
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &part));
	rig_expect_no_output(rig);
	assert_int_equal(table.n_fails, 1);
	assert_int_equal(tell(rig,
			      &(struct vhu_iotlb){ .iova = part.iova,
						   .size = part.size,
						   .type = VHU_IOTLB_UPDATE },
			      true),
			 0);
	rig_settle(rig);
	assert_int_equal(table.n_fails, 2);
	part.perm = VHU_IOTLB_READ;
	assert_fe_ok(rig, vhu_frontend_iotlb_update(&rig->fe, &part));
	rig_expect_output(rig, "secret", 6);
}

/* QEMU tells of nothing that becomes invalid while the device is stopped. */
static void translations_when_all_rings_stopped_are_forgotten(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n;

	setup_iommu(rig);
	send_text(rig, "one");
	assert_true(iotlb_n_entries(rig->b->iotlb) > 0);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		assert_true(iotlb_n_entries(rig->b->iotlb) > 0);
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, i, &rig->fe.rings[i].base));
	}
	assert_int_equal(iotlb_n_entries(rig->b->iotlb), 0);
	n = table.n_misses;
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		vhu_frontend_reset_ring(&rig->fe, i);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	send_text(rig, "two");
	assert_true(table.n_misses > n);
	/* What was told before the first ring starts is kept; the feature given up, all goes. */
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       rig->fe.nego.features &
						       ~BIT(VIRTIO_F_ACCESS_PLATFORM_BIT),
					       true));
	assert_null(rig->b->iotlb);
	assert_false(rig->b->vqs[GUEST_TX].mapped);
}

/* VU-202, VU-203, VU-206: asked again on another channel; without one the ring waits. */
static void channel_when_replaced_is_asked_on(void **state)
{
	struct session_rig *rig = *state;

	begin(rig, VHU_STYLE_QEMU, usual_features);
	rig->fe.channel_fd = fd_close(rig->fe.channel_fd);
	rig_until(rig, !rig->b->channel);
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 64));
	rig_join(rig);
	rig_offer_output(rig, "late");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	assert_int_equal(table.n_misses, 0);
	rig->fe.channel_silent = true;
	vhu_frontend_iotlb_fini(&rig->fe);
	assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
	rig_settle(rig);
	assert_int_equal(rig->fe.heard.n_unanswered, GUEST_N_RINGS);
	free(rig->fe.unanswered);
	rig->fe.unanswered = NULL;
	rig->fe.heard.n_unanswered = 0;
	rig->fe.channel_silent = false;
	vhu_frontend_iotlb_init(&rig->fe, &table);
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
	assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
	rig_settle(rig);
	rig_expect_output(rig, "late", 4);
}

/* Misses and in-band calls share a channel, and are acknowledged in order. */
static void inband_calls_when_translated_come_as_well(void **state)
{
	struct session_rig *rig = *state;

	begin(rig, VHU_STYLE_UML, usual_features & ~BIT(VIRTIO_F_EVENT_IDX_BIT));
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_INBAND_NOTIFICATIONS_BIT));
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 64));
	rig_join(rig);
	for (unsigned int i = 0; i < 40; i++) {
		assert_non_null(vhu_frontend_alloc(&rig->fe, PAGE, PAGE, &(uint64_t){ 0 }));
		send_text(rig, "x");
		assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
	}
	assert_true(table.n_misses >= 40);
}

/* Nothing is left to do, and no translation on its way. */
static void settle_translations(struct session_rig *rig)
{
	do {
		rig_until(rig, vhu_channel_n_unacked(rig->b) == 0);
		rig_settle(rig);
	} while (vhu_channel_n_unacked(rig->b) > 0);
}

/* VU-159, VU-160: pages are the guest's, whichever address of the ring the front-end logs. */
static void pages_when_logged_are_the_guests(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_log log = VHU_FRONTEND_LOG_NONE;

	for (size_t i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct driverq *q;
		char byte = 0;

		setup_kind(rig, ring_kinds[i]);
		start_guest(rig);
		q = &rig->fe.rings[GUEST_RX].q;
		assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &log, 0));
		assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &log));
		assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, true));
		/* As QEMU: the device's address. */
		assert_fe_ok(rig, vhu_frontend_vring_addr(&rig->fe, GUEST_RX, VHU_VRING_F_LOG,
							  q->used_addr, true));
		settle_translations(rig);
		vhu_frontend_log_clear(&log);
		assert_int_equal(port_input(&rig->port, "i", 1), 1);
		assert_fe_ok(rig, guest_read(&g, &byte, 1, RIG_TIMEOUT_MS));
		assert_true(vhu_frontend_log_has(&log, g.ports[0].pages[0].addr - SHIFT));
		assert_false(vhu_frontend_log_has(&log, g.ports[0].pages[1].addr - SHIFT));
		assert_true(vhu_frontend_log_has(&log, q->used_addr - SHIFT));
		assert_int_equal(vhu_frontend_log_count(&log), 2);
		vhu_frontend_log_fini(&log);
		guest_fini(&g);
		guest_there = false;
	}
}

/* VU-071 */
static void addresses_when_the_guests_are_looked_up_as_such(void **state)
{
	struct session_rig *rig = *state;

	rig->iommu = false;
	if (rig->b)
		rig_disconnect(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.protocol = usual_protocol,
		.extra_protocol = BIT(VHU_PF_GPA_ADDRESSES_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_style_begin(&rig->fe, &rig_plan));
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_GPA_ADDRESSES_BIT));
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, MIB, false));
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 64));
	assert_int_equal(rig->b->vqs[GUEST_TX].addr.desc, rig->fe.rings[GUEST_TX].q.desc_addr);
	rig_join(rig);
	send_text(rig, "guest addresses");
}

static const struct CMUnitTest tests[] = {
	IOMMU_TEST(traffic_when_translated_is_byte_exact),
	IOMMU_TEST(indirect_table_when_not_translated_is_asked_for),
	IOMMU_TEST(feature_when_not_asked_for_is_not_offered),
	IOMMU_TEST(iotlb_message_when_malformed_is_answered_with_failure),
	IOMMU_TEST(ring_when_nobody_answers_waits_alone),
	IOMMU_TEST(descriptor_when_changed_meanwhile_is_asked_for_afterwards),
	IOMMU_TEST(ring_when_its_areas_are_invalidated_asks_again),
	IOMMU_TEST(memory_when_invalidated_is_not_touched),
	IOMMU_TEST(ring_when_its_translation_is_replaced_is_there),
	IOMMU_TEST(access_when_not_permitted_is_reported),
	IOMMU_TEST(translations_when_all_rings_stopped_are_forgotten),
	IOMMU_TEST(channel_when_replaced_is_asked_on),
	IOMMU_TEST(inband_calls_when_translated_come_as_well),
	IOMMU_TEST(pages_when_logged_are_the_guests),
	IOMMU_TEST(addresses_when_the_guests_are_looked_up_as_such),
};

UNIT_MAIN(tests)
