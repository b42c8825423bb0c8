/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Devices, ports and attachments as they are written down: on the command
 * line, in the configuration file and on the control socket alike.
 *
 *	PORT = [NUMBER,]WORD,...   a WORD is console, name=..., overflow=..., history=...
 *	       or an ATTACHMENT, KIND[:ADDRESS], and the words after it that are its own
 *
 * as in "1,name=org.qemu.guest_agent.0,unix:/run/ga.sock,mode=0660". ",," is a
 * comma inside a value. "%i" is the device's index and "%%" a percent sign; a
 * TCP port may be a sum, as in "tcp:4000+%i".
 */
#ifndef VHU_DAEMON_SPEC_H
#define VHU_DAEMON_SPEC_H

#include "backends/attachment.h"
#include "list.h"

enum {
	SPEC_NUMBER_ANY = -1, /* of a port: the lowest free one */
};

/* What the words do not say. What is parsed points into nothing of this, nor of the text. */
struct spec_defaults {
	unsigned int device_idx; /* for "%i", and for a device without a name */
	uint64_t history;
	const char *escape;
};

struct attachment_spec {
	struct list_node link;
	struct attachment_options options; /* strings point into words */
	char *text;			   /* as written, its words included, "%i" replaced */
	char *words;
};

/* Words of port-options.def. */
struct port_words {
#define OPT(field, word, type, ...) OPTION_FIELD(field, type);
#include "daemon/port-options.def"
#undef OPT
};

struct port_spec {
	struct list_node link;
	int number; /* or SPEC_NUMBER_ANY */
	bool console;
	const char *name; /* "": none */
	enum port_overflow overflow;
	uint64_t history;
	struct list_node attachments; /* struct attachment_spec */
	char *text;		      /* as written, "%i" replaced */
	char *words;
};

/* Words of device-options.def. */
struct device_words {
#define OPT(field, word, type, ...) OPTION_FIELD(field, type);
#include "daemon/device-options.def"
#undef OPT
};

/* Words of iommu=, in order. */
enum { SPEC_IOMMU_OFF, SPEC_IOMMU_ON };

struct device_spec {
	struct list_node link;
	struct device_words options; /* name is set; max_ports and resize_order are resolved */
	unsigned int idx;	     /* its place among all devices: "%i" */
	bool rows_first;
	struct peer_rules allow; /* what allow-uid= and allow-gid= say */
	struct list_node ports;	 /* struct port_spec, all with numbers, ascending */
	char *words;
};

/*
 * Each returns 0 and an object that the caller owns, or -EINVAL (or -ENOMEM)
 * with one sentence in ret_why that quotes the word at fault and says what is
 * allowed. Names of ports: UTF-8, no slash, no control characters (VC-072).
 */
int attachment_spec_parse(const char *text, const struct spec_defaults *defaults,
			  struct attachment_spec **ret_spec, char *ret_why, size_t why_cap);
int port_spec_parse(const char *text, const struct spec_defaults *defaults,
		    struct port_spec **ret_spec, char *ret_why, size_t why_cap);

/* Only the device's own words; ports are added by the caller. */
int device_spec_parse(const char *text, const struct spec_defaults *defaults,
		      struct device_spec **ret_spec, char *ret_why, size_t why_cap);

/* The same without words: one of socket and fd, copied. Zero or -ENOMEM. */
int device_spec_new(unsigned int device_idx, const char *socket, const char *fd,
		    struct device_spec **ret_spec);

/* Whether text is the name of a port that a guest may be told. */
bool port_name_valid(const char *text);

/* NULL is allowed. A spec still linked in a list is taken out first. */
void attachment_spec_free(struct attachment_spec *spec);
void port_spec_free(struct port_spec *spec);
void device_spec_free(struct device_spec *spec);

#endif
