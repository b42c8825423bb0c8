/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attached descriptors of every kind, made here as if they had been inherited. */
#include "socket_rig.h"

#include <pty.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <termios.h>

#include "systemd.h"

/* What systemd has passed, in its place: see systemd.h. */
static struct {
	int fd;
	const char *name;
} passed = { .fd = -1 };

unsigned int systemd_n_sockets(void)
{
	return passed.fd >= 0;
}

int systemd_socket_fd(unsigned int idx)
{
	assert_int_equal(idx, 0);
	return passed.fd;
}

const char *systemd_socket_name(unsigned int idx)
{
	assert_int_equal(idx, 0);
	return passed.name;
}

void systemd_send(const char *text, int fd)
{
	(void)text;
	(void)fd;
}

int systemd_find_fd(const char *text, unsigned int nth)
{
	char *end;
	long n = strtol(text, &end, 10);

	assert_int_equal(nth, 0);
	if (end != text && *end == '\0')
		return (int)n;
	return passed.fd >= 0 && strcmp(text, passed.name) == 0 ? passed.fd : -1;
}

/* Inherited ones have no close-on-exec. */
static void inherit(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
}

/* Under a number that no other test has used; fd is taken. */
static void pass(int fd, const char *name, int number)
{
	passed.fd = fcntl(fd, F_DUPFD_CLOEXEC, number);
	passed.name = name;
	assert_int_equal(passed.fd, number);
	close(fd);
}

static int open_number(int fd)
{
	static char text[32];

	snprintf(text, sizeof(text), "%d", fd);
	inherit(fd);
	return rig_open(ATTACHMENT_descriptor, text);
}

