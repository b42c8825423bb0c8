/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front-end goes: after every message of a session that uses all that there
 * is, and in the middle of every message.
 * Nothing is left, the next session works, and no byte of a port that holds is
 * lost or doubled: VU-232 to VU-238, VC-062, VC-089
 */
#include "quiesce_messages.h"

#include "vhu/codec.h"

/* A session that sends every kind of message, with traffic wherever rings run. */

static bool in_traffic;

/* In-band kicks are messages, too; they are not counted here. */
static int without_limit(void (*traffic)(void))
{
	struct vhu_frontend *fe = &rig->fe;
	unsigned int max_sent = fe->max_sent, left = max_sent - fe->n_sent;

	fe->max_sent = 0;
	in_traffic = true;
	traffic();
	in_traffic = false;
	if (max_sent == 0)
		return 0;
	fe->max_sent = fe->n_sent + left;
	return left > 0 ? 0 : -ECANCELED;
}

static void finish_streams(void)
{
	q_finish(Q_SLOT_LEN);
}

static int pass_traffic(void)
{
	return without_limit(finish_streams);
}

static int ask_device(void)
{
	struct vhu_frontend *fe = &rig->fe;
	uint8_t bytes[12] = { 0 };
	uint64_t value;
	int err = vhu_frontend_get_u64(fe, VHU_FE_GET_MAX_MEM_SLOTS, &value);

	if (err == 0)
		err = vhu_frontend_get_config(fe, 0, sizeof(bytes), 0, bytes);
	if (err == 0)
		err = vhu_frontend_set_config(fe, 8, (const uint8_t[]){ 0, 0, 0, 0 }, 4, 0, true);
	return err == 0 ? vhu_frontend_get_u64(fe, VHU_FE_GET_STATUS, &value) : err;
}

/* A table of two regions, and the third. */
static int send_memory(void)
{
	int err;

	rig->fe.n_regions = Q_N_REGIONS - 1;
	err = vhu_frontend_set_mem_table(&rig->fe, 0, true);
	rig->fe.n_regions = Q_N_REGIONS;
	return err == 0 ? vhu_frontend_add_region(&rig->fe, Q_N_REGIONS - 1, true) : err;
}

static int start_driver(void)
{
	int err = q_start_rings();

	return err == 0 ? without_limit(q_greet) : err;
}

static int kick_in_band(void)
{
	return q_inband() ? vhu_frontend_kick(&rig->fe, Q_TX) : 0;
}

static int same_table(void)
{
	return vhu_frontend_set_mem_table(&rig->fe, 0, true);
}

static int plug_memory(void)
{
	int err = vhu_frontend_remove_region(&rig->fe, 2, false, true);

	return err == 0 ? vhu_frontend_add_region(&rig->fe, 2, true) : err;
}

static int stop_and_start(void)
{
	static const unsigned int idxs[] = { Q_TX, Q_RX };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(idxs) && err == 0; i++) {
		err = vhu_frontend_vring_base(&rig->fe, idxs[i], &rig->fe.rings[idxs[i]].base);
		if (err == 0)
			err = q_start_ring(idxs[i], !q_inband());
	}
	return err;
}

static int disable_and_enable(void)
{
	int err = 0;

	for (uint32_t on = 0; on < 2 && err == 0; on++)
		err = vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, Q_TX, on, true);
	return err;
}

static int disown(void)
{
	return vhu_frontend_simple(&rig->fe, VHU_FE_RESET_OWNER, true);
}

static int suspend(void)
{
	int err = vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_STATUS, 0, true);

	for (unsigned int i = 0; i < Q_N_RINGS && err == 0; i++)
		err = vhu_frontend_vring_base(&rig->fe, i, &rig->fe.rings[i].base);
	return err == 0 ? q_start_rings() : err;
}

static int reset_device(void)
{
	return vhu_frontend_simple(&rig->fe, VHU_FE_RESET_DEVICE, true);
}

static int (*const steps[])(void) = {
	ask_device,	send_memory,  start_driver,	  pass_traffic, kick_in_band,
	pass_traffic,	same_table,   pass_traffic,	  plug_memory,	pass_traffic,
	stop_and_start, pass_traffic, disable_and_enable, pass_traffic, disown,
	pass_traffic,	suspend,      pass_traffic,	  reset_device,
};

/* What was sent in a session that went to its end. */
struct sent {
	uint32_t id;
	uint8_t *bytes;
	size_t len;
	int fds[FDSET_MAX];
	size_t n_fds;
};

enum { SENT_MAX = 256 };

static struct sent record[SENT_MAX];
static unsigned int n_recorded;

static void hear(void *arg, bool channel, const void *bytes, size_t len, const int *fds,
		 size_t n_fds)
{
	struct sent *s = &record[n_recorded];

	(void)arg;
	if (channel || in_traffic)
		return;
	assert_true(n_recorded < SENT_MAX && n_fds <= FDSET_MAX);
	*s = (struct sent){ .bytes = malloc(len), .len = len, .n_fds = n_fds };
	assert_non_null(s->bytes);
	memcpy(s->bytes, bytes, len);
	memcpy(&s->id, bytes, sizeof(s->id));
	for (size_t i = 0; i < n_fds; i++)
		s->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
	n_recorded++;
}

static void forget_record(void)
{
	for (unsigned int i = 0; i < n_recorded; i++) {
		free(record[i].bytes);
		for (size_t k = 0; k < record[i].n_fds; k++)
			fd_close(record[i].fds[k]);
	}
	n_recorded = 0;
}

static bool was_sent(uint32_t id)
{
	for (unsigned int i = 0; i < n_recorded; i++)
		if (record[i].id == id)
			return true;
	return false;
}

