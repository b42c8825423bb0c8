/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One guest of the daemon: its device, the ports of it, their attachments, and
 * the socket where its front-end connects. Ports and attachments come and go
 * while it runs.
 */
#ifndef VHU_DAEMON_GUEST_H
#define VHU_DAEMON_GUEST_H

#include "daemon/spec.h"
#include "daemon/trace.h"
#include "vhu/server.h"
#include "virtio/console.h"

enum {
	GUEST_WHO_MAX = 40,
	GUEST_WHY_MAX = 512,  /* room that a sentence about a failure may need */
	GUEST_FLUSH_MS = 500, /* for clients to take what is left when they are closed */
};

struct guest;

struct guest_attachment {
	struct list_node link; /* in guest_port.attachments */
	struct guest_port *port;
	unsigned int id;	      /* unique in its guest, from 1 */
	struct attachment_spec *spec; /* owned */
	struct attachment *attachment;
	bool closing;
	uint64_t close_by; /* when it is hurried, by monotonic_ns() */
};

struct guest_port {
	struct list_node link; /* in guest.ports, ascending, or in guest.leaving */
	struct guest *guest;
	unsigned int number;
	struct port_spec *spec; /* owned; its attachments have moved to ours */
	struct port port;
	char who[GUEST_WHO_MAX]; /* "console0/p1" */
	struct list_node attachments;
	struct list_node wanted; /* struct attachment_spec, for guest_apply_rest() */
	bool leaving;		 /* not the device's; goes when its attachments are closed */
};

struct guest_env {
	struct loop *loop;
	unsigned int loop_idx; /* for people */
	unsigned int max_queue_size;
	const char *journal;	     /* folder of what is to survive, or NULL */
	struct daemon_trace *trace;  /* NULL: messages are not written down */
	void (*quit)(void *arg);     /* the user of a terminal has asked to leave */
	void (*finished)(void *arg); /* served from a connected descriptor, which is gone */
	void (*settled)(void *arg);  /* guest_settled() has become true */
	void *arg;
};

struct guest {
	struct list_node link;
	const struct guest_env *env;
	struct device_spec *spec;      /* owned; its ports have moved to ours */
	struct spec_defaults defaults; /* for what is added at run time */
	struct console console;
	struct vhu_server server;
	struct daemon_ear ear;
	bool serving;
	struct list_node ports, leaving;
	struct list_node wanted; /* struct port_spec, for guest_apply_rest() */
	unsigned int last_attachment_id;
	unsigned int n_closing; /* attachments */
	struct scope scope;
	struct timer flush;
	void (*disconnected)(struct guest *g);
	void (*closed)(struct guest *g);
	struct task told; /* for whoever sets those two */
};

/*
 * Opens everything that spec (taken, also on failure) says. fd: the socket to
 * serve instead of spec's path, or -1; taken. -errno with a sentence on
 * failure; what was opened until then is *ret_guest, to be ended like any
 * other guest, unless that is NULL.
 */
int guest_new(const struct guest_env *env, struct device_spec *spec,
	      const struct spec_defaults *defaults, int fd, struct guest **ret_guest, char *ret_why,
	      size_t why_cap);

/*
 * The end, in two steps: the front-end first; then clients get what they have
 * still to read, for GUEST_FLUSH_MS at most. disconnected() is called at once
 * when there is nobody to disconnect, closed() always later; the caller then
 * frees the guest by guest_free(). for_good: journals of its ports go, too;
 * otherwise they wait for the next process.
 */
void guest_disconnect(struct guest *g, void (*disconnected)(struct guest *g));
void guest_close(struct guest *g, bool for_good, void (*closed)(struct guest *g));
void guest_free(struct guest *g);

/* By number, or by name if none has that number; NULL when there is none. */
struct guest_port *guest_find_port(struct guest *g, const char *number_or_name);

/*
 * spec is taken, also on failure. -EEXIST: number or name is in use; -ERANGE:
 * the number is not below max_ports, or none is free. A sentence says which.
 * A port all of whose attachments opened is added; otherwise nothing changes.
 */
int guest_add_port(struct guest *g, struct port_spec *spec, struct guest_port **ret_port,
		   char *ret_why, size_t why_cap);

/* The guest loses it now; its attachments get what is left and are closed. */
void guest_remove_port(struct guest_port *p);

/* The guest loses the port and gets it back under the new name; clients stay. */
int guest_rename_port(struct guest_port *p, const char *name, char *ret_why, size_t why_cap);

/* spec is taken, also on failure. */
int guest_attach(struct guest_port *p, struct attachment_spec *spec,
		 struct guest_attachment **ret_attachment, char *ret_why, size_t why_cap);
void guest_detach(struct guest_attachment *a);
struct guest_attachment *guest_find_attachment(struct guest_port *p, unsigned int id);

/*
 * Makes ports and attachments what spec says, in two steps, since a new one may
 * want the address that an old one has: the first closes what is no longer
 * said, the second, when guest_settled() is true, opens what is new. What is
 * written the same stays as it is, with its clients; so does a port under a
 * new name. Each thing that cannot be opened is logged and left out. spec is
 * lent and emptied of its ports.
 */
void guest_apply(struct guest *g, struct device_spec *spec, const struct spec_defaults *defaults);
void guest_apply_rest(struct guest *g);

/* Nothing of it is closing. */
bool guest_settled(const struct guest *g);

/* Whether an attachment of that kind is there, or one that reopens its file. */
bool guest_has_kind(const struct guest *g, enum attachment_kind kind);
bool guest_has_files(const struct guest *g);

/* How many ports there are. */
unsigned int guest_n_ports(const struct guest *g);

/* "port 1 org.example.0 (hold): Unix /run/x, pty /dev/pts/3" */
void guest_describe_port(const struct guest_port *p, char *buf, size_t cap);

/* For every attachment: terminal_changed(), reopen(). */
void guest_terminal_changed(struct guest *g);
void guest_reopen_logs(struct guest *g);

/* Another program is about to go on in our place, or will not after all: attachment_ops' part(). */
void guest_part(struct guest *g, bool parting);

/* For a hand-over, as a group, with everything of it (guest-handover.c). */
void guest_save(const struct guest *g, struct handover_out *out, unsigned int tag);

/*
 * Makes it again; defaults as for guest_new(), but for device_idx. What is wrong
 * is the reader's to say: the process is to end then, as nothing is undone.
 */
void guest_load(const struct guest_env *env, const struct spec_defaults *defaults,
		struct handover_in *in, unsigned int tag, struct guest **ret_guest);

#endif
