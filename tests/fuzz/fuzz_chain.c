/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring whose driver changes memory between any two accesses of the device,
 * with and without a record of requests in flight, a dirty log and translations.
 * Input:
 *
 *	bytes 0 - 3	as ring-side.h has them
 *	byte 4		1 a record, 2 a dirty log, 4 translations
 *	byte 5		the number of operations
 *	byte 6		the number of changes, modulo 64
 *	bytes 7, 8	how long the record is, modulo 2048
 *	then		the operations, the record, the memory; and the changes,
 *			6 bytes each from the end on: how many accesses later, how and
 *			what, where (2 bytes), the value (2 bytes)
 */
#include "hostile.h"
#include "ring-side.h"

enum {
	HEAD = RING_SIDE_HEAD + 5,
	CHANGE = 6,
	RECORD_MAX = 4096,
	LOG_BYTES = 4096,
	PAGE = 4096,
	CHANGES_MAX = 64,
};

enum { WITH_RECORD = 1, WITH_LOG = 2, WITH_IOTLB = 4 };

/* How a change is made. */
enum { CHANGE_NEAR = 1, CHANGE_ADD = 2, CHANGE_RECORD = 4, CHANGE_SWAP = 8 };

static struct {
	struct ring_side side;
	unsigned char *record; /* the front-end's own view of the file */
	int record_fd, log_fd;
	struct iotlb *tlb;

	struct input changes; /* those that are still to come */
	unsigned int countdown;
} fuzz;

/* The next change waits that many accesses. */
static void schedule(void)
{
	fuzz.countdown = fuzz.changes.left >= CHANGE ? 1u + fuzz.changes.at[0] : 0;
}

/* The byte at an offset into all that is shared. */
static unsigned char *byte_at(size_t off)
{
	off %= RING_SIDE_REGIONS * RING_SIDE_REGION;
	return fuzz.side.host[off / RING_SIDE_REGION] + off % RING_SIDE_REGION;
}

static bool offset_of(const void *p, size_t *ret_off)
{
	for (size_t i = 0; i < RING_SIDE_REGIONS; i++) {
		uintptr_t off = (uintptr_t)p - (uintptr_t)fuzz.side.host[i];

		if (off < RING_SIDE_REGION) {
			*ret_off = i * RING_SIDE_REGION + off;
			return true;
		}
	}
	return false;
}

static void change(size_t accessed)
{
	uint8_t how, value[2];
	size_t where;

	input_u8(&fuzz.changes);
	how = input_u8(&fuzz.changes);
	where = input_u16(&fuzz.changes);
	input_copy(&fuzz.changes, value, sizeof(value));
	if (how & CHANGE_NEAR)
		where = accessed + where % 64 - 32 + RING_SIDE_REGIONS * RING_SIDE_REGION;
	for (size_t i = 0; i < sizeof(value); i++) {
		unsigned char *at = how & CHANGE_RECORD ? fuzz.record + (where + i) % RECORD_MAX
							: byte_at(where + i);

		if (how & CHANGE_ADD)
			*at = (unsigned char)(*at + value[i]);
		else if (how & CHANGE_SWAP)
			*at ^= value[i];
		else
			*at = value[i];
	}
}

void hostile_driver_acts(const void *p)
{
	size_t accessed;

	if (fuzz.countdown == 0 || !offset_of(p, &accessed) || --fuzz.countdown > 0)
		return;
	change(accessed);
	schedule();
}

static void make_once(void)
{
	ring_side_map(&fuzz.side);
	fuzz.record_fd = fuzz_file(RECORD_MAX);
	fuzz.log_fd = fuzz_file(LOG_BYTES);
	fuzz.record = mmap(NULL, RECORD_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fuzz.record_fd, 0);
	must(fuzz.record != MAP_FAILED);
	fuzz.tlb = iotlb_new();
	must(fuzz.tlb != NULL);
	/* The guest's addresses are the device's; the second page can only be read. */
	for (uint64_t i = 0; i < RING_SIDE_REGIONS; i++) {
		struct iotlb_entry e = { 0x10000 + i * PAGE, PAGE, 0x70000000 + i * 0x100000,
					 i == 0 ? IOTLB_READ | IOTLB_WRITE : IOTLB_READ };

		must(iotlb_update(fuzz.tlb, &e) == 0);
	}
}

static void attach_record(const uint8_t head[HEAD], const uint8_t *bytes, size_t len)
{
	bool packed = head[1] & 8;
	uint32_t size = packed ? 1 + head[0] % 64u : 1u << head[0] % 7;
	struct inflight *record;

	memset(fuzz.record, 0, RECORD_MAX);
	if (len > 0)
		memcpy(fuzz.record, bytes, len);
	must(inflight_map(inflight_bytes(1, size, packed), 0, fuzz.record_fd, 1, size, packed,
			  &record) == GMEM_OK);
	virtq_set_inflight(&fuzz.side.q, record, 0);
	inflight_unref(record);
}

static void attach_log(void)
{
	struct dirty_log *log;

	must(dirty_log_map(LOG_BYTES, 0, fuzz.log_fd, &log) == GMEM_OK);
	virtq_set_log(&fuzz.side.q, log, true, 0x10000);
	dirty_log_unref(log);
}

static void attach(const uint8_t head[HEAD], const uint8_t *record, size_t len)
{
	virtq_set_inflight(&fuzz.side.q, NULL, 0);
	virtq_set_log(&fuzz.side.q, NULL, false, 0);
	virtq_set_iotlb(&fuzz.side.q, head[4] & WITH_IOTLB ? fuzz.tlb : NULL);
	if (head[4] & WITH_RECORD)
		attach_record(head, record, len);
	if (head[4] & WITH_LOG)
		attach_log();
}

static void run(const uint8_t *head, const uint8_t *ops, size_t n_ops)
{
	ring_side_start(&fuzz.side, head);
	for (size_t i = 0; i < n_ops; i++)
		ring_side_do(&fuzz.side, ops[i]);
	while (ring_side_pop(&fuzz.side) == POP_CHAIN)
		continue;
	fuzz.countdown = 0;
	virtq_stop(&fuzz.side.q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t len, n_ops, n_record, n_changes;
	const uint8_t *ops, *record;
	const uint8_t *head = input_take(&in, HEAD, &len);

	if (len < HEAD)
		return 0;
	if (!fuzz.side.mem)
		make_once();
	n_changes = min_size(head[6] % CHANGES_MAX, in.left / CHANGE);
	in.left -= n_changes * CHANGE;
	fuzz.changes = (struct input){ in.at + in.left, n_changes * CHANGE };
	fuzz.countdown = 0;
	ops = input_take(&in, head[5], &n_ops);
	record = input_take(&in, (head[7] | (size_t)head[8] << 8) % 2048, &n_record);
	ring_side_fill(&fuzz.side, in.at, in.left);
	attach(head, record, n_record);
	schedule();
	run(head, ops, n_ops);
	return 0;
}
