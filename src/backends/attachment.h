/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An attachment: one place where a port's bytes go to and come from outside.
 * It owns descriptors and operations and knows nothing of queues. Its kinds
 * are the rows of attachments.def; a port has any number of them.
 */
#ifndef VHU_BACKENDS_ATTACHMENT_H
#define VHU_BACKENDS_ATTACHMENT_H

#include "backends/port.h"
#include "handover.h"
#include "log.h"
#include "loop.h"
#include "options.h"

struct attachment;

enum attachment_kind {
#define ATTACHMENT(ident, ...) ATTACHMENT_##ident,
#include "backends/attachments.def"
#undef ATTACHMENT
	ATTACHMENT_N_KINDS,
};

/* One field per row of attachment-options.def, and what stands before them. */
struct attachment_options {
	enum attachment_kind kind;
	const char *address; /* NULL: none was given */
#define OPT(field, word, type, ...) OPTION_FIELD(field, type);
#include "backends/attachment-options.def"
#undef OPT
};

/* What an attachment is made from. All pointers are lent for as long as it lives. */
struct attachment_args {
	struct loop *loop;
	struct port *port;
	const struct attachment_options *options;
	const char *who;	 /* prefix of log lines, as "console0/p1" */
	void (*quit)(void *arg); /* terminal: the user has asked to leave */
	void *quit_arg;
	/*
	 * NULL, or where it is in a hand-over: it goes on instead of being opened. Of
	 * this call only. What is wrong there is the reader's to say.
	 */
	struct handover_in *from;
};

struct attachment_ops {
	/*
	 * Makes the attachment and lets its clients join. On failure returns
	 * -errno with one sentence in ret_why that names the address.
	 */
	int (*open)(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap);

	/*
	 * Where it is and how it does, in a few words: "TCP 127.0.0.1:4000",
	 * "TCP host:4000, connected", "Unix /run/x, next try in 4000 ms".
	 */
	void (*describe)(const struct attachment *a, char *buf, size_t cap);

	/*
	 * Stops input, writes what output is left, then lets go of everything
	 * and calls attachment_end() last: later than this call. hurry() ends
	 * the writing at once; it may come before close().
	 */
	void (*close)(struct attachment *a);
	void (*hurry)(struct attachment *a);

	/* The terminal's size or modes may have changed (SIGWINCH, SIGCONT). May be NULL. */
	void (*terminal_changed)(struct attachment *a);

	/* Writes down, into the open group, what open() makes it from in another process. */
	void (*save)(const struct attachment *a, struct handover_out *out);

	/* Opens its file anew: it may have been moved away (SIGHUP). May be NULL. */
	void (*reopen)(struct attachment *a);
};

/* The first member of every attachment; open() fills ops and copies args. */
struct attachment {
	const struct attachment_ops *ops;
	struct attachment_args args;
	struct log_limit limit; /* of lines that its peers can cause */
	bool replays;		/* counted in its port's n_replayers */
	/* Set by the owner before close(). */
	void (*closed)(void *arg);
	void *closed_arg;
};

#define ATTACHMENT(ident, ...) extern const struct attachment_ops attachment_##ident;
#include "backends/attachments.def"
#undef ATTACHMENT

/* Rows of attachments.def. */
enum attachment_address {
	ATTACHMENT_ADDRESS_NONE,
	ATTACHMENT_ADDRESS_MAYBE,
	ATTACHMENT_ADDRESS_NEEDED
};

struct attachment_row {
	const char *name;
	enum attachment_address address;
	const char *metavar; /* of the address, or NULL */
	const char *help;
	const struct attachment_ops *ops;
};

extern const struct attachment_row attachment_rows[ATTACHMENT_N_KINDS];

/* Opens an attachment of options->kind. Errors as open(). */
int attachment_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap);

/* The attachment as a group of a hand-over, and back: args->from is set. */
void attachment_save(const struct attachment *a, struct handover_out *out, unsigned int tag);
int attachment_load(const struct attachment_args *args, unsigned int tag,
		    struct attachment **ret_attachment, char *ret_why, size_t why_cap);

/* Frees the attachment, which is the start of its memory, and tells the owner: closed(). */
void attachment_end(struct attachment *a);

/* How a client of this attachment takes part in its port; what is lent. */
struct port_client_options attachment_client_options(const struct attachment *a, const char *what);

/*
 * The number of a user or a group, given as a name or as a number: 0, or -errno with one
 * sentence. After attachment_end_lookups(), names are known only if they were looked up before.
 */
int attachment_find_id(bool group, const char *name, unsigned int *ret_id, char *ret_why,
		       size_t why_cap);
void attachment_end_lookups(void);
void attachment_save_lookups(struct handover_out *out, unsigned int tag);
void attachment_load_lookups(struct handover_in *in, unsigned int tag);

/* Gives the file at path (of fd, unless negative) the mode, owner and group of the options. */
int attachment_set_owner(const struct attachment_options *o, const char *path, int fd,
			 char *ret_why, size_t why_cap);

/*
 * A listening Unix socket at path ("@NAME": in the abstract namespace) with the
 * mode, owner and group of the options before anyone can connect. Returns the
 * fd, or -errno with one sentence.
 */
int attachment_unix_socket(const struct attachment_options *o, const char *path, char *ret_why,
			   size_t why_cap);

/* Logs an event of a peer's at a limited rate; "(N more ...)" tells what was left out. */
PRINTF_LIKE(3, 4)
void attachment_log(struct attachment *a, enum log_level level, const char *fmt, ...);

#endif
