/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of a log share. */
#ifndef VHU_BACKENDS_LOG_FILE_PRIVATE_H
#define VHU_BACKENDS_LOG_FILE_PRIVATE_H

#include "backends/log-files.h"
#include "backends/log-text.h"

enum {
	RAW_SIZE = 16 * 1024,
	TEXT_SIZE = 64 * 1024,
	EVENTS_MAX = 64 * 1024, /* bytes of lines of our own that wait for the disk */
	PATH_SHOWN_MAX = 100,
};

enum log_record { RECORD_OUTPUT, RECORD_INPUT, RECORD_BOTH }; /* as the option's words */

/* Something that happened when the port had output up to pos: a line of its own. */
struct event {
	struct list_node link;
	uint64_t pos, ms;
	bool typed;
	size_t len;
	char text[];
};

struct log_file {
	struct attachment base;
	struct port_client client;
	bool joined;
	bool present; /* as the last delimiter says */
	enum log_record record;
	struct log_files files;
	struct log_text format;
	struct task more;

	uint8_t raw[RAW_SIZE]; /* output to be formatted */
	size_t raw_at, raw_len;
	uint64_t raw_pos;    /* of raw[raw_at] */
	bool reading, again; /* port_read() may come back to us, for a guest that was waiting */

	char text[TEXT_SIZE]; /* to be written */
	size_t text_at, text_len;
	size_t marker_len;    /* bytes at its start that tell of a loss */
	uint64_t n_marked;    /* the loss that they tell of */
	bool inside_before;   /* whether the file's last line was unfinished before text */
	uint64_t n_lost;      /* bytes that were not written, and not told of in the file */
	uint64_t n_lost_seen; /* client.n_lost, as far as counted there */

	struct list_node events;
	size_t events_len;
	char typed[LOG_TEXT_TYPED_MAX];
	size_t n_typed;
	uint64_t typed_ms; /* when its first byte came */
	bool typed_cr;	   /* the last byte was a carriage return: a line feed is part of it */

	bool wants_reopen, closing, hurried, gone;
	bool told_at_end; /* a loss, or that was tried */
};

/* Zero or -ENOMEM. */
int log_file_add_event(struct log_file *l, uint64_t pos, uint64_t ms, bool typed, const void *text,
		       size_t len);

const struct port_client_ops *log_file_client_ops(const struct log_file *l);

/* For a hand-over, into the open group; into a log that has no file. */
void log_file_save(const struct attachment *a, struct handover_out *out);
void log_file_load(struct log_file *l, struct handover_in *in);

#endif
