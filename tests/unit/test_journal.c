/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A file that outlives the process: commits, and who may have it. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"

enum { KIND = 7, AREA = 8192 };

struct commit {
	uint64_t a[40];
};

static char dir[64], path[128], why[256];

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vhu-journal-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/j", dir);
}

static void end(void)
{
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static int open_journal(struct journal *j, uint32_t kind, bool *found)
{
	return journal_open(j, path, kind, sizeof(struct commit), AREA, found, why, sizeof(why));
}

static struct commit some(uint64_t n)
{
	struct commit c;

	for (unsigned int i = 0; i < ARRAY_SIZE(c.a); i++)
		c.a[i] = n + i;
	return c;
}

static void last_commit_and_area_when_opened_again_are_there(void **state)
{
	struct journal j;
	bool found = true;

	(void)state;
	begin();
	assert_int_equal(open_journal(&j, KIND, &found), 0);
	assert_false(found);
	assert_null(journal_last(&j));
	memset(j.area, 'x', AREA);
	for (uint64_t n = 1; n < 6; n++) {
		struct commit c = some(n * 100), next;

		journal_commit(&j, &c);
		journal_close(&j);
		assert_int_equal(open_journal(&j, KIND, &found), 0);
		assert_true(found);
		memcpy(&next, journal_last(&j), sizeof(next));
		assert_memory_equal(&next, &c, sizeof(c));
		assert_int_equal(((char *)j.area)[AREA - 1], 'x');
	}
	journal_close(&j);
	end();
}

/* The place that is written next is not the one that counts. */
static void commit_that_is_cut_off_leaves_the_one_before(void **state)
{
	struct commit c = some(1), got;
	struct journal j;
	bool found;

	(void)state;
	begin();
	assert_int_equal(open_journal(&j, KIND, &found), 0);
	journal_commit(&j, &c);
	c = some(2);
	journal_commit(&j, &c);
	/* Half of a third one, as a process that is killed in the middle leaves it. */
	memset((char *)(uintptr_t)journal_last(&j) + sizeof(c), 0xff, sizeof(c) / 2);
	memcpy(&got, journal_last(&j), sizeof(got));
	assert_memory_equal(&got, &c, sizeof(c));
	journal_close(&j);
	end();
}

static void journal_of_another_kind_or_size_is_forgotten(void **state)
{
	struct commit c = some(1);
	struct journal j;
	bool found;

	(void)state;
	begin();
	assert_int_equal(open_journal(&j, KIND, &found), 0);
	journal_commit(&j, &c);
	memset(j.area, 'x', AREA);
	journal_close(&j);
	assert_int_equal(open_journal(&j, KIND + 1, &found), 0);
	assert_false(found);
	assert_int_equal(((char *)j.area)[0], 0);
	journal_close(&j);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(open_journal(&j, KIND + 1, &found), 0);
	assert_false(found);
	journal_close(&j);
	end();
}

static void journal_that_somebody_has_is_refused(void **state)
{
	struct journal j, other;
	bool found;

	(void)state;
	begin();
	assert_int_equal(open_journal(&j, KIND, &found), 0);
	assert_int_equal(open_journal(&other, KIND, &found), -EBUSY);
	assert_non_null(strstr(why, path));
	journal_close(&j);
	assert_int_equal(open_journal(&other, KIND, &found), 0);
	journal_close(&other);
	end();
}

static void file_that_others_could_write_is_refused(void **state)
{
	struct journal j;
	bool found;
	int fd;

	(void)state;
	begin();
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && fchmod(fd, 0660) == 0 && close(fd) == 0);
	assert_int_equal(open_journal(&j, KIND, &found), -EPERM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_true(open_journal(&j, KIND, &found) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_journal(&j, KIND, &found), -EPERM);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(last_commit_and_area_when_opened_again_are_there),
	UNIT_TEST(commit_that_is_cut_off_leaves_the_one_before),
	UNIT_TEST(journal_of_another_kind_or_size_is_forgotten),
	UNIT_TEST(journal_that_somebody_has_is_refused),
	UNIT_TEST(file_that_others_could_write_is_refused),
};

UNIT_MAIN(tests)