static bool described(const char *words)
{
	char text[160];

	rig_describe(text, sizeof(text));
	return strstr(text, words) != NULL;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void end(void)
{
	rig_close();
	rig_end();
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

static void socket_moves_bytes_both_ways_and_is_closed_at_the_end(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int fds[2];

	(void)state;
	make_pair(fds);
	rig_begin();
	assert_int_equal(open_number(fds[0]), 0);
	assert_int_equal(rig.port.n_clients, 1);
	rig_fill(bytes, sizeof(bytes));
	send_all(fds[1], bytes, sizeof(bytes));
	take_exactly(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_read_all(fds[1], got, sizeof(got), 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	end();
	assert_true(at_end(fds[1]));
	assert_false(is_open(fds[0]));
	close(fds[1]);
}

static void socket_whose_peer_is_gone_closes_the_host_side(void **state)
{
	int fds[2];

	(void)state;
	make_pair(fds);
	rig_begin();
	assert_int_equal(open_number(fds[0]), 0);
	assert_false(described("closed"));
	close(fds[1]);
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_int_equal(rig.n_open, 2);
	PUMP_UNTIL(described("closed"));
	end();
}

static void descriptor_is_attached_once_only(void **state)
{
	struct attachment *more;
	char text[32];
	int fds[2];

	(void)state;
	make_pair(fds);
	rig_begin();
	assert_int_equal(open_number(fds[0]), 0);
	snprintf(text, sizeof(text), "%d", fds[0]);
	assert_int_equal(rig_open_more(ATTACHMENT_descriptor, text, &more), -EBUSY);
	assert_non_null(strstr(rig.why, text));
	assert_non_null(strstr(rig.why, "already"));
	end();
	close(fds[1]);
}

/* Our own descriptors are close-on-exec; nobody may attach one of them. */
static void descriptor_that_was_not_inherited_is_refused(void **state)
{
	struct attachment *more;
	char text[32];
	int fds[2];

	(void)state;
	make_pair(fds);
	rig_begin();
	snprintf(text, sizeof(text), "%d", fds[0]);
	assert_int_equal(rig_open_more(ATTACHMENT_descriptor, text, &more), -EBADF);
	assert_non_null(strstr(rig.why, text));
	assert_true(is_open(fds[0]));
	rig_end();
	close(fds[0]);
	close(fds[1]);
}

static void descriptors_that_cannot_serve_are_refused_and_kept(void **state)
{
	int fds[7], pipe_both;
	char name[64];

	(void)state;
	rig_begin();
	fds[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0); /* neither listens nor is connected */
	fds[2] = epoll_create1(0);
	fds[3] = open("/", O_RDONLY | O_DIRECTORY);
	fds[4] = open("/dev/null", O_PATH);
	snprintf(name, sizeof(name), "/tmp/vhu-test-fifo-%d", getpid());
	assert_int_equal(mkfifo(name, 0600), 0);
	pipe_both = open(name, O_RDWR);
	unlink(name);
	fds[5] = pipe_both;
	fds[6] = posix_openpt(O_RDWR | O_NOCTTY); /* opened anew, it would be another one */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(open_number(fds[i]) < 0);
		snprintf(name, sizeof(name), "descriptor %d ", fds[i]);
		assert_non_null(strstr(rig.why, name));
		assert_true(is_open(fds[i]));
		close(fds[i]);
	}
	rig.attachment = NULL;
	rig_end();
}

static void words_that_name_no_descriptor_are_refused(void **state)
{
	static const char *const bad[] = { "no-such-name", "900", "99999", "-1",   "1000/1001",
					   "1/",	   "/1",  "x/1",   "1/2/3" };
	struct attachment *more;

	(void)state;
	rig_begin();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rig_open_more(ATTACHMENT_descriptor, bad[i], &more), -EBADF);
		assert_true(strlen(rig.why) > 0);
	}
	rig_end();
}

/* Pipes */

static void pair_of_pipes_is_one_client(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int in[2], out[2];
	char text[32];

	(void)state;
	assert_int_equal(pipe2(in, O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_NONBLOCK), 0);
	fcntl(in[0], F_SETFL, 0); /* as a shell makes them */
	fcntl(out[1], F_SETFL, 0);
	rig_begin();
	snprintf(text, sizeof(text), "%d/%d", in[0], out[1]);
	assert_int_equal(rig_open(ATTACHMENT_descriptor, text), 0);
	assert_int_equal(rig.port.n_clients, 1);
	assert_true(described(text));
	rig_fill(bytes, sizeof(bytes));
	send_all(in[1], bytes, sizeof(bytes));
	take_exactly(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_read_all(out[0], got, sizeof(got), 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	close(in[1]); /* the end of input is not the end */
	PUMP_UNTIL(!rig.port.writer);
	rig_output("more", 4);
	rig_expect_output(out[0], "more");
	end();
	assert_true(at_end(out[0]));
	close(out[0]);
}

static void reading_end_of_a_pipe_gives_input_to_its_end(void **state)
{
	static uint8_t bytes[N_BYTES];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	rig_begin();
	rig_output("nobody reads this", 17);
	assert_int_equal(open_number(fds[0]), 0);
	rig_fill(bytes, sizeof(bytes));
	send_all(fds[1], bytes, sizeof(bytes));
	close(fds[1]);
	take_exactly(bytes, sizeof(bytes));
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* Nothing reads the guest's output there, so a guest must not wait for it. */
static void reading_end_of_a_pipe_never_holds_the_guest(void **state)
{
	static uint8_t bytes[FLOOD_PIECE];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	rig_begin_lossless();
	assert_int_equal(open_number(fds[0]), 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(rig_offer(bytes, sizeof(bytes)), sizeof(bytes));
	end();
	close(fds[1]);
}

/* VC-062, VC-067: it holds the guest while it is full, and no longer than it is read. */
static void writing_end_of_a_pipe_takes_output_until_nobody_reads(void **state)
{
	enum { TOTAL = 512 * 1024 };
	static uint8_t bytes[TOTAL], got[TOTAL];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t n_sent = 0, n_got = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	rig_begin_lossless();
	assert_int_equal(open_number(fds[1]), 0);
	assert_null(rig.port.writer);
	rig_fill(bytes, sizeof(bytes));
	while (n_got < TOTAL) {
		n_sent += rig_offer(bytes + n_sent, min_size(5000, TOTAL - n_sent));
		if (rig.port.counters.n_stalls > 0) {
			ssize_t n = read(fds[0], got + n_got, 3000);

			n_got += n > 0 ? (size_t)n : 0;
		}
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, TOTAL);
	close(fds[0]);
	rig_output("x", 1);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

static void close_of_a_full_pipe_waits_for_hurry(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	rig_begin();
	assert_int_equal(open_number(fds[1]), 0);
	flood_until_stuck();
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fds[0]);
}

/* Files */

static int temp_file(int flags)
{
	char name[] = "/tmp/vhu-test-XXXXXX", link[32];
	int fd = mkstemp(name), again;

	assert_true(fd >= 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	again = open(link, flags);
	assert_true(again >= 0);
	assert_int_equal(write(fd, "before ", 7), 7);
	close(fd);
	unlink(name);
	return again;
}

static void file_open_for_reading_is_input_to_its_end(void **state)
{
	(void)state;
	rig_begin();
	assert_int_equal(open_number(temp_file(O_RDONLY)), 0);
	rig_expect_input("before ");
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

static void file_open_for_writing_gets_output_at_its_end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		int fd = temp_file(i == 0 ? O_WRONLY : O_RDWR);
		char got[32] = "", link[32];
		int reader;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		reader = open(link, O_RDONLY | O_CLOEXEC);
		rig_begin();
		assert_int_equal(open_number(fd), 0);
		assert_null(rig.port.writer);
		rig_output("after", 5);
		end();
		assert_int_equal(read(reader, got, sizeof(got)), 12);
		assert_string_equal(got, "before after");
		close(reader);
	}
}

static void file_that_cannot_grow_is_given_up(void **state)
{
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	rig_begin_lossless();
	assert_int_equal(open_number(fd), 0);
	rig_output("x", 1);
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_true(port_output_room(&rig.port) == UINT64_MAX);
	end();
}

/* Listening sockets */

static int listen_somewhere(void)
{
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return fd;
}

static void listening_socket_serves_clients_and_can_be_attached_again(void **state)
{
	int listener = listen_somewhere(), first, second;
	struct attachment *more;
	char text[32];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		rig_begin();
		assert_int_equal(open_number(listener), 0);
		snprintf(text, sizeof(text), "%d", listener);
		assert_int_equal(rig_open_more(ATTACHMENT_descriptor, text, &more), -EBUSY);
		first = join();
		second = join();
		assert_true(described(", 2 clients"));
		assert_true(described("127.0.0.1:"));
		rig_output("both", 4);
		rig_expect_output(first, "both");
		rig_expect_output(second, "both");
		end();
		assert_true(at_end(first));
		assert_true(is_open(listener));
		close(first);
		close(second);
	}
	close(listener);
}

static void socket_passed_by_systemd_is_found_by_its_name(void **state)
{
	int fd;

	(void)state;
	pass(listen_somewhere(), "guest0", 500);
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_descriptor, "guest0"), 0);
	fd = join();
	send_all(fd, "typed", 5);
	rig_expect_input("typed");
	end();
	close(fd);
	close(passed.fd);
	passed.fd = -1;
}

/* The number of one that was closed may be anything of ours by now. */
static void passed_socket_that_is_closed_is_not_attached_again(void **state)
{
	struct attachment *more;
	int fds[2], again;

	(void)state;
	make_pair(fds);
	pass(fds[0], "peer", 501);
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_descriptor, "peer"), 0);
	close(fds[1]);
	PUMP_UNTIL(described("closed"));
	again = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 501);
	assert_int_equal(again, 501);
	assert_int_equal(rig_open_more(ATTACHMENT_descriptor, "peer", &more), -EBADF);
	end();
	close(again);
	passed.fd = -1;
}

