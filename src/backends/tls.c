/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/tls-private.h"

enum {
	RECORD_HANDSHAKE = 22, /* first byte of what a peer of TLS says first */
	RECORD_ALERT = 21,
	TLS_ANSWERS_MAX = 2048, /* room for answers to the peer's own requests, at the least */
};

struct tls {
	gnutls_session_t session;
	struct tls_credentials *creds;
	gnutls_typed_vdata_st expected[2]; /* of the peer's certificate; GnuTLS looks at it later */
	bool begun;			   /* the first bytes of the peer were looked at */
	bool plain;			   /* and are no TLS */
	bool used_psk, unknown_identity;   /* what its pre-shared key was of */
	bool ended;			   /* close_notify was said */
	struct port_client_tls facts;
	char why[TLS_WHY_MAX];
	size_t raw_at, raw_len; /* ciphertext that came and is not used yet */
	size_t out_at, out_len; /* ciphertext to be sent */
	uint8_t raw[TLS_RAW_SIZE];
	uint8_t out[TLS_OUT_SIZE];
};

/*
 * Text of others amid our lines: what could be more than text becomes question
 * marks, and a full stop at the end goes.
 */
static void make_plain(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '.'))
		text[--len] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

PRINTF_LIKE(2, 3)
static int fail(struct tls *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, args);
	va_end(args);
	make_plain(t->why);
	return -EPROTO;
}

const char *tls_why(const struct tls *t)
{
	return t->why;
}

/* What GnuTLS reads from and writes to. */

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t cap)
{
	struct tls *t = ptr;
	const size_t n = min_size(cap, t->raw_len);

	if (n == 0) {
		gnutls_transport_set_errno(t->session, EAGAIN);
		return -1;
	}
	memcpy(buf, t->raw + t->raw_at, n);
	t->raw_at += n;
	t->raw_len -= n;
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	const struct tls *t = ptr;

	(void)ms;
	return t->raw_len > 0;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
	struct tls *t = ptr;
	size_t n;

	if (t->out_at > 0) {
		memmove(t->out, t->out + t->out_at, t->out_len);
		t->out_at = 0;
	}
	n = min_size(len, sizeof(t->out) - t->out_len);
	if (n == 0) {
		gnutls_transport_set_errno(t->session, EAGAIN);
		return -1;
	}
	memcpy(t->out + t->out_len, data, n);
	t->out_len += n;
	return (ssize_t)n;
}

int tls_give_key(gnutls_session_t session, const char *identity, gnutls_datum_t *ret_key)
{
	struct tls *t = gnutls_session_get_ptr(session);
	const struct tls_psk *psk = tls_psk_find(t->creds, identity);

	t->used_psk = true;
	t->unknown_identity = !psk;
	if (!psk)
		return 1; /* an unknown one fares as one with a wrong key */
	ret_key->data = gnutls_malloc(psk->key.size);
	if (!ret_key->data)
		return -1;
	memcpy(ret_key->data, psk->key.data, psk->key.size);
	ret_key->size = psk->key.size;
	return 0;
}

/* The session */

static void expect_certificate(struct tls *t)
{
	const struct tls_credentials *c = t->creds;
	static char server_use[] = GNUTLS_KP_TLS_WWW_SERVER,
		    client_use[] = GNUTLS_KP_TLS_WWW_CLIENT;
	char *use = c->client ? server_use : client_use;
	unsigned int n = 1;

	t->expected[0] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_KEY_PURPOSE_OID,
						  .data = (unsigned char *)use };
	if (c->name[0])
		t->expected[n++] =
			(gnutls_typed_vdata_st){ .type = GNUTLS_DT_DNS_HOSTNAME,
						 .data = (unsigned char *)(uintptr_t)c->name };
	gnutls_session_set_verify_cert2(t->session, t->expected, n, 0);
	if (c->client)
		return;
	gnutls_certificate_server_set_request(t->session, GNUTLS_CERT_REQUIRE);
}

/* A name is sent so that the server can choose its certificate; an address is none. */
static int send_name(struct tls *t)
{
	const char *name = t->creds->name;

	if (!name[0] || strchr(name, ':') || name[strspn(name, "0123456789.")] == '\0')
		return 0;
	return gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, name, strlen(name));
}

