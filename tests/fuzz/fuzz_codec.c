/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Assembly and formatting of a byte stream. Input:
 *
 *	byte 0		bit 7: back-end requests; the rest, at least 1: how many
 *			bytes are fed at a time
 *	the rest	the stream
 */

#include "fuzz.h"

#include "vhu/codec.h"
#include "vhu/format.h"

typedef size_t format_fn(char *buf, size_t cap, const struct vhu_msg *m);

/* Whole or cut: the same text, terminated inside the buffer. */
static void check_format(format_fn *format, const struct vhu_msg *m)
{
	static char whole[65536];
	char cut[40];
	size_t len = format(whole, sizeof(whole), m);

	must(len < sizeof(whole) && strlen(whole) == len);
	must(format(cut, sizeof(cut), m) == len);
	must(strlen(cut) == min_size(len, sizeof(cut) - 1));
	must(memcmp(cut, whole, strlen(cut)) == 0);
}

/* A message that was assembled packs to the bytes that it came from. */
static void check_message(const struct vhu_msg *m, const uint8_t *end)
{
	static uint8_t packed[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len = vhu_msg_pack(m, packed);
	uint32_t ring;

	must(memcmp(packed, end - len, len) == 0);
	if (vhu_msg_ring(m, &ring))
		must(m->size >= 8);
	check_format(vhu_format_line, m);
	check_format(vhu_format_json, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vhu_assembler a;
	size_t piece;
	size_t at = 1;

	if (size == 0)
		return 0;
	piece = data[0] & 0x7f;
	vhu_assembler_init(&a, data[0] & 0x80 ? VHU_BE : VHU_FE);
	while (at < size) {
		size_t want = min_size(piece ? piece : 1, size - at);
		size_t taken;
		enum vhu_assembly got = vhu_assembler_feed(&a, data + at, want, &taken);

		must(taken <= want && (taken > 0 || got == VHU_ASSEMBLY_BROKEN));
		must(got != VHU_ASSEMBLY_MORE || taken == want);
		at += taken;
		if (got == VHU_ASSEMBLY_MESSAGE)
			check_message(&a.msg, data + at);
		if (got == VHU_ASSEMBLY_BROKEN) {
			check_format(vhu_format_line, &a.msg);
			must(!vhu_assembler_midway(&a));
			break;
		}
	}
	return 0;
}
