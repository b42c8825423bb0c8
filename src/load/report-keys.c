/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "load/report-keys.h"
#include "virtio/features.h"

#define PER(a, b) per((double)(a), (double)(b))
#define OR_NAN(n) ((n) > 0 ? (double)(n) : (double)NAN)
#define USED(field) (r->u ? (double)r->u->field : (double)NAN)

static double per(double a, double b)
{
	return b > 0 ? a / b : (double)NAN;
}

static double latency_or_nan(const struct load_figures *f, uint64_t ns)
{
	return f->latency.n > 0 ? (double)ns : (double)NAN;
}

static double percentile(const struct load_figures *f, double share)
{
	return latency_or_nan(f, latency_at(&f->latency, share));
}

static double mb_per_s(const struct load_figures *f)
{
	return f->n_bytes > 0 && f->ns > 0 ? load_mb_per_s(f) : (double)NAN;
}

/* A limit has another side, and no process that was measured. */
static double cpu_ns(const struct load_report *r)
{
	return r->u ? (double)r->u->cpu_ns : OR_NAN(r->f->cpu_ns);
}

static double n_syscalls(const struct load_report *r)
{
	return r->u && r->u->n_syscalls >= 0 ? (double)r->u->n_syscalls : (double)NAN;
}

static double limit_p50(const struct load_report *r)
{
	return r->limit_figures ? percentile(r->limit_figures, 0.5) : (double)NAN;
}

static double limit_speed(const struct load_report *r)
{
	return r->limit_figures ? mb_per_s(r->limit_figures) : (double)NAN;
}

static double limit_cpu(const struct load_report *r)
{
	const struct load_figures *f = r->limit_figures;

	return f && f->cpu_ns > 0 ? PER(f->cpu_ns, f->n_bytes) : (double)NAN;
}

static double limit_ratio(const struct load_report *r)
{
	if (!r->limit)
		return (double)NAN;
	if (strcmp(r->limit->unit, "ns") == 0)
		return per(percentile(r->f, 0.5), limit_p50(r));
	return per(mb_per_s(r->f), limit_speed(r));
}

#define GROUP(...)
#define NUMBER(key, value, help)                                                                   \
	static double number_##key(const struct load_report *r)                                    \
	{                                                                                          \
		return (double)(value);                                                            \
	}
#define TEXT(key, value, help)                                                                     \
	static const char *text_##key(const struct load_report *r)                                 \
	{                                                                                          \
		return value;                                                                      \
	}
#define FLAG(key, value, help)                                                                     \
	static bool flag_##key(const struct load_report *r)                                        \
	{                                                                                          \
		return value;                                                                      \
	}
#include "load/report-keys.def"
#undef GROUP
#undef NUMBER
#undef TEXT
#undef FLAG

const struct report_row report_rows[REPORT_N_KEYS] = {
#define GROUP(ident, title) [REPORT_GROUP_##ident] = { .name = (title) },
#define NUMBER(key, value, help) [REPORT_##key] = { #key, help, .number = number_##key },
#define TEXT(key, value, help) [REPORT_##key] = { #key, help, .text = text_##key },
#define FLAG(key, value, help) [REPORT_##key] = { #key, help, .flag = flag_##key },
#include "load/report-keys.def"
#undef GROUP
#undef NUMBER
#undef TEXT
#undef FLAG
};