static int set_up(struct tls *t)
{
	const struct tls_credentials *c = t->creds;
	int err = gnutls_priority_set(t->session, c->priority);

	if (err == 0 && c->certs)
		err = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, c->certs);
	if (err == 0 && c->psk_server)
		err = gnutls_credentials_set(t->session, GNUTLS_CRD_PSK, c->psk_server);
	if (err == 0 && c->psk_client)
		err = gnutls_credentials_set(t->session, GNUTLS_CRD_PSK, c->psk_client);
	if (err == 0 && c->verifies)
		expect_certificate(t);
	if (err == 0)
		err = send_name(t);
	gnutls_session_set_ptr(t->session, t);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_push_function(t->session, push);
	gnutls_transport_set_pull_function(t->session, pull);
	gnutls_transport_set_pull_timeout_function(t->session, pull_timeout);
	gnutls_handshake_set_max_packet_length(t->session, TLS_FLIGHT_MAX);
	gnutls_handshake_set_timeout(t->session, GNUTLS_INDEFINITE_TIMEOUT);
	return err;
}

int tls_new(struct tls_credentials *creds, struct tls **ret_tls)
{
	/* Every session begins anew: there is nothing to be kept for the next one. */
	const unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL |
				   (creds->client ? GNUTLS_CLIENT : GNUTLS_SERVER);
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->creds = tls_credentials_keep(creds);
	if (gnutls_init(&t->session, flags) < 0 || set_up(t) < 0) {
		tls_free(t);
		return -ENOMEM;
	}
	*ret_tls = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	tls_credentials_drop(t->creds);
	free(t);
}

/* What went wrong, in words. */

static int fail_certificate(struct tls *t)
{
	const unsigned int status = gnutls_session_get_verify_cert_status(t->session);
	gnutls_datum_t text = { .size = 0 };

	if (gnutls_certificate_verification_status_print(
		    status, gnutls_certificate_type_get(t->session), &text, 0) < 0)
		return fail(t, "its certificate is not accepted");
	fail(t, "its certificate is not accepted: %s", (const char *)text.data);
	gnutls_free(text.data);
	return -EPROTO;
}

static int fail_for(struct tls *t, int err)
{
	const char *alert;

	switch (err) {
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
		return fail_certificate(t);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return fail(t, "it has shown no certificate, and tls-ca asks for one");
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
	case GNUTLS_E_WARNING_ALERT_RECEIVED:
		alert = gnutls_alert_get_name(gnutls_alert_get(t->session));
		return fail(t, "it has refused us: %s", alert ? alert : "an alert without a name");
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_COMMON_KEY_SHARE:
		return fail(t, "it offers nothing that we accept: no common cipher suite, or "
			       "another kind of proof (certificate, pre-shared key)");
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return fail(t, "it speaks no TLS 1.2 or 1.3");
	case GNUTLS_E_REHANDSHAKE:
		return fail(t, "it wants to negotiate anew, which is not done here");
	case GNUTLS_E_PREMATURE_TERMINATION:
		return fail(t, "it has closed the connection without saying so");
	default:
		break;
	}
	if (t->unknown_identity && !t->facts.version)
		return fail(t, "its pre-shared key is of an identity that is not in tls-psk");
	if (t->used_psk && !t->facts.version)
		return fail(t, "its pre-shared key is not the one of tls-psk: %s",
			    gnutls_strerror(err));
	return fail(t, "%s", gnutls_strerror(err));
}

/* The handshake */

/* Whoever does not speak TLS is told from one who does it wrong. */
static void look_at_first(struct tls *t)
{
	uint8_t first;

	if (t->begun || t->raw_len == 0)
		return;
	first = t->raw[t->raw_at];
	t->begun = true;
	t->plain = first != RECORD_HANDSHAKE && first != RECORD_ALERT;
}

/* "CN=alice,O=Example", as RFC 4514 has it. */
static void name_peer(struct tls *t)
{
	unsigned int n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(t->session, &n);
	gnutls_x509_crt_t crt;
	gnutls_datum_t dn;

	if (!t->creds->verifies || !chain || n == 0 || gnutls_x509_crt_init(&crt) < 0)
		return;
	if (gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
	    gnutls_x509_crt_get_dn3(crt, &dn, 0) == 0) {
		snprintf(t->facts.peer, sizeof(t->facts.peer), "%s", (const char *)dn.data);
		gnutls_free(dn.data);
	}
	gnutls_x509_crt_deinit(crt);
}

