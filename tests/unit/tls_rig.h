/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Certificates made for the run, and a peer that speaks TLS by GnuTLS itself:
 * client or server, over a socket that does not block, while the rig's loop turns.
 */
#ifndef VHU_TESTS_TLS_RIG_H
#define VHU_TESTS_TLS_RIG_H

#include "socket_rig.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

enum {
	DAY = 24 * 3600,
	PEM_MAX = 8192,
	PATH_LEN = 64,
};

#define PSK_IDENTITY "alice"
#define PSK_HEX "00112233445566778899aabbccddeeff"

/* A key and a certificate, and the files that they are in. */
struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	char crt_path[PATH_LEN], key_path[PATH_LEN];
};

static struct pki {
	char dir[PATH_LEN];
	struct identity ca, server, client, other_ca, stranger, expired;
	char psk_path[PATH_LEN], wrong_psk_path[PATH_LEN], other_psk_path[PATH_LEN];
} pki;

static inline void put_file(char *path, const char *name, const char *text, size_t len)
{
	FILE *f;

	snprintf(path, PATH_LEN, "%.40s/%.20s", pki.dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static inline void put_identity(struct identity *id, const char *name)
{
	char pem[PEM_MAX], file[24];
	size_t len = sizeof(pem);

	snprintf(file, sizeof(file), "%.16s.crt", name);
	assert_int_equal(gnutls_x509_crt_export(id->crt, GNUTLS_X509_FMT_PEM, pem, &len), 0);
	put_file(id->crt_path, file, pem, len);
	len = sizeof(pem);
	snprintf(file, sizeof(file), "%.16s.key", name);
	assert_int_equal(gnutls_x509_privkey_export(id->key, GNUTLS_X509_FMT_PEM, pem, &len), 0);
	put_file(id->key_path, file, pem, len);
}

/* Valid for a day from `from` on, issued by ca, or by itself when that is NULL. */
static inline void make_identity(struct identity *id, const char *name, time_t from,
				 const struct identity *ca)
{
	static unsigned char serial;
	const unsigned char localhost[] = { 127, 0, 0, 1 };
	const struct identity *issuer = ca ? ca : id;

	serial++;
	assert_int_equal(gnutls_x509_privkey_init(&id->key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(id->key, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&id->crt), 0);
	gnutls_x509_crt_set_version(id->crt, 3);
	gnutls_x509_crt_set_serial(id->crt, &serial, 1);
	gnutls_x509_crt_set_key(id->crt, id->key);
	gnutls_x509_crt_set_activation_time(id->crt, from);
	gnutls_x509_crt_set_expiration_time(id->crt, from + DAY);
	gnutls_x509_crt_set_dn_by_oid(id->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned int)strlen(name));
	gnutls_x509_crt_set_basic_constraints(id->crt, !ca, -1);
	if (ca)
		gnutls_x509_crt_set_subject_alt_name(id->crt, GNUTLS_SAN_IPADDRESS, localhost,
						     sizeof(localhost), GNUTLS_FSAN_APPEND);
	if (ca)
		gnutls_x509_crt_set_subject_alt_name(id->crt, GNUTLS_SAN_DNSNAME, name,
						     (unsigned int)strlen(name),
						     GNUTLS_FSAN_APPEND);
	assert_int_equal(
		gnutls_x509_crt_sign2(id->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), 0);
	put_identity(id, name);
}

static inline int pki_begin(void **state)
{
	const time_t now = time(NULL);

	(void)state;
	snprintf(pki.dir, sizeof(pki.dir), "/tmp/vhu-tls.XXXXXX");
	assert_non_null(mkdtemp(pki.dir));
	make_identity(&pki.ca, "ca", now - 60, NULL);
	make_identity(&pki.other_ca, "other-ca", now - 60, NULL);
	make_identity(&pki.server, "server.test", now - 60, &pki.ca);
	make_identity(&pki.client, "client.test", now - 60, &pki.ca);
	make_identity(&pki.stranger, "stranger.test", now - 60, &pki.other_ca);
	make_identity(&pki.expired, "expired.test", now - 2 * DAY, &pki.ca);
	put_file(pki.psk_path, "psk", PSK_IDENTITY ":" PSK_HEX "\n",
		 strlen(PSK_IDENTITY ":" PSK_HEX "\n"));
	put_file(pki.wrong_psk_path, "wrong-psk", PSK_IDENTITY ":ff112233445566778899aabbccddeeff",
		 strlen(PSK_IDENTITY) + 33);
	put_file(pki.other_psk_path, "other-psk", "bob:" PSK_HEX, strlen("bob:" PSK_HEX));
	return 0;
}

static inline void drop_identity(struct identity *id)
{
	gnutls_x509_crt_deinit(id->crt);
	gnutls_x509_privkey_deinit(id->key);
	unlink(id->crt_path);
	unlink(id->key_path);
}

static inline int pki_end(void **state)
{
	struct identity *all[] = { &pki.ca,	&pki.other_ca, &pki.server,
				   &pki.client, &pki.stranger, &pki.expired };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		drop_identity(all[i]);
	unlink(pki.psk_path);
	unlink(pki.wrong_psk_path);
	unlink(pki.other_psk_path);
	return rmdir(pki.dir);
}

#define TLS_MAIN(tests)                                                                            \
	int main(void)                                                                             \
	{                                                                                          \
		unit_start_alarm();                                                                \
		return cmocka_run_group_tests(tests, pki_begin, pki_end);                          \
	}

/* What the attachment that is opened next says about TLS. */
static inline void ask_tls(const struct identity *ours, const struct identity *ca, const char *psk)
{
	rig.options.tls = true;
	rig.options.tls_timeout = 20000;
	rig.options.tls_cert = ours ? ours->crt_path : NULL;
	rig.options.tls_key = ours ? ours->key_path : NULL;
	rig.options.tls_ca = ca ? ca->crt_path : NULL;
	rig.options.tls_psk = psk;
}

/* The peer */

#define ANY_TLS "NORMAL"
#define TLS_1_2 "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2"
#define TLS_1_3 "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3"
#define TLS_1_1 "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.1"
#define PSK_1_2 TLS_1_2 ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"
#define PSK_1_3 TLS_1_3 ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

struct tls_peer {
	int fd;
	gnutls_session_t session;
	gnutls_certificate_credentials_t certs;
	gnutls_psk_client_credentials_t psk;
	gnutls_psk_server_credentials_t psk_server;
	int err; /* of the handshake, 0 when it is over */
};

/* flags: GNUTLS_CLIENT or GNUTLS_SERVER. ours and the pre-shared key's hex may be NULL. */
static inline void peer_begin(struct tls_peer *p, int fd, unsigned int flags, const char *priority,
			      const struct identity *ours)
{
	*p = (struct tls_peer){ .fd = fd, .err = GNUTLS_E_AGAIN };
	assert_int_equal(gnutls_init(&p->session, flags | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(p->session, priority, NULL), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&p->certs), 0);
	if (ours)
		assert_int_equal(gnutls_certificate_set_x509_key_file(p->certs, ours->crt_path,
								      ours->key_path,
								      GNUTLS_X509_FMT_PEM),
				 0);
	/* A client of these tests shows what it has to anybody who asks. */
	if (ours && (flags & GNUTLS_CLIENT))
		gnutls_certificate_set_flags(p->certs, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, p->certs);
	gnutls_transport_set_int(p->session, fd);
}

static inline void peer_offer_psk(struct tls_peer *p, const char *identity, const char *hex)
{
	const gnutls_datum_t key = { (unsigned char *)(uintptr_t)hex, (unsigned int)strlen(hex) };

	assert_int_equal(gnutls_psk_allocate_client_credentials(&p->psk), 0);
	assert_int_equal(
		gnutls_psk_set_client_credentials(p->psk, identity, &key, GNUTLS_PSK_KEY_HEX), 0);
	gnutls_credentials_set(p->session, GNUTLS_CRD_PSK, p->psk);
}

/* One step; true when it is over, well or badly. */
static inline bool peer_shakes(struct tls_peer *p)
{
	if (p->err == GNUTLS_E_AGAIN)
		p->err = gnutls_handshake(p->session);
	if (p->err < 0 && !gnutls_error_is_fatal(p->err))
		p->err = GNUTLS_E_AGAIN;
	return p->err != GNUTLS_E_AGAIN;
}

static inline void peer_handshake(struct tls_peer *p)
{
	PUMP_UNTIL(peer_shakes(p));
	if (p->err < 0)
		gnutls_alert_send_appropriate(p->session, p->err);
}

static inline void peer_end(struct tls_peer *p)
{
	gnutls_deinit(p->session);
	gnutls_certificate_free_credentials(p->certs);
	if (p->psk)
		gnutls_psk_free_client_credentials(p->psk);
	if (p->psk_server)
		gnutls_psk_free_server_credentials(p->psk_server);
	close(p->fd);
}

/* Sends all, in records of at most piece. */
static inline void peer_send(struct tls_peer *p, const void *data, size_t len, size_t piece)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	for (size_t done = 0; done < len;) {
		ssize_t n = gnutls_record_send(p->session, (const char *)data + done,
					       min_size(piece, len - done));

		if (n < 0)
			assert_int_equal(n, GNUTLS_E_AGAIN);
		done += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
	}
}

/* Bytes, 0 at the end, or GnuTLS's error once it is another than "later". */
static inline ssize_t peer_receive(struct tls_peer *p, void *buf, size_t cap)
{
	ssize_t n;

	PUMP_UNTIL((n = gnutls_record_recv(p->session, buf, cap)) != GNUTLS_E_AGAIN);
	return n;
}

static inline void peer_read_all(struct tls_peer *p, void *buf, size_t len, size_t piece)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = peer_receive(p, (char *)buf + done, min_size(piece, len - done));

		assert_true(n > 0);
		done += (size_t)n;
	}
}

#endif
