# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Figures of several rounds: a median and a range, and how they are written."""
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number over the rounds that have it."""

    median: float
    low: float
    high: float
    rounds: int


def figure(values):
    there = [v for v in values if v is not None]
    if not there:
        return None
    return Figure(statistics.median(there), min(there), max(there), len(there))


def number(value):
    """Three digits that count; no exponents."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def cell(fig, unit=""):
    if fig is None:
        return "-"
    unit = f" {unit}" if unit else ""
    return f"{number(fig.median)}{unit} [{number(fig.low)}..{number(fig.high)}]"


def divided(a, b):
    return None if a is None or not b else a / b


def less(a, b):
    return None if a is None or b is None else a - b
