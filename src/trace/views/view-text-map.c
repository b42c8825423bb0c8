/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest memory in its address spaces, and the areas of rings in it. */
#include <inttypes.h>

#include "trace/views/views-private.h"

enum { ADDRESS_COLUMNS = 18 };

/* Lengths of the areas of a ring of n entries: fixed + each * n (virtio 1.x, "Virtqueues"). */
struct area_size {
	const char *what;
	uint64_t fixed, each;
};

static const struct area_size split_sizes[VIEW_N_AREAS] = {
	{ "descriptors", 0, 16 },
	{ "available", 6, 2 },
	{ "used", 6, 8 },
};

static const struct area_size packed_sizes[VIEW_N_AREAS] = {
	{ "descriptors", 0, 16 },
	{ "driver events", 4, 0 },
	{ "device events", 4, 0 },
};

/* 0: the ring's size is not known, or nonsense. */
static uint64_t area_len(const struct area_size *size, uint32_t n_entries)
{
	uint64_t len = 0;

	if (n_entries == 0 || !mul_u64(size->each, n_entries, &len) ||
	    !add_u64(len, size->fixed, &len))
		return 0;
	return len;
}

static void place(const struct story_memory *memory, struct view_area *area)
{
	const struct vhu_region *wire;

	area->fault = "in no region";
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		wire = &memory->region[i].wire;
		if (!range_within(area->user, 1, wire->user_addr, wire->size))
			continue;
		if (!add_u64(wire->guest_addr, area->user - wire->user_addr, &area->guest) ||
		    !add_u64(wire->mmap_offset, area->user - wire->user_addr, &area->offset))
			continue;
		area->region = &memory->region[i];
		area->region_idx = i;
		area->fault = range_within(area->user, area->len, wire->user_addr, wire->size)
				      ? NULL
				      : "ends outside of its region";
		return;
	}
}

bool view_ring_areas(const struct story_session *session, uint32_t ring,
		     struct view_area ret_areas[VIEW_N_AREAS])
{
	const struct vhu_vring_addr *addr;
	const struct area_size *sizes = split_sizes;

	if (ring >= VHU_MAX_RINGS || !session->nego.ring[ring].addr_set)
		return false;
	if (vhu_nego_has_feature(&session->nego, VIRTIO_F_RING_PACKED_BIT))
		sizes = packed_sizes;
	addr = &session->ring[ring].addr;
	ret_areas[0] = (struct view_area){ .user = addr->desc };
	ret_areas[1] = (struct view_area){ .user = addr->avail };
	ret_areas[2] = (struct view_area){ .user = addr->used };
	for (unsigned int i = 0; i < VIEW_N_AREAS; i++) {
		ret_areas[i].what = sizes[i].what;
		ret_areas[i].len = area_len(&sizes[i], session->ring[ring].num);
		place(&session->memory, &ret_areas[i]);
	}
	return true;
}

static void put_address(FILE *out, bool known, uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), known ? "0x%" PRIx64 : "-", address);
	fprintf(out, "%-*s  ", ADDRESS_COLUMNS, text);
}

static void put_heading(FILE *out, int indent)
{
	fprintf(out, "%*s  %-*s  %-*s  %-*s  in file\n", indent, "", ADDRESS_COLUMNS,
		"guest address", ADDRESS_COLUMNS, "front-end address", ADDRESS_COLUMNS, "length");
}

static void put_file(FILE *out, const struct story_region *region)
{
	char text[256];

	fprintf(out, "0x%" PRIx64, region->wire.mmap_offset);
	if (region->file.path[0] == '\0') {
		fputs(" of what did not come along", out);
		return;
	}
	fd_about_text(text, sizeof(text), &region->file);
	fprintf(out, " of %s", text);
}

static void put_region(FILE *out, const struct story_region *region, int indent)
{
	fprintf(out, "%*s  ", indent, "");
	put_address(out, true, region->wire.guest_addr);
	put_address(out, true, region->wire.user_addr);
	put_address(out, true, region->wire.size);
	put_file(out, region);
	fputc('\n', out);
	if (region->overlaps)
		fprintf(out, "%*s! overlaps another region\n", indent, "");
	if (region->past_file)
		fprintf(out, "%*s! ends after the end of its file\n", indent, "");
}

static void put_area(FILE *out, const struct view_area *area, uint32_t ring, int indent)
{
	fprintf(out, "%*s%s", indent, "", area->fault ? "! " : "  ");
	put_address(out, area->region, area->guest);
	put_address(out, true, area->user);
	put_address(out, area->len > 0, area->len);
	fprintf(out, "  ring %" PRIu32 " %s", ring, area->what);
	if (area->fault)
		fprintf(out, ", %s", area->fault);
	fputc('\n', out);
}

void view_text_areas(FILE *out, const struct story_session *session, uint32_t ring, int indent)
{
	struct view_area areas[VIEW_N_AREAS];

	if (!view_ring_areas(session, ring, areas))
		return;
	for (unsigned int i = 0; i < VIEW_N_AREAS; i++)
		put_area(out, &areas[i], ring, indent);
}

/* Whether an area of the ring may begin in region: a quick no for most of many. */
static bool may_touch(const struct story_session *session, uint32_t ring,
		      const struct story_region *region)
{
	const struct vhu_vring_addr *addr = &session->ring[ring].addr;
	const struct vhu_region *wire;

	if (!session->nego.ring[ring].addr_set || !region)
		return session->nego.ring[ring].addr_set;
	wire = &region->wire;
	return range_within(addr->desc, 1, wire->user_addr, wire->size) ||
	       range_within(addr->avail, 1, wire->user_addr, wire->size) ||
	       range_within(addr->used, 1, wire->user_addr, wire->size);
}

/* Areas of all rings that begin in region; in none, if it is NULL. */
static void put_areas_in(FILE *out, const struct story_session *session,
			 const struct story_region *region, int indent)
{
	struct view_area areas[VIEW_N_AREAS];

	for (uint32_t ring = 0; ring < VHU_MAX_RINGS; ring++) {
		if (!may_touch(session, ring, region) || !view_ring_areas(session, ring, areas))
			continue;
		for (unsigned int i = 0; i < VIEW_N_AREAS; i++)
			if (areas[i].region == region)
				put_area(out, &areas[i], ring, indent);
	}
}

void view_text_map(FILE *out, const struct story_session *session, int indent)
{
	const struct story_memory *memory = &session->memory;

	if (memory->n_regions == 0)
		fprintf(out, "%*s  no guest memory is mapped\n", indent, "");
	else
		put_heading(out, indent);
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		put_region(out, &memory->region[i], indent);
		put_areas_in(out, session, &memory->region[i], indent);
	}
	put_areas_in(out, session, NULL, indent);
}
