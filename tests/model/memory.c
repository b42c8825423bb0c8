/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest memory: three regions of one file, which moves, and one of which comes and goes. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "fd.h"
#include "model.h"

enum {
	PAGE = 4096,
	RINGS_LEN = 512 * 1024,
	DATA_LEN = MODEL_RINGS * MODEL_ARENA_LEN,
	REUSED = 0xee, /* what memory is used for after it was taken away */
};

static const uint64_t first_user = UINT64_C(0x7f5500000000);

void memory_make(struct model *m)
{
	static const struct vhu_region regions[N_REGIONS] = {
		{ .guest_addr = 0x10000, .size = RINGS_LEN, .user_addr = 0x7f5500010000 },
		{ .guest_addr = 0x40000000,
		  .size = DATA_LEN,
		  .user_addr = 0x7f5540000000,
		  .mmap_offset = RINGS_LEN },
		{ .guest_addr = 0x200000000,
		  .size = DATA_LEN,
		  .user_addr = 0x7f5700000000,
		  .mmap_offset = RINGS_LEN + DATA_LEN },
	};

	session_must(m, vhu_frontend_make_memory(&m->fe, regions, N_REGIONS));
	m->user_base = first_user;
	m->plugged = true;
}

static void forget_old(struct model *m)
{
	if (m->old_map)
		munmap(m->old_map, m->old_len);
	m->old_map = NULL;
}

void memory_fini(struct model *m)
{
	forget_old(m);
}

/* Nobody has written to memory that was taken from the back-end. */
void memory_check(struct model *m)
{
	static uint8_t reused[PAGE];

	memset(reused, REUSED, sizeof(reused));
	for (size_t at = 0; m->old_map && at < m->old_len; at += PAGE)
		model_expect(m, memcmp(m->old_map + at, reused, PAGE) == 0,
			     "memory that was taken away not to be written to, at %zu", at);
	forget_old(m);
}

void memory_tell(struct model *m, bool need_reply)
{
	if (!session_has(m, VHU_PF_CONFIGURE_MEM_SLOTS_BIT)) {
		m->fe.n_regions = m->plugged ? N_REGIONS : N_REGIONS - 1;
		session_must(m, vhu_frontend_set_mem_table(&m->fe, 0, need_reply));
		m->fe.n_regions = N_REGIONS;
		return;
	}
	for (unsigned int i = 0; i < N_REGIONS; i++)
		if (!m->fe.regions[i].added && (i != REGION_PLUGGED || m->plugged))
			session_must(m, vhu_frontend_add_region(&m->fe, i, need_reply));
}

/* Takes regions from first on away, all of them or the last. */
static void take_away(struct model *m, unsigned int first)
{
	if (!session_has(m, VHU_PF_CONFIGURE_MEM_SLOTS_BIT))
		return; /* the next table is without them, or has them elsewhere */
	for (unsigned int i = first; i < N_REGIONS; i++)
		if (m->fe.regions[i].added)
			session_must(m, vhu_frontend_remove_region(&m->fe, i, false, true));
}

/* The same contents in another file; the driver sees them where they were. */
static void move_file(struct model *m, size_t shift)
{
	struct vhu_frontend *fe = &m->fe;
	int fd = memfd_create("moved", MFD_CLOEXEC);
	uint8_t *map;

	if (fd < 0 || ftruncate(fd, (off_t)(fe->mem_len + shift)) < 0)
		model_fail(m, "a file for memory: %s", strerror(errno));
	map = mmap(NULL, fe->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)shift);
	if (map == MAP_FAILED)
		model_fail(m, "memory mapped: %s", strerror(errno));
	memcpy(map, fe->mem_map, fe->mem_len);
	forget_old(m);
	/* Both keep their contents: what was there is the old one now, and the new one there. */
	m->old_map = mremap(fe->mem_map, fe->mem_len, fe->mem_len,
			    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (m->old_map == MAP_FAILED ||
	    mremap(map, fe->mem_len, fe->mem_len, MREMAP_MAYMOVE | MREMAP_FIXED, fe->mem_map) ==
		    MAP_FAILED)
		model_fail(m, "memory moved: %s", strerror(errno));
	m->old_len = fe->mem_len;
	fd_close(fe->mem_fd);
	fe->mem_fd = fd;
}

