"""What came of a method in a home: nuisances, faults heard or missed, and how late."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks._home_faults import Fault
from benchmarks._homes import SIMULATED, Home

KINDS = ("left", "odd", "missed", "silent", "conflict", "level")


@dataclass
class Result:
    home: str
    days: float
    method: str
    nuisances: list[str] = field(default_factory=list)
    heard: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))  # by kind
    delays_min: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    missed: list[str] = field(default_factory=list)

    def judge(self, fault: Fault, home: Home, late_min: float | None, by: str = "") -> None:
        """Note whether a fault was heard: so many minutes after it became abnormal, by which detector."""
        self.heard[fault.kind].append(late_min is not None)
        if late_min is None:
            self.missed.append(f"{fault} {fault.heard[0].astimezone(home.zone):%a %d %H:%M}")
        else:
            self.delays_min[fault.kind].append(max(0.0, late_min))
            self.by[fault.kind][by] += 1

    def row(self) -> dict[str, object]:
        return {
            "home": self.home,
            "method": self.method,
            "days": round(self.days, 1),
            "nuisances_per_day": round(len(self.nuisances) / self.days, 3),
            **{f"recall_{k}": share(self.heard[k]) for k in KINDS if k in self.heard},
            **{
                f"delay_min_{k}": round(statistics.median(d), 1)
                for k in KINDS
                if (d := self.delays_min.get(k))
            },
            **{f"faults_{k}": len(self.heard[k]) for k in KINDS if k in self.heard},
            **{f"heard_by_{k}": dict(by) for k in KINDS if (by := self.by.get(k)) and "" not in by},
        }


def share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 3) if hits else None


def means(results: Sequence[Result]) -> list[Result]:
    """Return one result a method: nuisances are averaged over the recorded homes, faults pooled over all."""
    out = []
    for method in dict.fromkeys(r.method for r in results):
        of = [r for r in results if r.method == method]
        rated = [r for r in of if r.home != SIMULATED] or of
        rate = statistics.fmean(len(r.nuisances) / r.days for r in rated)
        pooled = Result("MEAN", 1000.0, method, [""] * round(rate * 1000))
        for r in of:
            for kind in r.heard:
                pooled.heard[kind] += r.heard[kind]
                pooled.delays_min[kind] += r.delays_min[kind]
                for by, times in r.by[kind].items():
                    pooled.by[kind][by] += times
        out.append(pooled)
    return out


def print_table(rows: Sequence[dict[str, object]]) -> None:
    """Print recall and, behind a slash, the median delay in minutes."""
    print(f"{'home':12} {'method':26} {'false/day':>9}", *(f"{k.upper():>10}" for k in KINDS))
    for row in rows:
        cells = []
        for k in KINDS:
            recall, delay = row.get(f"recall_{k}"), row.get(f"delay_min_{k}")
            cell = "-" if recall is None else f"{recall:.2f}" + ("" if delay is None else f"/{delay:.0f}")
            cells.append(f"{cell:>10}")
        print(f"{row['home']:12} {row['method']:26} {row['nuisances_per_day']:>9.2f}", *cells)
