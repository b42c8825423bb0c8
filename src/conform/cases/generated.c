/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/generated.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-row.h"

enum { TEXT_LEN = 160 };

/*
 * What follows from the row is added: its name before the title, the features
 * that it needs, and clauses of its own.
 */
static const struct kind {
	const char *name;
	const char *clauses;
	const char *needs;
	const char *title, *why;
	bool negotiated; /* the features that the row needs are */
	bool twice;	 /* with and without acknowledgements */
} kinds[ROW_N_KINDS] = {
	[ROW_SHORT] = {
		"short", "VU-013", "", "one byte too short is refused",
		"bytes that nobody sent would be taken for the request's", true, true,
	},
	[ROW_LONG] = {
		"long", "VU-012", "", "one byte too long keeps the stream in frame",
		"the byte left over would be read as the next header", true, true,
	},
	[ROW_PAYLOAD] = {
		"payload", "VU-015", "", "with a payload that it does not have keeps the stream in frame",
		"the payload would be read as the next header", true, true,
	},
	[ROW_FD_EXTRA] = {
		"fd-extra", "VU-024", "", "with one descriptor too many does not leave it open",
		"a front-end could use up the back-end's descriptors", true, true,
	},
	[ROW_FD_MISSING] = {
		"fd-missing", "VU-025", "", "without its descriptor is refused",
		"a descriptor of something else would be used in its place", true, true,
	},
	[ROW_GATE] = {
		"gate", "VU-018", "", "without the feature behind it is refused",
		"the two sides would disagree on what is in force", false, true,
	},
	[ROW_INDEX_NEXT] = {
		"index/next", "VU-081", "pf:MQ", "for the ring after the last one is refused",
		"memory beside the rings would be written", true, true,
	},
	[ROW_INDEX_255] = {
		"index/255", "VU-081", "pf:MQ", "for ring 255 is refused when there is none",
		"memory beside the rings would be written", true, true,
	},
	[ROW_INDEX_MAX] = {
		"index/max", "VU-081", "", "for ring 4294967295 is refused",
		"memory far from the rings would be written", true, true,
	},
	[ROW_REPLY_BIT] = {
		"reply-bit", "VU-007", "", "with the reply bit set is refused",
		"two sides that take each other's messages for requests never end", true, false,
	},
	[ROW_VERSION] = {
		"version", "VU-006", "", "of version 2 is refused",
		"the payload of another version may mean something else", true, false,
	},
	[ROW_ACKED] = {
		"acknowledged", "VU-046 VU-004", "pf:REPLY_ACK",
		"is acknowledged exactly once when that is asked for",
		"a front-end waits for ever, or takes the second answer for another's", true, false,
	},
	[ROW_UNASKED] = {
		"unasked", "VU-048", "", "is not answered when nothing asks for it",
		"the answer would be taken for that of a later request", true, false,
	},
	[ROW_ANSWERED] = {
		"answered", "VU-047 VU-004", "pf:REPLY_ACK",
		"has exactly one answer although an acknowledgement is asked for, too",
		"the second answer would be taken for that of a later request", true, false,
	},
};

bool row_has_answer(const struct vhu_desc *desc)
{
	/* SET_LOG_BASE is made with LOG_SHMFD wherever that is offered. */
	return desc->replied.kind == VHU_REPLY_ALWAYS || desc->replied.kind == VHU_REPLY_IF;
}

static bool is_fixed(const struct vhu_shape *shape)
{
	return shape->min_len == shape->max_len;
}

static bool takes_fd(const struct vhu_desc *desc)
{
	return desc->fds.kind != VHU_FD_NONE && desc->fds.kind != VHU_FD_OPTIONAL;
}

static bool is_safe(const struct vhu_desc *desc)
{
	return row_safety((enum vhu_fe_id)desc->id) != ROW_UNSAFE;
}

/* GET_QUEUE_NUM without MQ is a question that front-ends do ask. */
static bool is_gated(const struct vhu_desc *desc)
{
	return desc->gate.kind != VHU_GATE_NONE && desc->gate.kind != VHU_GATE_LAX;
}

static bool applies(const struct vhu_desc *desc, enum row_kind kind)
{
	switch (kind) {
	case ROW_SHORT:
		return desc->request->max_len > 0;
	case ROW_LONG:
		return desc->request->max_len > 0 && is_fixed(desc->request);
	case ROW_PAYLOAD:
		return desc->request->max_len == 0;
	case ROW_FD_MISSING:
		return takes_fd(desc);
	case ROW_GATE:
		return is_gated(desc);
	case ROW_INDEX_NEXT:
	case ROW_INDEX_255:
		return desc->index != VHU_INDEX_NONE;
	case ROW_INDEX_MAX:
		return desc->index == VHU_INDEX_FIRST;
	case ROW_ACKED:
	case ROW_UNASKED:
		return is_safe(desc) && !row_has_answer(desc);
	case ROW_ANSWERED:
		return is_safe(desc) && row_has_answer(desc);
	case ROW_FD_EXTRA:
	case ROW_REPLY_BIT:
	case ROW_VERSION:
	case ROW_N_KINDS:
		break;
	}
	return true;
}

