/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Sessions with the habits of known front-ends, and data through them. */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "vhu/frontend-style.h"

enum {
	MAX_RINGS = 32,
	N_REQUESTS = 8,
	/* What styles read of the config space: the whole of a console's, or all that SPDK asks
	   for. */
	CONSOLE_CONFIG = 12,
	SPDK_CONFIG = 256,
};

static bool is_net(const struct trial *t)
{
	return strcmp(t->device->name, "net") == 0;
}

static struct vhu_frontend_plan plan_for(struct trial *t, enum vhu_frontend_style style)
{
	uint32_t config = style == VHU_STYLE_SPDK ? SPDK_CONFIG : CONSOLE_CONFIG;
	unsigned int n = t->target->info.n_rings;
	struct vhu_frontend_plan plan = {
		.style = style,
		.features = trial_features(t),
		.protocol = UINT64_MAX,
	};

	n = n > t->device->min_rings ? n : t->device->min_rings;
	n = n > trial_ring(t) ? n : trial_ring(t) + 1;
	plan.n_set_up = n < MAX_RINGS ? n : MAX_RINGS;
	/* A network device may count pairs of rings, which would be too few here. */
	if (is_net(t))
		plan.protocol &= ~BIT(VHU_PF_MQ_BIT);
	/* The parts that they read are a console's; a device may have less. */
	if (t->target->info.config_len < config)
		plan.protocol &= ~BIT(VHU_PF_CONFIG_BIT);
	return plan;
}

static int run_rings(struct trial *t)
{
	int err = trial_ping(t);

	t->slots = (struct trial_slots){ 0 };
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 ? err : trial_exchange(t, N_REQUESTS);
}

/* Who asks for acknowledgements with every request puts up with that flag in replies (VU-003). */
static bool is_about_flags(const struct trial *t)
{
	return t->fe.ack_all && strstr(t->fe.error, vhu_rule_name(VHU_RULE_REPLY_FLAGS));
}

static void drop_habits(struct trial *t)
{
	t->fe.ack_all = false;
	t->fe.empty_control = false;
}

/* What comes after it are this tester's own questions, asked in its own way. */
static int set_up(struct trial *t, const struct vhu_frontend_plan *plan)
{
	int err = vhu_style_setup(&t->fe, plan, 0);
	bool about_flags = err == -EPROTO && is_about_flags(t);

	drop_habits(t);

	if (about_flags)
		return trial_na(t,
				"replies have other flags than 0x5, which %s puts up with and "
				"this tester does not",
				vhu_style_name(plan->style));
	return trial_step(t, err, "a session as %s has it", vhu_style_name(plan->style));
}

static int stop(struct trial *t, const struct vhu_frontend_plan *plan)
{
	int err = trial_step(t, vhu_style_stop(&t->fe, plan), "the end as %s has it",
			     vhu_style_name(plan->style));

	return err < 0 ? err : trial_ping(t);
}

/* A session from its first message to the end. */
static int live(struct trial *t, struct vhu_frontend_plan *plan)
{
	int err = set_up(t, plan);

	if (err == 0)
		err = run_rings(t);
	return err < 0 ? err : stop(t, plan);
}

static int with_style(struct trial *t, enum vhu_frontend_style style)
{
	struct vhu_frontend_plan plan = plan_for(t, style);

	return live(t, &plan);
}

/* The features are accepted, and nothing of the rings was reached. */
static bool stopped_at_table(const struct trial *t)
{
	const struct vhu_nego_ring *ring = &t->fe.nego.ring[0];

	return t->fe.nego.features_set && !ring->call_set && !ring->num_set;
}

int case_style_uml(struct trial *t)
{
	struct vhu_frontend_plan plan = plan_for(t, VHU_STYLE_UML);
	int err = vhu_style_begin(&t->fe, &plan);

	if (err == 0)
		err = vhu_style_boot(&t->fe, &plan, 0);
	drop_habits(t);
	/* VU-012: what is too long the text says nothing of, and others refuse it. */
	if ((err == -EREMOTEIO || err == -ECONNRESET) && stopped_at_table(t)) {
		t->closed = err == -ECONNRESET;
		return trial_warn(t, "SET_MEM_TABLE of one region in 72 bytes, as Linux UML up to "
				     "6.12 sends it: expected to be accepted, but it was refused");
	}
	err = trial_step(t, err, "a session as uml has it");
	if (err == 0)
		err = run_rings(t);
	if (err == 0)
		err = stop(t, &plan);
	return err;
}

int case_style_qemu(struct trial *t)
{
	return with_style(t, VHU_STYLE_QEMU);
}

int case_style_crosvm(struct trial *t)
{
	return with_style(t, VHU_STYLE_CROSVM);
}

int case_style_cloud_hypervisor(struct trial *t)
{
	return with_style(t, VHU_STYLE_CLOUD_HYPERVISOR);
}

int case_style_libkrun(struct trial *t)
{
	return with_style(t, VHU_STYLE_LIBKRUN);
}

int case_style_dpdk(struct trial *t)
{
	return with_style(t, VHU_STYLE_DPDK);
}

int case_style_spdk(struct trial *t)
{
	if (is_net(t))
		return trial_na(t, "SPDK has no network front-end");
	return with_style(t, VHU_STYLE_SPDK);
}

/* It asks for the whole config space of a disk, and cannot do without. */
int case_style_libblkio(struct trial *t)
{
	if (t->target->info.config_len < CONSOLE_CONFIG)
		return trial_na(t, "the config space has fewer than %d bytes", CONSOLE_CONFIG);
	return with_style(t, VHU_STYLE_LIBBLKIO);
}

/* libkrun starts the session anew each time; the text does not say whether it may. */
static int begin_again(struct trial *t)
{
	struct vhu_msg msg;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	err = trial_survives(t, &msg, NULL, "SET_OWNER again");
	if (err == 0 && t->closed)
		return trial_warn(t,
				  "SET_OWNER again, as libkrun sends it: expected the connection "
				  "to go on, but it was closed");
	return err;
}

/* The guest's driver, or the machine, starts again on the same connection. */
static int with_restart(struct trial *t, enum vhu_frontend_style style)
{
	struct vhu_frontend_plan plan = plan_for(t, style);
	int err = live(t, &plan);

	for (unsigned int i = 0; i < plan.n_set_up && err == 0; i++)
		vhu_frontend_reset_ring(&t->fe, i);
	if (err == 0 && style == VHU_STYLE_LIBKRUN)
		err = begin_again(t);
	if (err == 0)
		err = trial_step(t, vhu_style_start(&t->fe, &plan), "a restart as %s has it",
				 vhu_style_name(style));
	if (err == 0)
		err = run_rings(t);
	return err;
}

int case_style_qemu_restart(struct trial *t)
{
	return with_restart(t, VHU_STYLE_QEMU);
}

int case_style_libkrun_restart(struct trial *t)
{
	return with_restart(t, VHU_STYLE_LIBKRUN);
}
