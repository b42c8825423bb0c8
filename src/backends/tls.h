/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * TLS 1.2 and 1.3 on one connection, without the connection: ciphertext that
 * came is put in, ciphertext to be sent is taken out, and nothing here reads,
 * writes or waits. GnuTLS is named in the .c files of tls alone; in a build
 * without it tls_available() is false and nothing else is called.
 */
#ifndef VHU_BACKENDS_TLS_H
#define VHU_BACKENDS_TLS_H

#include <sys/types.h>

#include "backends/attachment.h"

struct tls;
struct tls_credentials;

enum {
	TLS_RECORD_MAX = 16 * 1024, /* plaintext of one record */
	/* Ciphertext of one record, and some to answer the peer's own requests with. */
	TLS_OUT_SIZE = TLS_RECORD_MAX + 4 * 1024,
	TLS_RAW_SIZE = 16 * 1024,
	TLS_FLIGHT_MAX = 32 * 1024, /* of a peer's handshake message; longer ones are refused */
	TLS_FILE_MAX = 1024 * 1024, /* of certificates, keys and the like */
	TLS_WHY_MAX = 200,
};

bool tls_available(void);

/* Whether the words ask for TLS: "tls" or any word that makes sense with it alone. */
bool tls_wanted(const struct attachment_options *o);

/* Whether we are the one that connects. */
bool tls_is_client(const struct attachment_options *o);

/* Whether whoever connects to such a server has to prove who it is. */
bool tls_knows_peers(const struct attachment_options *o);

/* What goes together. Zero, or -EINVAL with a sentence that says what to add or leave out. */
int tls_check(const struct attachment_options *o, char *ret_why, size_t why_cap);

/*
 * Reads all files that the words name: the one place where that is done. A file
 * with a secret must be its owner's alone. The credentials belong to the caller,
 * who shares them: sessions keep them as long as they need. -errno with a sentence.
 */
int tls_credentials_read(const struct attachment_options *o, struct tls_credentials **ret_creds,
			 char *ret_why, size_t why_cap);
struct tls_credentials *tls_credentials_keep(struct tls_credentials *creds);
void tls_credentials_drop(struct tls_credentials *creds); /* NULL is allowed */

/* A session that has not begun. Zero or -ENOMEM. */
int tls_new(struct tls_credentials *creds, struct tls **ret_tls);
void tls_free(struct tls *t); /* NULL is allowed */

/*
 * Goes on with the handshake: 0 when it is over, -EAGAIN when more has to come
 * or go out, -EPROTO when it has failed: see tls_why(); there may be an alert to
 * be sent then.
 */
int tls_handshake(struct tls *t);

/* One sentence about what went wrong; one line, lent. */
const char *tls_why(const struct tls *t);

/* Where ciphertext may be put: room is 0 while tls_read() has not used up the last. */
size_t tls_space(struct tls *t, void **ret_buf);
void tls_came(struct tls *t, size_t len);

/*
 * What came, in plain: bytes; 0 at the peer's own end (close_notify); -EAGAIN when
 * more has to come; -EPROTO when the session is broken: see tls_why().
 */
ssize_t tls_read(struct tls *t, void *buf, size_t cap);

/* Encrypts len bytes, up to TLS_RECORD_MAX, while nothing is unsent. Zero or -EPROTO. */
int tls_write(struct tls *t, const void *data, size_t len);

/* Says that nothing more will come (close_notify), the first time. */
void tls_end(struct tls *t);

/* Ciphertext to be sent: how much, and as much of it as there is room for. */
size_t tls_unsent(const struct tls *t);
size_t tls_take(struct tls *t, void *buf, size_t cap);

/* After the handshake; lives as long as the session. */
const struct port_client_tls *tls_facts(const struct tls *t);

#endif
