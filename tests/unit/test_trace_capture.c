/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Captures: what is written is read again, and what others have made or cut does no harm. */
#include "capture_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "trace/capture/capture-bytes.h"
#include "trace/capture/pcapng.h"

static char error[256];
static struct capture_about about;

static int read_bytes(uint8_t *bytes, size_t len, struct heard *h)
{
	FILE *in = len > 0 ? fmemopen(bytes, len, "r") : fopen("/dev/null", "r");
	int r;

	assert_non_null(in);
	heard_init(h);
	error[0] = '\0';
	r = capture_read(in, &h->sink, &about, error);
	fflush(h->out);
	fclose(in);
	return r;
}

/* The same as the samples. */
static void assert_heard_samples(const struct heard *h)
{
	struct heard expected;

	heard_init(&expected);
	for (unsigned int i = 0; i < N_SAMPLES; i++) {
		struct trace_record record = sample(i);

		put_record(expected.out, &record);
	}
	fflush(expected.out);
	assert_string_equal(h->text, expected.text);
	heard_free(&expected);
}

/* A file that is put together: numbers in this order. */

struct made {
	uint8_t bytes[FILE_MAX];
	size_t len;
	bool big_endian;
};

static void add16(struct made *m, uint16_t v)
{
	v = m->big_endian ? htobe16(v) : htole16(v);
	memcpy(m->bytes + m->len, &v, sizeof(v));
	m->len += sizeof(v);
}

static void add32(struct made *m, uint32_t v)
{
	v = m->big_endian ? htobe32(v) : htole32(v);
	memcpy(m->bytes + m->len, &v, sizeof(v));
	m->len += sizeof(v);
}

static void add_section(struct made *m)
{
	add32(m, PCAPNG_SECTION);
	add32(m, 28);
	add32(m, PCAPNG_BYTE_ORDER);
	add16(m, 1);
	add16(m, 0);
	add32(m, UINT32_MAX);
	add32(m, UINT32_MAX);
	add32(m, 28);
}

/* Without options, or with a resolution; 0 is none, too. */
static void add_interface(struct made *m, uint16_t link, uint8_t resolution)
{
	uint32_t len = resolution ? 28 : 20;

	add32(m, PCAPNG_INTERFACE);
	add32(m, len);
	add16(m, link);
	add16(m, 0);
	add32(m, 0);
	if (resolution) {
		add16(m, PCAPNG_INTERFACE_RESOLUTION);
		add16(m, 1);
		m->bytes[m->len] = resolution;
		m->len += 4;
	}
	add32(m, len);
}

/* A note in an envelope. */
static const uint8_t note_packet[] = {
	0, 12, 0, 12, 'v', 'h', 'o', 's', 't', '_', 'u', 's', 'e', 'r', 0, 0, 0,   0,	0, 0,
	1, 5,  0, 0,  1,   0,	0,   0,	  0,   0,   0,	 0,   0,   0,	0, 0, 'h', 'i', 0, 0,
};
enum { NOTE_LEN = sizeof(note_packet) - 2 };

static void add_packet(struct made *m, uint32_t interface, uint64_t time)
{
	const uint32_t len = 32 + sizeof(note_packet);

	add32(m, PCAPNG_PACKET);
	add32(m, len);
	add32(m, interface);
	add32(m, (uint32_t)(time >> 32));
	add32(m, (uint32_t)time);
	add32(m, NOTE_LEN);
	add32(m, NOTE_LEN);
	memcpy(m->bytes + m->len, note_packet, sizeof(note_packet));
	m->len += sizeof(note_packet);
	add32(m, len);
}

static void add_unknown(struct made *m, uint32_t type, uint32_t body_len)
{
	add32(m, type);
	add32(m, body_len + PCAPNG_FRAME);
	m->len += body_len;
	add32(m, body_len + PCAPNG_FRAME);
}

/* Tests: what we write. */

