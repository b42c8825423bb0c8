# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""From rounds to rows: medians, ranges, and whether a target is met."""
from dataclasses import dataclass
from typing import Optional

from . import rows as row_table
from .figures import Figure, cell, divided, figure, number
from .workloads import ENGINES, POLL_US


@dataclass(frozen=True)
class Result:
    """A row with its figures; those of the other daemon if there is one."""

    row: row_table.Row
    value: Optional[Figure]
    limit: Optional[Figure]
    judged: Optional[Figure]
    other: Optional[Figure]
    beside: Optional[Figure]  # ours divided by the other's
    errors: list
    other_errors: list

    @property
    def verdict(self):
        if self.judged is None:
            return "failed" if self.errors else "-"
        if self.row.at_most is None and self.row.at_least is None:
            return "-"
        return "met" if self.row.met(self.judged.median) else "missed"


def _errors(row, rounds, side):
    return [f"{w} ({side}): {one[side][w]['error']}" for one in rounds for w in row.needs
            if "error" in one.get(side, {}).get(w, {})]


def _over_rounds(rounds, side, function):
    return figure([function(one[side]) for one in rounds]) if function else None


def _result(row, rounds, has_other):
    other = _over_rounds(rounds, "other", row.value) if has_other else None
    beside = None
    if other:
        beside = figure([divided(row.value(one["ours"]), row.value(one["other"]))
                         for one in rounds])
    return Result(row, _over_rounds(rounds, "ours", row.value),
                  _over_rounds(rounds, "ours", row.limit),
                  _over_rounds(rounds, "ours", row.judged), other, beside,
                  _errors(row, rounds, "ours"), _errors(row, rounds, "other"))


def results(rounds, names):
    """A row for each target all of whose workloads were run."""
    has_other = "other" in rounds[0]
    return [_result(row, rounds, has_other) for row in row_table.ALL if names >= set(row.needs)]


def violations(rounds):
    return sum(int(run.get("violations") or 0) for one in rounds for side in one.values()
               for run in side.values())


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _head(titles):
    return [_line(titles), "|" + "---|" * len(titles)]


def _measured(fig, unit, errors):
    return cell(fig, unit) + (f", {len(errors)} failed" if errors else "")


def _row_cells(result, has_other):
    row = result.row
    judged = cell(result.judged) if row.judged else "-"
    verdict = result.verdict
    if verdict == "missed":
        verdict = "**missed**"
    limit = f"{number(result.limit.median)} {row.unit}" if result.limit else "-"
    cells = [row.what, row.target or "-", _measured(result.value, row.unit, result.errors), limit,
             judged, verdict]
    if has_other:
        cells += [_measured(result.other, row.unit, result.other_errors), cell(result.beside)]
    return cells


def main_table(all_results, has_other):
    titles = ["What", "To reach", "Measured", "Beside it", "Judged", ""]
    if has_other:
        titles += ["Other daemon", "Ours / other"]
    lines = _head(titles) + [_line(_row_cells(r, has_other)) for r in all_results]
    failures = sorted({f"- {e}" for r in all_results for e in r.errors + r.other_errors})
    return lines + (["", "Runs that failed:", "", *failures] if failures else [])


def _option_table(rounds, option, values, columns, prefix):
    """A line for each value of an option; workloads are named by prefix, value and column."""
    lines = _head([f"`{option}`"] + [column[0] for column in columns])
    for value in values:
        cells = [str(value)]
        for _, end, name, scale in columns:
            get = row_table.key(f"{prefix}{value}-{end}", name, scale)
            fig = _over_rounds(rounds, "ours", get)
            cells.append(cell(fig) if fig else "failed")
        lines.append(_line(cells))
    return lines


def sweep_table(rounds):
    return _option_table(rounds, "--poll-us", POLL_US, row_table.SWEEP, "poll-")


def engine_table(rounds):
    return _option_table(rounds, "--engine", ENGINES, row_table.ENGINE, "")


def _plain(fig):
    if fig is None:
        return None
    return {"median": fig.median, "min": fig.low, "max": fig.high, "rounds": fig.rounds}


def plain(result):
    """As it goes into JSON."""
    row = result.row
    return {
        "what": row.what,
        "target": row.target or None,
        "unit": row.unit,
        "measured": _plain(result.value),
        "limit": _plain(result.limit),
        "judged": _plain(result.judged),
        "at_most": row.at_most,
        "at_least": row.at_least,
        "verdict": None if result.verdict == "-" else result.verdict,
        "other": _plain(result.other),
        "ours_over_other": _plain(result.beside),
        "errors": result.errors + result.other_errors,
    }
