# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

# Random steps beside a model. In make check a short run with a fixed seed;
# longer by --seed, --steps and --seconds.
check_PROGRAMS += %reldir%/model
TESTS += %reldir%/model
%canon_reldir%_model_SOURCES = %reldir%/model.c %reldir%/model.h %reldir%/host.c \
	%reldir%/driver.c %reldir%/control.c %reldir%/session.c %reldir%/memory.c \
	%reldir%/check.c %reldir%/steps-data.c %reldir%/steps-session.c %reldir%/steps.def \
	%reldir%/random.c %reldir%/random.h %reldir%/run.c %reldir%/run.h %reldir%/record.c \
	%reldir%/shrink.c %reldir%/main.c %reldir%/model-options.def
%canon_reldir%_model_LDADD = $(LIBALL)