static void file_when_read_again_has_every_record(void **state)
{
	static uint8_t bytes[FILE_MAX];
	struct heard h;

	(void)state;
	assert_int_equal(read_bytes(bytes, good_file(bytes), &h), 0);
	assert_int_equal(about.n_foreign, 0);
	assert_heard_samples(&h);
	heard_free(&h);
}

static void comment_when_it_has_controls_is_one_clean_line(void **state)
{
	static uint8_t bytes[FILE_MAX];
	size_t len = good_file(bytes);
	static const char expected[] = "what a line says\xef\xbf\xbd";

	(void)state;
	assert_non_null(memmem(bytes, len, expected, sizeof(expected) - 1));
}

static void record_when_it_has_too_much_is_cut(void **state)
{
	static uint8_t bytes[TRACE_MAX_RAW + FILE_MAX];
	static uint8_t much[TRACE_MAX_RAW + 1];
	static char long_text[TRACE_MAX_TEXT + 7];
	struct trace_record big = { .kind = TRACE_RAW, .bytes = much, .len = sizeof(much) };
	struct trace_record note = { .kind = TRACE_NOTE, .text = long_text };
	int fd = memfd_create("capture", MFD_CLOEXEC);
	struct capture_writer *w = capture_writer_new(dup(fd), NULL);
	struct heard h;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	assert_non_null(w);
	capture_write(w, &big, NULL);
	capture_write(w, &note, long_text);
	assert_int_equal(capture_writer_finish(w), 0);
	assert_int_equal(read_bytes(bytes, (size_t)pread(fd, bytes, sizeof(bytes), 0), &h), 0);
	assert_int_equal(h.n_records, 2);
	assert_int_equal(about.n_foreign, 0);
	heard_free(&h);
	fd_close(fd);
}

static void packet_when_written_goes_out_as_one_piece(void **state)
{
	struct trace_record record = sample(2);
	int fds[2];
	struct capture_writer *w;
	uint8_t bytes[4096];
	uint32_t len;

	(void)state;
	/* Each write stays a packet of its own in such a pipe. */
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_DIRECT), 0);
	w = capture_writer_new(fds[1], NULL);
	assert_non_null(w);
	for (int i = 0; i < 3; i++)
		assert_true(read(fds[0], bytes, sizeof(bytes)) > 0);
	capture_write(w, &record, "comment");
	assert_true(read(fds[0], bytes, sizeof(bytes)) > 100);
	memcpy(&len, bytes + 4, sizeof(len));
	assert_int_equal(capture_writer_finish(w), 0);
	assert_int_equal(read(fds[0], bytes, sizeof(bytes)), 0);
	assert_true(le32toh(len) > 100);
	fd_close(fds[0]);
}

static void writer_when_the_disk_is_full_says_so(void **state)
{
	struct capture_writer *w;

	(void)state;
	w = capture_writer_new(open("/dev/full", O_WRONLY | O_CLOEXEC), NULL);
	assert_null(w);
	assert_int_equal(errno, ENOSPC);
}

static void writer_when_a_packet_cannot_be_written_keeps_the_error(void **state)
{
	struct trace_record record = sample(0);
	int fds[2];
	struct capture_writer *w;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	w = capture_writer_new(fds[1], NULL);
	assert_non_null(w);
	fd_close(fds[0]);
	capture_write(w, &record, NULL);
	capture_write(w, &record, NULL);
	assert_int_equal(capture_writer_finish(w), -EPIPE);
}

/* Tests: what others have made. */

static void file_when_cut_anywhere_gives_what_came_before(void **state)
{
	static uint8_t bytes[FILE_MAX];
	size_t len = good_file(bytes);
	unsigned int n_before = 0, n_ends = 0;

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		struct heard h;
		int r = read_bytes(bytes, cut, &h);

		assert_true(r == 0 || r == -ENODATA);
		assert_int_equal(r == -ENODATA, error[0] != '\0');
		assert_true(h.n_records >= n_before);
		n_before = h.n_records;
		n_ends += r == 0;
		heard_free(&h);
	}
	/* After the section, each of two interfaces, and each packet but the last. */
	assert_int_equal(n_ends, 3 + N_SAMPLES - 1);
	assert_int_equal(n_before, N_SAMPLES - 1);
}

