/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A console's rings, features and configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum {
	CONFIG_LEN = 12, /* cols u16, rows u16, max_nr_ports u32, emerg_wr u32 */
	MAX_PORTS_OFFSET = 4,
	MAX_PORTS = 32768, /* more than that Linux refuses */
	UML_PORTS = 31,
	SIZE_BIT = 0,
	MULTIPORT_BIT = 1,
	LARGE_RING = 32768,
};

int con_read_config(struct trial *t, uint32_t off, uint32_t len, uint8_t *bytes)
{
	return trial_step(t, vhu_frontend_get_config(&t->fe, off, len, VHU_CONFIG_GUEST, bytes),
			  "GET_CONFIG of %u bytes at %u", len, off);
}

int con_max_ports(struct trial *t, uint32_t *ret_n)
{
	uint8_t b[4] = { 0 };
	int err = con_read_config(t, MAX_PORTS_OFFSET, sizeof(b), b);

	*ret_n = get_le32(b);
	return err;
}

/* Rings. */

static int count_rings(struct trial *t, uint64_t *ret_n)
{
	return trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_QUEUE_NUM, ret_n),
			  "GET_QUEUE_NUM");
}

int case_vc_queue_count(struct trial *t)
{
	bool multiport = trial_offers(t, MULTIPORT_BIT);
	unsigned int least = multiport ? 4 : 2;
	uint32_t n_ports = 1;
	uint64_t n;
	int err = trial_handshake(t);

	if (err == 0)
		err = count_rings(t, &n);
	if (err == 0 && n < least)
		err = trial_fail(t, "expected %u rings at least, but GET_QUEUE_NUM says %llu",
				 least, (unsigned long long)n);
	if (err == 0 && multiport && vhu_frontend_has_protocol(&t->fe, VHU_PF_CONFIG_BIT))
		err = con_max_ports(t, &n_ports);
	if (err == 0 && multiport && n < 2 * ((uint64_t)n_ports + 1))
		err = trial_warn(t,
				 "expected two rings for each of %u ports and two for control, but "
				 "GET_QUEUE_NUM says %llu",
				 n_ports, (unsigned long long)n);
	return err;
}

int case_vc_queue_port(struct trial *t)
{
	unsigned int n = 0;
	int err = con_start(t, NULL);

	for (unsigned int id = 1; err == 0 && id < con_of(t)->n_ports; id++) {
		if (!con_of(t)->ports[id].ready)
			continue;
		err = con_write(t, id, "to a port of its own", 20);
		n++;
	}
	if (err == 0 && n == 0)
		err = trial_na(t, "there is no port beside port 0");
	return err;
}

/* Both ways through port id, whose host side is there. */
static int converse(struct trial *t, unsigned int id)
{
	char text[16];

	snprintf(text, sizeof(text), "this is port %2u", id % 100);
	con_of(t)->n_in = 0; /* buffers of another port */
	return con_both_ways(t, id, text, sizeof(text), "a further port");
}

int case_vc_queue_port_data(struct trial *t)
{
	unsigned int n = 0;
	int err = con_start(t, NULL);

	for (unsigned int id = 1; err == 0 && id < con_of(t)->n_ports; id++) {
		if (!con_of(t)->ports[id].ready)
			continue;
		err = con_join_port(t, id);
		if (err == 0)
			err = converse(t, id);
		n += err == 0;
		err = err == -ENOENT ? 0 : err;
		con_leave(t);
	}
	if (err == 0 && n == 0)
		err = trial_na(t, "--peer has no address of a port beside port 0");
	return err;
}

static const struct trial_plan single = { .without_features = CON_MULTIPORT };

/* DEVICE_READY on a ring that is not for control without MULTIPORT. */
static int say_ready_unheard(struct trial *t)
{
	static const uint8_t ready[] = { 0xff, 0xff, 0xff, 0xff, CONSOLE_DEVICE_READY, 0, 1, 0 };
	struct con_page *page = &con_of(t)->ctrl_out;
	const struct driverq_buf buf = { .addr = page->addr, .len = sizeof(ready) };
	int err;

	if (t->fe.n_rings <= CON_CTRL_TX)
		return 0;
	memcpy(page->host, ready, sizeof(ready));
	err = driverq_add(&t->fe.rings[CON_CTRL_TX].q, &buf, 1, 0, false, page);
	if (err < 0)
		return trial_error(t, "a message on ring %d: %s", CON_CTRL_TX, strerror(-err));
	return trial_step(t, vhu_frontend_publish(&t->fe, CON_CTRL_TX), "a kick of ring %d",
			  CON_CTRL_TX);
}