/* Until max_sent messages are sent (-ECANCELED) or all is done (0). */
static int run_session(uint64_t protocol, unsigned int max_sent, const struct vhu_frontend_ear *ear)
{
	int err;

	q_make_guest(protocol, q_features);
	rig_connect(rig);
	rig->fe.max_sent = max_sent;
	rig->fe.ear = ear;
	err = q_negotiate(protocol, q_features);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && err == 0; i++)
		err = steps[i]();
	return err;
}

/* How much of a message goes out before the end. */
enum piece { PIECE_NOTHING, PIECE_HEADER, PIECE_HALF, PIECE_WHOLE, N_PIECES };

static const char *const piece_names[N_PIECES] = {
	"before",
	"after the header of",
	"in the middle of",
	"without waiting for the answer of",
};

static void send_piece(const struct sent *s, enum piece piece)
{
	size_t len = 0;
	int fds[FDSET_MAX];

	if (piece == PIECE_HEADER)
		len = VHU_HDR_LEN;
	else if (piece == PIECE_HALF)
		len = VHU_HDR_LEN + (s->len - VHU_HDR_LEN) / 2;
	else if (piece == PIECE_WHOLE)
		len = s->len;
	/* Memory is this guest's: another one's has other rings at the same addresses. */
	for (size_t i = 0; i < s->n_fds; i++)
		fds[i] = s->id == VHU_FE_SET_MEM_TABLE || s->id == VHU_FE_ADD_MEM_REG
				 ? rig->fe.mem_fd
				 : s->fds[i];
	if (len > 0)
		q_ok(vhu_frontend_send_raw(&rig->fe, s->bytes, len, fds, s->n_fds));
}

/* Up to message k, which is not sent, or only a piece of it. */
static void end_at(uint64_t protocol, unsigned int k, enum piece piece)
{
	snprintf(q_label, sizeof(q_label), "end %s message %u, %s", piece_names[piece], k + 1,
		 vhu_msg_name(VHU_FE, record[k].id));
	if (k > 0) {
		q_check(run_session(protocol, k, NULL) == -ECANCELED);
	} else {
		q_make_guest(protocol, q_features);
		rig_connect(rig);
	}
	send_piece(&record[k], piece);
	rig_disconnect(rig);
}

static void record_session(uint64_t protocol)
{
	const struct vhu_frontend_ear ear = { .sent = hear };

	snprintf(q_label, sizeof(q_label), "a whole session");
	q_ok(run_session(protocol, 0, &ear));
	rig_disconnect(rig);
	q_end_guest();
}

/* A message of the row with nothing but zeroes in it, whole or in part: refused, or carried out. */
static void send_zeroes(const struct vhu_desc *desc, enum piece piece)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD] = { 0 };
	uint32_t size = (uint32_t)desc->request->min_len;
	uint32_t head[3] = { desc->id, VHU_VERSION | VHU_FLAG_NEED_REPLY, size };
	struct sent s = { .bytes = bytes, .len = VHU_HDR_LEN + size, .fds = { rig->fe.mem_fd } };

	memcpy(bytes, head, sizeof(head));
	s.n_fds = desc->fds.kind != VHU_FD_NONE && desc->fds.kind != VHU_FD_REGIONS;
	send_piece(&s, piece);
}

/* Rows that are not in the session, in the middle of one. */
static unsigned int end_with_others(uint64_t protocol, unsigned int n_fds)
{
	unsigned int n = 0;

	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *desc = vhu_desc_at(i);
		uint64_t gate = gate_features(desc);

		if (desc->dir != VHU_FE || was_sent(desc->id))
			continue;
		gate &= ~BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT); /* another session, below */
		for (int piece = PIECE_HEADER; piece < N_PIECES; piece++, n++) {
			snprintf(q_label, sizeof(q_label), "end %s message %s", piece_names[piece],
				 desc->name);
			q_check(run_session(protocol | gate, n_recorded - 1, NULL) == -ECANCELED);
			send_zeroes(desc, (enum piece)piece);
			rig_settle(rig);
			rig_disconnect(rig);
			check_end(n_fds);
		}
	}
	expect_service(n_fds);
	return n;
}

/* With some pieces of each message, from the one in turn on. */
static void end_everywhere(uint64_t protocol, int n_pieces)
{
	unsigned int n_fds, n_tried = 0;

	q_begin_host(false);
	record_session(protocol);
	n_fds = fd_count_open();
	for (unsigned int k = 0; k < n_recorded; k++) {
		for (int i = 0; i < n_pieces; i++, n_tried++) {
			end_at(protocol, k, (enum piece)((k + (unsigned int)i) % N_PIECES));
			check_end(n_fds);
		}
		expect_service(n_fds);
	}
	n_tried += end_with_others(protocol, n_fds);
	print_message("%u messages, %u ends\n", n_recorded, n_tried);
	q_end_host();
}

static void session_may_end_at_any_message(void **state)
{
	(void)state;
	end_everywhere(q_protocol, N_PIECES);
	forget_record();
}

static void session_with_kicks_in_band_may_end_at_any_message(void **state)
{
	(void)state;
	end_everywhere(q_protocol | BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT), 1);
	forget_record();
}

static int teardown(void **state)
{
	forget_old();
	forget_record();
	return q_teardown(state);
}

#define END_TEST(f) UNIT_TEST_WITH(f, q_setup, teardown)

static const struct CMUnitTest tests[] = {
	END_TEST(session_may_end_at_any_message),
	END_TEST(session_with_kicks_in_band_may_end_at_any_message),
};
UNIT_MAIN(tests)