static void file_when_a_byte_is_wrong_does_no_harm(void **state)
{
	static uint8_t bytes[FILE_MAX];
	size_t len = good_file(bytes);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		const uint8_t good = bytes[i];
		struct heard h;
		int r;

		bytes[i] = (uint8_t)~good;
		r = read_bytes(bytes, len, &h);
		assert_true(r == 0 || r == -ENODATA || r == -EINVAL);
		assert_true(h.n_records + about.n_foreign <= N_SAMPLES);
		heard_free(&h);
		bytes[i] = good;
	}
}

static void file_when_it_is_something_else_is_refused(void **state)
{
	uint8_t text[] = "This is no capture at all.";
	uint8_t half[] = "\n\r\r\n\x1c\0\0\0 and no byte order";
	struct heard h;

	(void)state;
	assert_int_equal(read_bytes(text, sizeof(text), &h), -EINVAL);
	assert_string_equal(error, "block at byte 0: this is no pcapng file");
	heard_free(&h);
	assert_int_equal(read_bytes(half, sizeof(half), &h), -EINVAL);
	assert_non_null(strstr(error, "byte order"));
	heard_free(&h);
}

/* A section in each byte order, microseconds by default, another resolution. */
static void file_when_byte_orders_differ_is_read(void **state)
{
	static struct made m;
	struct heard h;

	(void)state;
	m = (struct made){ .big_endian = true };
	add_section(&m);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, 0);
	add_packet(&m, 0, 1500);
	m.big_endian = false;
	add_section(&m);
	add_interface(&m, 1, 3);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, 3);
	add_packet(&m, 1, UINT64_C(1) << 33);
	assert_int_equal(read_bytes(m.bytes, m.len, &h), 0);
	assert_int_equal(h.n_records, 2);
	assert_non_null(strstr(h.text, "ns 1500000 session 1 "));
	assert_true(h.last_ns == (UINT64_C(1) << 33) * 1000000);
	assert_non_null(strstr(h.text, "text hi bytes"));
	heard_free(&h);
}

static void file_when_others_have_put_packets_passes_them_over(void **state)
{
	static struct made m;
	struct heard h;

	(void)state;
	m = (struct made){ 0 };
	add_section(&m);
	add_interface(&m, 1, 0);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, 9);
	add_unknown(&m, 0xbad, 40);
	add_packet(&m, 0, 1);
	add_unknown(&m, PCAPNG_SIMPLE_PACKET, 8);
	add_packet(&m, 1, 2);
	m.bytes[m.len - 4 - sizeof(note_packet) + 4] = 'V'; /* another dissector */
	add_packet(&m, 1, 3);
	assert_int_equal(read_bytes(m.bytes, m.len, &h), 0);
	assert_int_equal(about.n_foreign, 3);
	assert_int_equal(h.n_records, 1);
	assert_true(h.last_ns == 3);
	heard_free(&h);
}

/* What a file says of the device, in the description of its first interface. */
static const char *device_told(const char *device)
{
	static uint8_t bytes[FILE_MAX];
	int fd = memfd_create("capture", MFD_CLOEXEC);
	struct capture_writer *w = capture_writer_new(dup(fd), device);
	const struct trace_record record = sample(0);
	struct heard h;
	ssize_t n;

	assert_non_null(w);
	capture_write(w, &record, NULL);
	assert_int_equal(capture_writer_finish(w), 0);
	n = pread(fd, bytes, sizeof(bytes), 0);
	fd_close(fd);
	assert_true(n > 0);
	assert_int_equal(read_bytes(bytes, (size_t)n, &h), 0);
	assert_int_equal(h.n_records, 1);
	heard_free(&h);
	return about.device;
}

