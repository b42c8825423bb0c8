/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the parts of a guest (guest*.c) know of each other. */
#ifndef VHU_DAEMON_GUEST_PRIVATE_H
#define VHU_DAEMON_GUEST_PRIVATE_H

#include "daemon/guest.h"

/* Something has closed: tells whoever waits when it was the last. */
void guest_part_closed(struct guest *g);

/* Ends the closing attachments whose time is over, and waits for the next. */
void guest_hurry(struct guest *g);

/* Frees what guest_apply() wanted and nobody has opened. */
void guest_forget_wanted(struct guest *g);

/* Port 0, a console, with one attachment and without a name: all that it can ever have. */
bool guest_is_plain(const struct guest *g);

struct guest_port *guest_find_number(const struct guest *g, unsigned int number);

/* NULL also when name is empty. */
struct guest_port *guest_find_name(const struct guest *g, const char *name);

/* As guest_rename_port(), for a name that is known to be good and nobody else's. */
void guest_change_name(struct guest_port *p, const char *name);

/*
 * Opens the journals that the device, and a port before anything is attached to
 * it, are to have; 0 when there are none. -errno with one sentence. The last is
 * for a port that goes for good: its file does, too.
 */
int guest_open_journal(struct guest *g, char *ret_why, size_t why_cap);
int guest_open_port_journal(struct guest_port *p, char *ret_why, size_t why_cap);
void guest_remove_port_journal(struct guest_port *p);

/* Whether the journal that the device has is the one of --journal. */
bool guest_journal_is_there(const struct guest *g);

/* The port goes with the process: its journal stays for the next one. */
void guest_close_port(struct guest_port *p);

/* "Unix /run/x, pty /dev/pts/3" */
void guest_describe_attachments(const struct guest_port *p, char *buf, size_t cap);

/* An empty guest; spec is taken on success. Zero or -ENOMEM. */
int guest_make(const struct guest_env *env, struct device_spec *spec,
	       const struct spec_defaults *defaults, struct guest **ret_guest);

/* What its server is started with. */
struct vhu_backend_options guest_server_options(struct guest *g);
void guest_server_finished(struct vhu_server *s);

/* A port that nothing is attached to, and that is not the device's yet. spec is taken. */
int guest_make_port(struct guest *g, struct port_spec *spec, struct guest_port **ret_port);

/* Into the list of ports, which is sorted. */
void guest_insert_port(struct guest *g, struct guest_port *p);

/* guest_attach(); from: NULL, or the hand-over where it is a group of this tag. */
int guest_attach_from(struct guest_port *p, struct attachment_spec *spec, struct handover_in *from,
		      unsigned int tag, struct guest_attachment **ret_attachment, char *ret_why,
		      size_t why_cap);

#endif