int case_vc_queue_single(struct trial *t)
{
	int err = trial_boot(t, &single);
	struct con_page *page;

	if (err == 0)
		err = con_exchange(t, 3);
	if (err < 0 || t->fe.n_rings <= CON_CTRL_RX)
		return err;
	page = &con_of(t)->ctrl[0];
	err = con_post(t, CON_CTRL_RX, page);
	if (err == 0)
		err = say_ready_unheard(t);
	return err < 0 ? err : trial_quiet(t, CON_CTRL_RX);
}

int case_vc_queue_single_data(struct trial *t)
{
	unsigned int id;
	int err = trial_boot(t, &single);

	if (err == 0)
		err = con_join(t, true, &id);
	if (err == 0)
		err = con_peer_write(t, "typed\r", 6);
	return err < 0 ? err : con_expect_input(t, 0, "typed\r", 6, "input without control rings");
}

static int with_size(struct trial *t, unsigned int size, bool only_ring)
{
	const struct trial_plan plan = { .ring_size = size,
					 .only_ring = only_ring,
					 .no_prepare = only_ring };
	int err = trial_boot(t, &plan);

	return err < 0 ? err : con_exchange(t, size < 8 ? 2 * size + 1 : 9);
}

int case_vc_queue_size_1(struct trial *t)
{
	return with_size(t, 1, false);
}

int case_vc_queue_size_2(struct trial *t)
{
	return with_size(t, 2, false);
}

int case_vc_queue_size_256(struct trial *t)
{
	return with_size(t, 256, false);
}

/* A back-end may have a limit: it says so when the size is set, and not later. */
int case_vc_queue_size_large(struct trial *t)
{
	struct vhu_msg msg;
	bool accepted = false;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	if (!vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		return trial_na(t, "without REPLY_ACK a limit cannot be told");
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, 1, LARGE_RING);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_survives(t, &msg, &accepted, "SET_VRING_NUM of %d entries", LARGE_RING);
	if (err < 0)
		return err;
	if (!accepted)
		return trial_remark(t, "rings of %d entries are refused", LARGE_RING);
	err = trial_reconnect(t);
	return err < 0 ? err : with_size(t, LARGE_RING, true);
}

/* Features. */

int case_vc_feature_multiport(struct trial *t)
{
	uint32_t n = 0;
	int err = trial_handshake(t);

	if (err == 0)
		err = con_max_ports(t, &n);
	if (err == 0 && (n == 0 || n > MAX_PORTS))
		err = trial_fail(t, "expected max_nr_ports from 1 to %d, but it is %u", MAX_PORTS,
				 n);
	if (err == 0 && n > UML_PORTS)
		trial_remark(t, "max_nr_ports is %u: User-Mode Linux takes %d at most", n,
			     UML_PORTS);
	return err;
}

int case_vc_feature_size(struct trial *t)
{
	uint8_t b[4];
	int err = trial_handshake(t);

	if (err == 0)
		err = con_read_config(t, 0, sizeof(b), b);
	if (err == 0 && ((b[0] | b[1]) == 0) != ((b[2] | b[3]) == 0))
		err = trial_fail(t, "expected columns and rows, or neither, but they are %u and %u",
				 get_le16(b), get_le16(b + 2));
	return err;
}

/* Configuration. */

