/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Files that TLS is made of: what is wrong with them, and when they change. */
#include "tls_rig.h"

#include "backends/tls.h"

static char why[512];

/* What is said of an attachment with these files; it is not opened. */
static void refuses(const char *expected)
{
	struct tls_credentials *creds;

	why[0] = '\0';
	assert_true(tls_credentials_read(&rig.options, &creds, why, sizeof(why)) < 0);
	if (!strstr(why, expected))
		fail_msg("\"%s\" is not in \"%s\"", expected, why);
}

static void reads(void)
{
	struct tls_credentials *creds;

	if (tls_credentials_read(&rig.options, &creds, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	tls_credentials_drop(creds);
}

static void ask(enum attachment_kind kind, const struct identity *ours, const struct identity *ca,
		const char *psk)
{
	memset(&rig.options, 0, sizeof(rig.options));
	ask_tls(ours, ca, psk);
	rig.options.kind = kind;
	rig.options.address = "127.0.0.1:1";
}

static void key_that_others_may_read_is_refused(void **state)
{
	(void)state;
	ask(ATTACHMENT_tcp_server, &pki.server, NULL, NULL);
	chmod(pki.server.key_path, 0604);
	refuses("holds a secret, and its mode 604 lets others use it: chmod 600 is expected");
	chmod(pki.server.key_path, 0660);
	refuses("mode 660");
	chmod(pki.server.key_path, 0600);
	chmod(pki.server.crt_path, 0644);
	reads();
	ask(ATTACHMENT_tcp_server, NULL, NULL, pki.psk_path);
	chmod(pki.psk_path, 0644);
	refuses("holds a secret");
	chmod(pki.psk_path, 0600);
	reads();
}

static void file_that_is_none_is_refused(void **state)
{
	static char path[PATH_LEN + 8], fifo[PATH_LEN + 8];

	(void)state;
	ask(ATTACHMENT_tcp_server, &pki.server, NULL, NULL);
	snprintf(path, sizeof(path), "%s/none", pki.dir);
	rig.options.tls_cert = path;
	refuses("none: No such file or directory");
	rig.options.tls_cert = pki.dir;
	refuses("is not a regular file");
	snprintf(fifo, sizeof(fifo), "%s/fifo", pki.dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	rig.options.tls_cert = fifo;
	refuses("is not a regular file");
	unlink(fifo);
}

static void file_that_is_too_large_is_refused(void **state)
{
	static char path[PATH_LEN];

	(void)state;
	ask(ATTACHMENT_tcp_server, &pki.server, NULL, NULL);
	put_file(path, "large", "x", 1);
	assert_int_equal(truncate(path, TLS_FILE_MAX + 1), 0);
	rig.options.tls_ca = path;
	refuses("has more than 1048576 bytes");
	unlink(path);
}

static void key_of_another_certificate_is_refused(void **state)
{
	(void)state;
	ask(ATTACHMENT_tcp_server, &pki.server, NULL, NULL);
	rig.options.tls_key = pki.client.key_path;
	refuses("cannot be used: ");
	rig.options.tls_key = pki.psk_path;
	refuses("cannot be used: ");
}

static void authority_without_a_certificate_is_refused(void **state)
{
	static char path[PATH_LEN];

	(void)state;
	ask(ATTACHMENT_tcp_server, &pki.server, &pki.ca, NULL);
	put_file(path, "empty", "", 0);
	rig.options.tls_ca = path;
	refuses("tls-ca");
	put_file(path, "empty", "nothing of the kind\n", 20);
	refuses("tls-ca");
	unlink(path);
}

static void keys_that_are_no_lines_of_psktool_are_refused(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "has no line IDENTITY:KEY" },
		{ "# nobody\n\n", "has no line IDENTITY:KEY" },
		{ "alice\n", "line 1: expected is IDENTITY:KEY" },
		{ "a:" PSK_HEX "\nbob:\n", "line 2: expected is" },
		{ "alice:0011\n", "line 1: expected is" },
		{ ":" PSK_HEX "\n", "line 1: expected is" },
		{ "alice:" PSK_HEX "0\n", "line 1: expected is" },
		{ "alice:g0112233445566778899aabbccddeeff\n", "line 1: expected is" },
	};
	static char path[PATH_LEN];

	(void)state;
	ask(ATTACHMENT_tcp_server, NULL, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_file(path, "keys", rows[i].text, strlen(rows[i].text));
		rig.options.tls_psk = path;
		refuses(rows[i].expected);
		assert_null(strstr(why, "0011"));
	}
	put_file(path, "keys", "a\0b:" PSK_HEX, 4 + strlen(PSK_HEX));
	refuses("has a zero byte");
	put_file(path, "keys", "# two\r\na:" PSK_HEX "\r\n\r\nb:" PSK_HEX,
		 strlen("# two\r\na:" PSK_HEX "\r\n\r\nb:" PSK_HEX));
	reads();
	unlink(path);
}

static void one_who_connects_trusts_what_the_system_does(void **state)
{
	(void)state;
	ask(ATTACHMENT_tcp_connect, NULL, NULL, NULL);
	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) == 0)
		reads();
	else
		refuses("this system trusts no certificates by itself: add tls-ca=FILE");
}