static void device_when_it_has_a_name_is_read_again(void **state)
{
	(void)state;
	assert_string_equal(device_told("console"), "console");
	assert_string_equal(device_told("abcdefghijklmnopqrstuvwxyz-01234"),
			    "abcdefghijklmnopqrstuvwxyz-01234");
	assert_string_equal(device_told(NULL), "");
	assert_string_equal(device_told(""), "");
	assert_string_equal(device_told("a\033[2J"), "");
	assert_string_equal(device_told("abcdefghijklmnopqrstuvwxyz-012345"), "");
}

/* A description of len bytes at interface 0, and what is made of it. */
static const char *device_in(const char *text, uint16_t link)
{
	static struct made m;
	uint16_t len = (uint16_t)strlen(text), room = (uint16_t)((len + 3) & ~3);
	struct heard h;

	m = (struct made){ 0 };
	add_section(&m);
	for (int i = 0; i < 2; i++) {
		add32(&m, PCAPNG_INTERFACE);
		add32(&m, 24U + room);
		add16(&m, link);
		add16(&m, 0);
		add32(&m, 0);
		add16(&m, PCAPNG_INTERFACE_DESCRIPTION);
		add16(&m, len);
		memcpy(m.bytes + m.len, text, len);
		m.bytes[m.len] = i == 0 ? m.bytes[m.len] : 'D';
		m.len += room;
		add32(&m, 24U + room);
	}
	assert_int_equal(read_bytes(m.bytes, m.len, &h), 0);
	heard_free(&h);
	return about.device;
}

static void device_when_it_is_no_name_is_not_told(void **state)
{
	(void)state;
	assert_string_equal(device_in("device console", PCAPNG_LINK_UPPER_PDU), "console");
	assert_string_equal(device_in("device console", 1), "");
	assert_string_equal(device_in("device ", PCAPNG_LINK_UPPER_PDU), "");
	assert_string_equal(device_in("device", PCAPNG_LINK_UPPER_PDU), "");
	assert_string_equal(device_in("device Console", PCAPNG_LINK_UPPER_PDU), "");
	assert_string_equal(device_in("Wi-Fi console", PCAPNG_LINK_UPPER_PDU), "");
	assert_string_equal(
		device_in("device abcdefghijklmnopqrstuvwxyz-012345", PCAPNG_LINK_UPPER_PDU), "");
}

static uint64_t time_with(uint8_t resolution, uint64_t time)
{
	static struct made m;
	struct heard h;
	uint64_t ns;

	m = (struct made){ 0 };
	add_section(&m);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, resolution);
	add_packet(&m, 0, time);
	assert_int_equal(read_bytes(m.bytes, m.len, &h), 0);
	assert_int_equal(h.n_records, 1);
	ns = h.last_ns;
	heard_free(&h);
	return ns;
}

static void time_when_resolutions_differ_is_in_nanoseconds(void **state)
{
	(void)state;
	assert_true(time_with(9, UINT64_MAX) == UINT64_MAX);
	assert_true(time_with(12, 5000) == 5);
	assert_true(time_with(1, 7) == 700000000);
	assert_true(time_with(0x80 | 10, 1536) == 1500000000);
	assert_true(time_with(3, UINT64_MAX) == UINT64_MAX);
	assert_true(time_with(0x7f, UINT64_MAX) == 0);
	assert_true(time_with(0xff, UINT64_MAX) == 0);
}

static void file_when_it_contradicts_itself_says_where(void **state)
{
	static struct made m;
	struct heard h;

	(void)state;
	m = (struct made){ 0 };
	add_section(&m);
	add_packet(&m, 0, 0);
	assert_int_equal(read_bytes(m.bytes, m.len, &h), -EINVAL);
	assert_string_equal(error, "block at byte 28: there is no interface 0");
	heard_free(&h);

	m = (struct made){ 0 };
	add_section(&m);
	add_interface(&m, 252, 0);
	m.bytes[m.len - 4] ^= 4;
	assert_int_equal(read_bytes(m.bytes, m.len, &h), -EINVAL);
	assert_string_equal(error, "block at byte 28: its length is 20 and then 16");
	heard_free(&h);
}

