/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A file that output is written to, for attachments and logs: a regular file,
 * which is then locked against a second writer, a named pipe or a device. One
 * write in flight; errors are the owner's to judge.
 */
#ifndef VHU_BACKENDS_OUTFILE_H
#define VHU_BACKENDS_OUTFILE_H

#include "backends/attachment.h"

struct outfile {
	struct scope scope;
	struct op wr;
	bool polling; /* the op waits for room in a pipe or device */
	int fd;	      /* -1: closed */
	bool regular;
	uint64_t size; /* of a regular file, as far as we know */
	const uint8_t *buf;
	size_t len, done;
	/*
	 * The write is over: done bytes are written, all of them when err is 0.
	 * -ECANCELED after outfile_interrupt(). Not called once the scope is
	 * being cancelled.
	 */
	void (*written)(struct outfile *f, int err);
};

/* What outfile_open() opens. */
struct outfile_target {
	const char *path;
	const struct attachment_options *options; /* mode, owner, group */
	bool truncate;
	bool is_new;	   /* it must not exist */
	bool regular_only; /* no named pipe: for a file that is to be kept */
};

void outfile_init(struct outfile *f, struct loop *loop,
		  void (*written)(struct outfile *f, int err));

/*
 * Opens target into f, whose fd is -1. A named pipe needs no reader: what it
 * holds waits for one. -errno and one sentence that names the path on failure;
 * -EBUSY when another writer has locked the file.
 */
int outfile_open(struct outfile *f, const struct outfile_target *target, char *ret_why,
		 size_t why_cap);

/* Gives f, which is not writing, the file of other, which has none then. */
void outfile_take(struct outfile *f, struct outfile *other);

/* Closes the file; nothing may be in flight. */
void outfile_close(struct outfile *f);

/* Whether path still leads to this file. */
bool outfile_is_at(const struct outfile *f, const char *path);

/* Writes all of buf, which stays until written(). */
void outfile_write(struct outfile *f, const void *buf, size_t len);

static inline bool outfile_busy(const struct outfile *f)
{
	return op_armed(&f->wr);
}

/* Ends a wait for room: written() comes with -ECANCELED unless all could be written. */
void outfile_interrupt(struct outfile *f);

/*
 * For a hand-over, as a group: the file, into one that has none. What was being
 * written is the owner's to begin again, from buf + done on.
 */
void outfile_save(const struct outfile *f, struct handover_out *out, unsigned int tag);
void outfile_load(struct outfile *f, struct handover_in *in, unsigned int tag);

#endif