static void nothing_is_opened_when_a_file_is_wrong(void **state)
{
	static char path[PATH_LEN + 8];

	(void)state;
	rig_begin();
	ask_tls(&pki.server, NULL, NULL);
	rig.options.tls_key = "/nonexistent";
	snprintf(path, sizeof(path), "%s/socket", pki.dir);
	assert_true(rig_open(ATTACHMENT_unix_server, path) < 0);
	assert_non_null(strstr(rig.why, "/nonexistent"));
	assert_int_equal(access(path, F_OK), -1);
	rig.attachment = NULL;
	rig_end();
}

/* The certificate that a newcomer is shown. */
static void is_shown(const struct identity *id)
{
	const gnutls_datum_t *chain;
	gnutls_datum_t der;
	unsigned int n = 0;
	struct tls_peer p;

	peer_begin(&p, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	chain = gnutls_certificate_get_peers(p.session, &n);
	assert_int_equal(n, 1);
	assert_int_equal(gnutls_x509_crt_export2(id->crt, GNUTLS_X509_FMT_DER, &der), 0);
	assert_int_equal(chain[0].size, der.size);
	assert_memory_equal(chain[0].data, der.data, der.size);
	gnutls_free(der.data);
	gnutls_bye(p.session, GNUTLS_SHUT_WR);
	peer_end(&p);
}

static void files_are_read_again_for_whoever_comes_next(void **state)
{
	char crt[PATH_LEN], key[PATH_LEN], got[8];
	struct tls_peer first;

	(void)state;
	rig_begin_lossless();
	ask_tls(&pki.server, NULL, NULL);
	snprintf(crt, sizeof(crt), "%.40s/new.crt", pki.dir);
	snprintf(key, sizeof(key), "%.40s/new.key", pki.dir);
	assert_int_equal(link(pki.server.crt_path, crt), 0);
	assert_int_equal(link(pki.server.key_path, key), 0);
	rig.options.tls_cert = crt;
	rig.options.tls_key = key;
	serve_tcp(ATTACHMENT_tcp_server);
	peer_begin(&first, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	peer_handshake(&first);
	PUMP_UNTIL(rig.port.n_clients == 1);

	unlink(crt);
	assert_int_equal(link(pki.client.crt_path, crt), 0);
	rig.attachment->ops->reopen(rig.attachment);
	is_shown(&pki.server); /* the key is another's: all goes on as before */
	unlink(key);
	assert_int_equal(link(pki.client.key_path, key), 0);
	rig.attachment->ops->reopen(rig.attachment);
	is_shown(&pki.client);
	peer_send(&first, "here", 4, 4);
	rig_expect_input("here");
	rig_output("there", 5);
	peer_read_all(&first, got, 5, sizeof(got));
	assert_memory_equal(got, "there", 5);
	rig_close();
	rig_end();
	peer_end(&first);
	unlink(crt);
	unlink(key);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(key_that_others_may_read_is_refused),
	UNIT_TEST(file_that_is_none_is_refused),
	UNIT_TEST(file_that_is_too_large_is_refused),
	UNIT_TEST(key_of_another_certificate_is_refused),
	UNIT_TEST(authority_without_a_certificate_is_refused),
	UNIT_TEST(keys_that_are_no_lines_of_psktool_are_refused),
	UNIT_TEST(one_who_connects_trusts_what_the_system_does),
	UNIT_TEST(nothing_is_opened_when_a_file_is_wrong),
	UNIT_TEST(files_are_read_again_for_whoever_comes_next),
};

TLS_MAIN(tests)
