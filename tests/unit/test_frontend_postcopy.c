/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory that comes late, against a back-end that is played and touches it. */
#include "peer_rig.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "vhu/frontend-postcopy.h"

enum { PAGE = 4096, N_PAGES = PEER_MEM / PAGE, REFUSE = 1, MISTAKE = 2 };

struct late {
	int uffd; /* the back-end's */
	uint8_t *map;
	size_t begin, len;  /* of guest memory in it, and of all */
	bool armed;	    /* LISTEN has come */
	bool go;	    /* the table was acknowledged */
	unsigned int n_bad; /* bytes that the back-end found and should not have */
	int fault;	    /* what it does wrong */
	uint64_t verdict;   /* of END */
};

static int new_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) < 0)
		fd = fd_close(fd);
	return fd;
}

static void answer_table(struct peer_rig *rig, struct vhu_msg *msg, struct late *late)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct vhu_mem_table table;
	const struct vhu_region *r = &table.regions[0];

	vhu_msg_get(msg, &table, sizeof(table));
	late->begin = (size_t)r->mmap_offset;
	late->len = (size_t)(r->mmap_offset + r->size);
	late->map = mmap(NULL, late->len, PROT_READ | PROT_WRITE, MAP_SHARED, msg->fds.fd[0], 0);
	assert_true(late->map != MAP_FAILED);
	reg.range.start = (uintptr_t)late->map;
	reg.range.len = late->len;
	assert_int_equal(ioctl(late->uffd, UFFDIO_REGISTER, &reg), 0);
	table.regions[0].user_addr = (uintptr_t)late->map + r->mmap_offset;
	if (late->fault == MISTAKE)
		table.regions[0].guest_addr++;
	peer_reply(rig, msg, &table, msg->size, -1);
}

static bool handle(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct late *late = rig->arg;

	switch (msg->id) {
	case VHU_FE_POSTCOPY_ADVISE:
		peer_reply(rig, msg, NULL, 0, late->fault == REFUSE ? -1 : late->uffd);
		return true;
	case VHU_FE_POSTCOPY_LISTEN:
		assert_true(msg->flags & VHU_FLAG_NEED_REPLY);
		late->armed = true;
		return false;
	case VHU_FE_SET_MEM_TABLE:
		assert_true(late->armed);
		if (late->map) {
			assert_int_equal(msg->size, 8);
			assert_int_equal(vhu_msg_u64(msg), 0);
			late->go = true;
		} else {
			answer_table(rig, msg, late);
		}
		return true;
	case VHU_FE_POSTCOPY_END:
		late->uffd = fd_close(late->uffd);
		peer_reply_u64(rig, msg, late->verdict);
		return true;
	default:
		return false;
	}
}

/* The guest on its new machine: its memory is empty, memory has what it was. */
static void open_late(struct peer_rig *rig, struct late *late, struct vhu_frontend_memory *memory)
{
	*late = (struct late){ .uffd = new_uffd() };
	peer_open(rig, 0, BIT(VHU_PF_PAGEFAULT_BIT));
	peer_make_guest(rig, 1);
	rig->arg = late;
	rig->handle = handle;
	for (size_t i = 0; i < rig->fe.mem_len; i++)
		rig->fe.mem_map[i] = (uint8_t)(i / PAGE + i % 251 + 1);
	assert_said(rig, vhu_frontend_memory_make(&rig->fe, memory));
	assert_said(rig, vhu_frontend_memory_swap(&rig->fe, memory));
}

static void close_late(struct peer_rig *rig, struct late *late, struct vhu_frontend_memory *memory)
{
	if (late->map)
		munmap(late->map, late->len);
	fd_close(late->uffd);
	vhu_frontend_memory_fini(memory);
	peer_close(rig);
}

static uint8_t expected(size_t at)
{
	return (uint8_t)(at / PAGE + at % 251 + 1);
}

/* The back-end reads every other page, and writes to what it has read. */
static void *touch_memory(void *arg)
{
	struct late *late = arg;

	for (size_t at = late->begin; at < late->len; at += 2 * PAGE) {
		uint8_t *byte = late->map + at + at / PAGE % PAGE;

		if (*byte != expected(at + at / PAGE % PAGE))
			late->n_bad++;
		*byte ^= 0xff;
	}
	return NULL;
}

/* VU-177, VU-179, VU-180: whoever touches a page finds what the source had, and what was written
 * since is not overwritten by the rest. */