static void shift_regions(struct model *m, size_t shift, uint64_t user_base)
{
	uint64_t offset = 0;

	for (unsigned int i = 0; i < N_REGIONS; i++) {
		struct vhu_region *wire = &m->fe.regions[i].wire;

		wire->mmap_offset = shift + offset;
		wire->user_addr += user_base - m->user_base;
		offset += wire->size;
	}
	m->user_base = user_base;
}

/* Rings that run are stopped, or merely disabled. */
bool memory_move(struct model *m, struct rng *r)
{
	bool stopped[MODEL_RINGS] = { false }, disabled[MODEL_RINGS] = { false };
	size_t shift = (size_t)rng_below(r, 4) * PAGE;
	bool same_addresses = rng_one_in(r, 3);
	bool by_stop =
		rng_one_in(r, 2) || !(m->fe.nego.features & BIT(VHU_F_PROTOCOL_FEATURES_BIT));

	if (!m->b || !m->booted)
		return false;
	model_say(m, "memory moves by %zu, rings %s", shift, by_stop ? "stopped" : "disabled");
	for (unsigned int i = 0; i < m->n_set_up; i++) {
		stopped[i] = by_stop && m->rings[i].started;
		disabled[i] = !by_stop && m->rings[i].enabled;
		if (stopped[i])
			session_stop_ring(m, i);
		if (disabled[i])
			session_enable_ring(m, i, false);
	}
	take_away(m, 0);
	move_file(m, shift);
	shift_regions(m, shift,
		      same_addresses ? m->user_base
				     : first_user + ((uint64_t)rng_below(r, 256) << 12));
	memory_tell(m, true);
	session_must(m, vhu_frontend_ping(&m->fe));
	memset(m->old_map, REUSED, m->old_len);
	if (session_is_ambiguous(m)) {
		session_reboot(m, r);
		return true;
	}
	for (unsigned int i = 0; i < m->n_set_up; i++) {
		if (stopped[i])
			session_start_ring(m, i, r);
		else if (m->rings[i].started)
			session_must(m, vhu_frontend_vring_addr(&m->fe, i, 0, 0, rng_one_in(r, 2)));
		if (disabled[i])
			session_enable_ring(m, i, true);
	}
	return true;
}

/* The last region goes, or comes; what follows finds it so. */
static void set_plugged(struct model *m, bool plugged)
{
	model_say(m, "the region %s", plugged ? "comes" : "goes");
	m->plugged = plugged;
	if (!plugged)
		take_away(m, REGION_PLUGGED);
	if (plugged || !session_has(m, VHU_PF_CONFIGURE_MEM_SLOTS_BIT))
		memory_tell(m, true);
	session_must(m, vhu_frontend_ping(&m->fe));
}

/* While rings that need the region have it taken away, they are disabled. */
bool memory_replug(struct model *m, struct rng *r)
{
	bool disabled[MODEL_RINGS] = { false };
	bool needed = false;

	if (!m->b || !m->booted || !(m->fe.nego.features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		return false;
	for (unsigned int i = 0; i < m->n_set_up; i++) {
		bool uses = driver_uses_plugged(m, i);

		needed |= uses;
		disabled[i] = uses && m->rings[i].enabled;
		if (disabled[i])
			session_enable_ring(m, i, false);
	}
	if (m->plugged)
		set_plugged(m, false);
	session_pump(m, rng_below(r, 4));
	if (needed || rng_one_in(r, 2))
		set_plugged(m, true);
	for (unsigned int i = 0; i < m->n_set_up; i++)
		if (disabled[i])
			session_enable_ring(m, i, true);
	return true;
}