/* Terminals */

static void terminal_is_raw_while_it_is_attached(void **state)
{
	struct winsize size = { .ws_col = 100, .ws_row = 30 };
	static uint8_t bytes[256], got[256];
	struct termios before, modes;
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, O_NONBLOCK);
	assert_int_equal(tcgetattr(slave, &before), 0);
	rig_begin();
	assert_int_equal(open_number(slave), 0);
	assert_int_equal(rig.port.cols, 100);
	assert_int_equal(rig.port.rows, 30);
	assert_int_equal(tcgetattr(master, &modes), 0);
	assert_int_equal(modes.c_lflag & (ICANON | ECHO | ISIG), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	send_all(master, bytes, sizeof(bytes));
	take_exactly(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_read_all(master, got, sizeof(got), 100);
	assert_memory_equal(got, bytes, sizeof(got));
	size.ws_col = 132;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	rig.attachment->ops->terminal_changed(rig.attachment);
	assert_int_equal(rig.port.cols, 132);
	end();
	assert_int_equal(tcgetattr(master, &modes), 0);
	assert_int_equal(modes.c_lflag, before.c_lflag);
	close(master);
}

static void terminal_that_hangs_up_closes_the_host_side(void **state)
{
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	rig_begin();
	assert_int_equal(open_number(slave), 0);
	close(master);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* A log line must not go to whatever is opened next. */
static void number_of_a_standard_stream_stays_in_use(void **state)
{
	int fds[2], kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);

	(void)state;
	make_pair(fds);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	rig_begin();
	assert_int_equal(open_number(STDIN_FILENO), 0);
	rig_output("x", 1);
	rig_expect_output(fds[1], "x");
	end();
	assert_true(at_end(fds[1]));
	assert_true(is_open(STDIN_FILENO));
	assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
	close(kept);
	close(fds[1]);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(socket_moves_bytes_both_ways_and_is_closed_at_the_end),
	UNIT_TEST(socket_whose_peer_is_gone_closes_the_host_side),
	UNIT_TEST(descriptor_is_attached_once_only),
	UNIT_TEST(descriptor_that_was_not_inherited_is_refused),
	UNIT_TEST(descriptors_that_cannot_serve_are_refused_and_kept),
	UNIT_TEST(words_that_name_no_descriptor_are_refused),
	UNIT_TEST(pair_of_pipes_is_one_client),
	UNIT_TEST(reading_end_of_a_pipe_gives_input_to_its_end),
	UNIT_TEST(reading_end_of_a_pipe_never_holds_the_guest),
	UNIT_TEST(writing_end_of_a_pipe_takes_output_until_nobody_reads),
	UNIT_TEST(close_of_a_full_pipe_waits_for_hurry),
	UNIT_TEST(file_open_for_reading_is_input_to_its_end),
	UNIT_TEST(file_open_for_writing_gets_output_at_its_end),
	UNIT_TEST(file_that_cannot_grow_is_given_up),
	UNIT_TEST(listening_socket_serves_clients_and_can_be_attached_again),
	UNIT_TEST(socket_passed_by_systemd_is_found_by_its_name),
	UNIT_TEST(passed_socket_that_is_closed_is_not_attached_again),
	UNIT_TEST(terminal_is_raw_while_it_is_attached),
	UNIT_TEST(terminal_that_hangs_up_closes_the_host_side),
	UNIT_TEST(number_of_a_standard_stream_stays_in_use),
};
UNIT_MAIN(tests)