int case_vc_config_layout(struct trial *t)
{
	uint8_t all[CONFIG_LEN], part[4];
	int err = trial_handshake(t);

	if (err == 0)
		err = con_read_config(t, 0, sizeof(all), all);
	for (uint32_t off = 0; off < CONFIG_LEN && err == 0; off += 4) {
		err = con_read_config(t, off, sizeof(part), part);
		if (err == 0 && memcmp(all + off, part, sizeof(part)) != 0)
			err = trial_fail(t,
					 "GET_CONFIG: expected 4 bytes at %u as in all %d bytes, "
					 "but they differ",
					 off, CONFIG_LEN);
	}
	if (err == 0 && trial_offers(t, MULTIPORT_BIT) && (all[6] | all[7]) != 0)
		err = trial_fail(t,
				 "expected max_nr_ports in little-endian order at offset 4, but "
				 "its bytes are %02x %02x %02x %02x",
				 all[4], all[5], all[6], all[7]);
	return err;
}

int case_vc_config_no_size(struct trial *t)
{
	static const uint8_t zeros[4];
	uint8_t b[4];
	int err = trial_handshake(t);

	if (err == 0)
		err = con_read_config(t, 0, sizeof(b), b);
	if (err == 0 && memcmp(b, zeros, sizeof(b)) != 0)
		err = trial_fail(t,
				 "without VIRTIO_CONSOLE_F_SIZE: expected no columns and rows, but "
				 "they are %u and %u",
				 get_le16(b), get_le16(b + 2));
	return err;
}

int case_vc_config_no_multiport(struct trial *t)
{
	uint32_t n = 0;
	int err = trial_handshake(t);

	if (err == 0)
		err = con_max_ports(t, &n);
	if (err == 0 && n > 1)
		err = trial_warn(t,
				 "without VIRTIO_CONSOLE_F_MULTIPORT: expected max_nr_ports of 0 "
				 "or 1, but it is %u",
				 n);
	return err;
}

int case_vc_config_stable(struct trial *t)
{
	uint32_t before = 0, after = 0;
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_max_ports(t, &before);
	if (err == 0)
		err = con_exchange(t, 3);
	for (unsigned int i = 0; err == 0 && i < t->fe.n_rings; i++)
		err = trial_restart_ring(t, i);
	if (err == 0)
		err = con_max_ports(t, &after);
	if (err == 0 && after != before)
		err = trial_fail(t,
				 "expected max_nr_ports to stay %u for the whole connection, but "
				 "it became %u",
				 before, after);
	return err;
}

int case_vc_config_readonly(struct trial *t)
{
	uint8_t before[8], after[8];
	struct vhu_config config = { .size = sizeof(before) };
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err == 0)
		err = con_read_config(t, 0, sizeof(before), before);
	for (size_t i = 0; err == 0 && i < sizeof(before); i++)
		config.bytes[i] = (uint8_t)(before[i] + 1);
	trial_msg(t, &msg, VHU_FE_SET_CONFIG);
	vhu_msg_put(&msg, &config, sizeof(config) - sizeof(config.bytes) + sizeof(before));
	if (err == 0)
		err = trial_survives(t, &msg, NULL, "SET_CONFIG of columns, rows and max_nr_ports");
	if (err == 0)
		err = trial_refresh(t);
	if (err == 0)
		err = con_read_config(t, 0, sizeof(after), after);
	if (err == 0 && memcmp(before, after, sizeof(before)) != 0)
		err = trial_fail(t, "SET_CONFIG of columns, rows and max_nr_ports: expected them "
				    "to stay as they are, but they changed");
	return err;
}

/* What is beyond the fields is zero or refused, and never something else's memory. */
int case_vc_config_beyond(struct trial *t)
{
	uint8_t b[VHU_MAX_CONFIG] = { 0 };
	uint32_t len = VHU_MAX_CONFIG - CONFIG_LEN;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	err = vhu_frontend_get_config(&t->fe, CONFIG_LEN, len, VHU_CONFIG_GUEST, b);
	if (err == -ECONNRESET) {
		t->closed = true;
		return trial_remark(t, "the connection ends");
	}
	if (err == -EREMOTEIO)
		return trial_remark(t, "it is refused");
	if (err < 0)
		return trial_step(t, err, "GET_CONFIG of %u bytes at %d", len, CONFIG_LEN);
	for (uint32_t i = 0; i < len && err == 0; i++)
		if (b[i] != 0)
			err = trial_fail(t,
					 "GET_CONFIG: expected zeros from offset %d on, but byte "
					 "%u is %#x",
					 CONFIG_LEN, CONFIG_LEN + i, b[i]);
	return err;
}