/* Clauses of the row itself. */
static const char *own_clauses(const struct vhu_desc *desc, enum row_kind kind)
{
	static const struct {
		enum row_kind kind;
		uint32_t id;
		const char *clauses;
	} rows[] = {
		{ ROW_FD_EXTRA, VHU_FE_SET_MEM_TABLE, "VU-026 VU-024" },
		{ ROW_FD_EXTRA, VHU_FE_ADD_MEM_REG, "VU-074 VU-024" },
		{ ROW_FD_EXTRA, VHU_FE_REM_MEM_REG, "VU-077 VU-024" },
		{ ROW_FD_MISSING, VHU_FE_SET_VRING_KICK, "VU-124 VU-025" },
		{ ROW_FD_MISSING, VHU_FE_SET_VRING_CALL, "VU-124 VU-025" },
		{ ROW_FD_MISSING, VHU_FE_SET_VRING_ERR, "VU-124 VU-025" },
		{ ROW_GATE, VHU_FE_SET_VRING_ENABLE, "VU-018 VU-106" },
		{ ROW_GATE, VHU_FE_IOTLB_MSG, "VU-018 VU-210" },
		{ ROW_ACKED, VHU_FE_SET_OWNER, "VU-046 VU-014 VU-004" },
		{ ROW_ANSWERED, VHU_FE_SET_LOG_BASE, "VU-047 VU-157" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kind == kind && rows[i].id == desc->id)
			return rows[i].clauses;
	return kinds[kind].clauses;
}

static void add_need(char *needs, const char *prefix, const char *name)
{
	size_t len = strlen(needs);

	snprintf(needs + len, TEXT_LEN - len, "%s%s%s", len > 0 ? " " : "", prefix, name);
}

static void add_feature_needs(char *needs, const struct vhu_desc *desc, enum row_kind kind)
{
	uint64_t protocol = row_protocol(desc);

	for (unsigned int bit = 0; bit < 64; bit++)
		if ((protocol & BIT(bit)) && desc->gate.kind != VHU_GATE_LAX)
			add_need(needs, "pf:", vhu_protocol_feature_name(bit));
	if (desc->gate.kind == VHU_GATE_VIRTIO)
		add_need(needs, "f:", vhu_feature_name(desc->gate.bit));
	if (desc->gate.kind == VHU_GATE_OFFERED || desc->gate.kind == VHU_GATE_ACKED)
		add_need(needs, "f:", "PROTOCOL_FEATURES");
	if (desc->fds.kind == VHU_FD_IF && (kind == ROW_FD_MISSING || kind == ROW_ANSWERED))
		add_need(needs, "pf:", vhu_protocol_feature_name(desc->fds.bit));
}

static void put_needs(char needs[TEXT_LEN], const struct vhu_desc *desc, enum row_kind kind)
{
	snprintf(needs, TEXT_LEN, "%s", kinds[kind].needs);
	if (kinds[kind].negotiated)
		add_feature_needs(needs, desc, kind);
	else if (desc->gate.kind == VHU_GATE_OFFERED)
		add_need(needs, "no-f:", "PROTOCOL_FEATURES");
	else if (desc->gate.kind == VHU_GATE_ACKED)
		add_need(needs, "f:", "PROTOCOL_FEATURES");
}

static void put_id(char id[TEXT_LEN], const struct vhu_desc *desc, enum row_kind kind)
{
	char name[TEXT_LEN];
	size_t i;

	for (i = 0; desc->name[i] && i + 1 < sizeof(name); i++)
		name[i] =
			(char)(desc->name[i] == '_' ? '-' : tolower((unsigned char)desc->name[i]));
	name[i] = '\0';
	snprintf(id, TEXT_LEN, "vu/row/%.100s/%s", name, kinds[kind].name);
}

/* Its texts are kept as long as the list of cases is. */
static int make_row(struct case_row *ret_row, size_t i, const struct vhu_desc *desc,
		    enum row_kind kind)
{
	bool twice = kinds[kind].twice && desc->replied.kind == VHU_REPLY_ACK;
	char id[TEXT_LEN], needs[TEXT_LEN], title[TEXT_LEN];

	put_id(id, desc, kind);
	put_needs(needs, desc, kind);
	snprintf(title, sizeof(title), "%s %s", desc->name, kinds[kind].title);
	*ret_row = (struct case_row){
		.id = strdup(id),
		.clauses = own_clauses(desc, kind),
		.needs = strdup(needs),
		.flags = twice ? CASE_BOTH : CASE_PLAIN,
		.title = strdup(title),
		.why = kinds[kind].why,
		.run = case_generated,
		.arg = row_arg(i, kind),
	};
	return ret_row->id && ret_row->needs && ret_row->title ? 0 : -ENOMEM;
}

int cases_generate(struct case_row **ret_rows, size_t *ret_n)
{
	struct case_row *rows = calloc(vhu_desc_count() * ROW_N_KINDS, sizeof(*rows));
	const struct vhu_desc *desc;
	size_t n = 0;
	int err = rows ? 0 : -ENOMEM;

	for (size_t i = 0; err == 0 && (desc = vhu_desc_at(i)) != NULL; i++)
		for (enum row_kind kind = 0; kind < ROW_N_KINDS && err == 0; kind++)
			if (desc->dir == VHU_FE && applies(desc, kind))
				err = make_row(&rows[n++], i, desc, kind);
	if (err < 0) {
		free(rows);
		return err;
	}
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}
