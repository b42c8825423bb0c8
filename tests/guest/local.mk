# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Real guests: not part of make check, run by scripts/check.
EXTRA_DIST += \
	%reldir%/fxsave.py \
	%reldir%/init \
	%reldir%/nested.sh \
	%reldir%/network.sh \
	%reldir%/ports.sh \
	%reldir%/profile \
	%reldir%/reload \
	%reldir%/scenario.sh \
	%reldir%/talk.py \
	%reldir%/try \
	%reldir%/vport.c \
	scripts/check \
	scripts/demo \
	scripts/lib/guests.sh \
	scripts/lib/setup.sh