/* A packet whose envelope is wrong in one byte, or its neighbour right. */
static bool is_foreign_with(size_t at, uint8_t value)
{
	static struct made m;
	struct heard h;
	bool foreign;

	m = (struct made){ 0 };
	add_section(&m);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, 0);
	add_packet(&m, 0, 0);
	m.bytes[m.len - 4 - sizeof(note_packet) + 20 + at] = value;
	assert_int_equal(read_bytes(m.bytes, m.len, &h), 0);
	assert_int_equal(h.n_records + about.n_foreign, 1);
	foreign = about.n_foreign == 1;
	heard_free(&h);
	return foreign;
}

static void envelope_when_a_number_is_out_of_range_is_foreign(void **state)
{
	(void)state;
	assert_false(is_foreign_with(1, TRACE_OPEN));
	assert_true(is_foreign_with(0, CAPTURE_VERSION + 1));
	assert_true(is_foreign_with(1, TRACE_N_KINDS));
	assert_true(is_foreign_with(1, TRACE_MESSAGE));
	assert_true(is_foreign_with(1, TRACE_CHANNEL));
	assert_true(is_foreign_with(2, 2));
	assert_true(is_foreign_with(3, 2));
	assert_true(is_foreign_with(9, 4)); /* ring 1024 */
	assert_true(is_foreign_with(12, TRACE_N_CAUSES));
	assert_true(is_foreign_with(14, 1));
	assert_true(is_foreign_with(15, 255));
	assert_true(is_foreign_with(16, '\0'));
}

static void file_when_a_block_is_huge_is_read_past_it(void **state)
{
	static struct made m;
	FILE *in = tmpfile();
	struct heard h;

	(void)state;
	m = (struct made){ 0 };
	add_section(&m);
	add_interface(&m, PCAPNG_LINK_UPPER_PDU, 0);
	add32(&m, PCAPNG_PACKET);
	add32(&m, 64 << 20);
	assert_int_equal(fwrite(m.bytes, 1, m.len, in), m.len);
	assert_int_equal(fseek(in, (64 << 20) - 12, SEEK_CUR), 0);
	m.len = 0;
	add32(&m, 64 << 20);
	add_packet(&m, 0, 9);
	assert_int_equal(fwrite(m.bytes, 1, m.len, in), m.len);
	rewind(in);
	heard_init(&h);
	assert_int_equal(capture_read(in, &h.sink, &about, error), 0);
	assert_int_equal(h.n_records, 1);
	assert_int_equal(about.n_foreign, 1);
	heard_free(&h);
	fclose(in);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(file_when_read_again_has_every_record),
	UNIT_TEST(comment_when_it_has_controls_is_one_clean_line),
	UNIT_TEST(record_when_it_has_too_much_is_cut),
	UNIT_TEST(packet_when_written_goes_out_as_one_piece),
	UNIT_TEST(writer_when_the_disk_is_full_says_so),
	UNIT_TEST(writer_when_a_packet_cannot_be_written_keeps_the_error),
	UNIT_TEST(file_when_cut_anywhere_gives_what_came_before),
	UNIT_TEST(file_when_a_byte_is_wrong_does_no_harm),
	UNIT_TEST(file_when_it_is_something_else_is_refused),
	UNIT_TEST(file_when_byte_orders_differ_is_read),
	UNIT_TEST(file_when_others_have_put_packets_passes_them_over),
	UNIT_TEST(device_when_it_has_a_name_is_read_again),
	UNIT_TEST(device_when_it_is_no_name_is_not_told),
	UNIT_TEST(time_when_resolutions_differ_is_in_nanoseconds),
	UNIT_TEST(file_when_it_contradicts_itself_says_where),
	UNIT_TEST(envelope_when_a_number_is_out_of_range_is_foreign),
	UNIT_TEST(file_when_a_block_is_huge_is_read_past_it),
};

UNIT_MAIN(tests)