static void note_facts(struct tls *t)
{
	const char *identity = NULL;

	t->facts.version = gnutls_protocol_get_name(gnutls_protocol_get_version(t->session));
	t->facts.cipher = gnutls_cipher_get_name(gnutls_cipher_get(t->session));
	if (gnutls_auth_get_type(t->session) == GNUTLS_CRD_CERTIFICATE)
		name_peer(t);
	else if (t->creds->client)
		identity = t->creds->psks[0].identity;
	else
		identity = gnutls_psk_server_get_username(t->session);
	if (identity)
		snprintf(t->facts.peer, sizeof(t->facts.peer), "%s", identity);
	make_plain(t->facts.peer);
}

/*
 * What must be so after any handshake: the peer is one of those whom our words
 * admit, and by the means that they name.
 */
static int check_peer(struct tls *t)
{
	const gnutls_credentials_type_t by = gnutls_auth_get_type(t->session);
	unsigned int n = 0;

	if (by == GNUTLS_CRD_PSK && t->creds->n_psks > 0)
		return 0;
	if (by != GNUTLS_CRD_CERTIFICATE || !t->creds->certs)
		return fail(t, "it has not proved who it is as the words ask for");
	if (t->creds->verifies && (!gnutls_certificate_get_peers(t->session, &n) || n == 0))
		return fail_for(t, GNUTLS_E_NO_CERTIFICATE_FOUND);
	return 0;
}

/* An alert tells the peer, too. */
static int fail_with_alert(struct tls *t, int err)
{
	gnutls_alert_send_appropriate(t->session, err);
	return fail_for(t, err);
}

int tls_handshake(struct tls *t)
{
	size_t left;
	int err;

	look_at_first(t);
	if (t->plain)
		return fail(t, "what it says is not TLS");
	do {
		left = t->raw_len;
		err = gnutls_handshake(t->session);
	} while (err < 0 && !gnutls_error_is_fatal(err) && t->raw_len < left);
	if (err < 0 && !gnutls_error_is_fatal(err))
		return -EAGAIN;
	if (err < 0)
		return fail_with_alert(t, err);
	err = check_peer(t);
	if (err == 0)
		note_facts(t);
	return err;
}

const struct port_client_tls *tls_facts(const struct tls *t)
{
	return &t->facts;
}

/* Data */

size_t tls_space(struct tls *t, void **ret_buf)
{
	if (t->raw_len > 0)
		return 0;
	t->raw_at = 0;
	*ret_buf = t->raw;
	return sizeof(t->raw);
}

void tls_came(struct tls *t, size_t len)
{
	t->raw_len = len;
}

ssize_t tls_read(struct tls *t, void *buf, size_t cap)
{
	size_t left;
	ssize_t n;

	/* Answers to the peer's own requests wait until there is room for more. */
	if (t->out_len > TLS_OUT_SIZE - TLS_ANSWERS_MAX)
		return -EAGAIN;
	/* A record that holds no data of the peer's own is no end of what came. */
	do {
		left = t->raw_len;
		n = gnutls_record_recv(t->session, buf, cap);
	} while ((n == GNUTLS_E_AGAIN || n == GNUTLS_E_WARNING_ALERT_RECEIVED) &&
		 t->raw_len < left);
	if (n >= 0)
		return n;
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return -EAGAIN;
	return fail_with_alert(t, (int)n);
}

int tls_write(struct tls *t, const void *data, size_t len)
{
	ssize_t n = gnutls_record_send(t->session, data, len);

	/* All of a record goes, as there is room for it. */
	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? fail_for(t, (int)n) : fail(t, "a record was cut");
}

void tls_end(struct tls *t)
{
	if (!t->ended)
		t->ended = gnutls_bye(t->session, GNUTLS_SHUT_WR) != GNUTLS_E_AGAIN;
}

size_t tls_unsent(const struct tls *t)
{
	return t->out_len;
}

size_t tls_take(struct tls *t, void *buf, size_t cap)
{
	const size_t n = min_size(cap, t->out_len);

	memcpy(buf, t->out + t->out_at, n);
	t->out_at += n;
	t->out_len -= n;
	return n;
}
