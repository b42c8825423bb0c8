# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What bench/run is made of."""