static void pages_when_touched_by_either_side_are_the_sources(void **state)
{
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct vhu_frontend_postcopy pc = { 0 };
	unsigned int n_wrong = 0;
	struct peer_rig rig;
	struct late late;
	struct vhu_frontend_faults faults;
	pthread_t thread;
	size_t left;

	(void)state;
	open_late(&rig, &late, &memory);
	assert_said(&rig, vhu_frontend_postcopy_begin(&rig.fe, &pc, memory.map, memory.len));
	/* Ours before the back-end has any. */
	assert_int_equal(rig.fe.mem_map[5 * PAGE + 1], expected(5 * PAGE + 1));
	assert_said(&rig, vhu_frontend_postcopy_listen(&rig.fe));
	assert_said(&rig, vhu_frontend_postcopy_table(&rig.fe, &pc));
	for (unsigned int i = 0; i < 1000 && !late.go; i++)
		peer_pump(&rig);
	assert_true(late.go);
	assert_int_equal(pthread_create(&thread, NULL, touch_memory, &late), 0);
	for (size_t at = 0; at < rig.fe.mem_len; at += 3 * PAGE)
		n_wrong += rig.fe.mem_map[at + PAGE - 1] != expected(at + PAGE - 1);
	assert_said(&rig, vhu_frontend_postcopy_fill(&rig.fe, &pc, 10, &left));
	assert_int_equal(left, rig.fe.mem_len / PAGE - 10);
	assert_int_equal(pthread_join(thread, NULL), 0);
	faults = vhu_frontend_postcopy_faults(&pc);
	assert_true(faults.n_backend > 0);
	assert_true(faults.n_own > 0);
	assert_said(&rig, vhu_frontend_postcopy_end(&rig.fe, &pc));
	assert_int_equal(n_wrong, 0);
	assert_int_equal(late.n_bad, 0);
	assert_int_equal(pc.n_pages, rig.fe.mem_len / PAGE);
	for (size_t at = 0; at < rig.fe.mem_len; at++) {
		bool touched =
			at >= late.begin && at / PAGE % 2 == 0 && at % PAGE == at / PAGE % PAGE;

		n_wrong += rig.fe.mem_map[at] != (touched ? expected(at) ^ 0xff : expected(at));
		n_wrong += late.map[at] != rig.fe.mem_map[at];
	}
	assert_int_equal(n_wrong, 0);
	close_late(&rig, &late, &memory);
}

static void begin_when_no_descriptor_comes_says_so(void **state)
{
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct vhu_frontend_postcopy pc = { 0 };
	struct peer_rig rig;
	struct late late;

	(void)state;
	open_late(&rig, &late, &memory);
	late.fault = REFUSE;
	assert_int_equal(vhu_frontend_postcopy_begin(&rig.fe, &pc, memory.map, memory.len),
			 -EREMOTEIO);
	vhu_frontend_postcopy_fini(&pc);
	vhu_frontend_postcopy_fini(&pc);
	assert_int_equal(vhu_frontend_postcopy_begin(&rig.fe, &pc, memory.map, PAGE), -EINVAL);
	vhu_frontend_postcopy_fini(&pc);
	close_late(&rig, &late, &memory);
}

/* VU-179 */
static void table_when_it_is_another_says_so(void **state)
{
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct vhu_frontend_postcopy pc = { 0 };
	struct peer_rig rig;
	struct late late;

	(void)state;
	open_late(&rig, &late, &memory);
	late.fault = MISTAKE;
	assert_said(&rig, vhu_frontend_postcopy_begin(&rig.fe, &pc, memory.map, memory.len));
	assert_said(&rig, vhu_frontend_postcopy_listen(&rig.fe));
	assert_int_equal(vhu_frontend_postcopy_table(&rig.fe, &pc), -EPROTO);
	assert_false(late.go);
	vhu_frontend_postcopy_fini(&pc);
	close_late(&rig, &late, &memory);
}

/* VU-180 */
static void end_when_refused_says_so(void **state)
{
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct vhu_frontend_postcopy pc = { 0 };
	struct peer_rig rig;
	struct late late;

	(void)state;
	open_late(&rig, &late, &memory);
	late.verdict = 1;
	assert_said(&rig, vhu_frontend_postcopy_begin(&rig.fe, &pc, memory.map, memory.len));
	assert_int_equal(vhu_frontend_postcopy_end(&rig.fe, &pc), -EREMOTEIO);
	close_late(&rig, &late, &memory);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(pages_when_touched_by_either_side_are_the_sources),
	UNIT_TEST(begin_when_no_descriptor_comes_says_so),
	UNIT_TEST(table_when_it_is_another_says_so),
	UNIT_TEST(end_when_refused_says_so),
};

int main(void)
{
	int fd = new_uffd();

	if (fd < 0) {
		puts("1..0 # SKIP userfaultfd is not allowed here");
		return 0;
	}
	fd_close(fd);
	unit_start_alarm();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
