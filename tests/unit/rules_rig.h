/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the tests of rules share: a session, a message, and a record of which
 * rules have been seen broken.
 */
#ifndef VHU_RULES_RIG_H
#define VHU_RULES_RIG_H

#include "unit.h"

#include <string.h>

#include "vhu/codec.h"
#include "vhu/rules.h"

static struct vhu_nego nego;
static struct vhu_msg msg;
static bool broken[VHU_N_RULES];

static inline void expect_rule(enum vhu_rule got, enum vhu_rule expected)
{
	assert_string_equal(vhu_rule_name(got), vhu_rule_name(expected));
	broken[got] = true;
}

static inline void expect_header(enum vhu_rule expected)
{
	expect_rule(vhu_check_header(&nego, &msg), expected);
}

static inline void expect(enum vhu_rule expected)
{
	expect_rule(vhu_check_request(&nego, &msg), expected);
}

/* A session where everything is negotiated that can be together: split rings, four of them. */
static inline void open_nego(void)
{
	vhu_nego_init(&nego);
	nego.offered_features = UINT64_MAX;
	nego.features = BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VIRTIO_F_VERSION_1_BIT) |
			BIT(VIRTIO_F_ACCESS_PLATFORM_BIT);
	nego.features_set = true;
	nego.offered_protocol = BIT(24) - 1;
	nego.protocol = nego.offered_protocol;
	nego.protocol_set = true;
	nego.n_queues = 4;
	nego.max_queue_size = 1024;
}

/* A good request of the row, with its descriptors, none of which exist: rules only count. */
static inline void sample(enum vhu_dir dir, uint32_t id)
{
	const struct vhu_desc *desc = vhu_desc_find(dir, id);

	assert_non_null(desc);
	msg.fds.n_fds = vhu_msg_init_sample(&msg, desc);
	if (desc->fds.kind == VHU_FD_IF && vhu_nego_has_protocol(&nego, desc->fds.bit))
		msg.fds.n_fds = 1;
	for (unsigned int i = 0; i < FDSET_MAX; i++)
		msg.fds.fd[i] = -1;
}

static inline void fe(uint32_t id)
{
	open_nego();
	sample(VHU_FE, id);
}

static inline void fe_u64(uint32_t id, uint64_t value)
{
	fe(id);
	vhu_msg_put_u64(&msg, value);
}

static inline void fe_ring(uint32_t id, uint32_t index, uint32_t num)
{
	const struct vhu_vring_state s = { index, num };

	fe(id);
	vhu_msg_put(&msg, &s, sizeof(s));
}

static inline void fe_config(uint32_t id, uint32_t offset, uint32_t size, uint32_t flags,
			     uint32_t len)
{
	const uint32_t header[3] = { offset, size, flags };

	fe(id);
	vhu_msg_put(&msg, header, sizeof(header));
	msg.size = 12 + len;
}

/* Fails unless each rule from first to last, in the order of rules.def, was seen broken. */
static inline void assert_all_broken(enum vhu_rule first, enum vhu_rule last)
{
	for (unsigned int i = first; i <= (unsigned int)last; i++) {
		if (!broken[i])
			fail_msg("no test breaks %s", vhu_rule_name((enum vhu_rule)i));
	}
}

#endif
