"""How good the reserve is: whether the truth lies in the interval, and how far off the estimate is.

    python -m benchmarks.reserve [--times 200]

Organisations are drawn, with rates that stay, rise or fall, and it is forecast at a moment what
will still come back. The first table is of coverage, from 5 redemptions to 5,000: of intervals at
95 %, some 95 % should hold the truth. The second is of mean errors at ten month ends, beside a
chain ladder (T. Mack, "Distribution-free calculation of the standard error of chain ladder reserve
estimates", ASTIN Bulletin 23, 1993) and the plain curve, which weighs all redemptions alike.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import redemption_analytics as ra

START, DAYS, HORIZON = datetime(2023, 1, 1), 1080, 90
#: The rate at the beginning and at the end.
TRENDS = {"level": (0.08, 0.08), "rising": (0.04, 0.12), "falling": (0.12, 0.04)}


@dataclass(frozen=True)
class History:
    """Redemptions and reversals, all that there will ever be."""

    points: pd.DataFrame
    reversals: pd.DataFrame

    @classmethod
    def drawn(cls, random: np.random.Generator, many: int, trend: str, days: int) -> History:
        """Draw so many redemptions, evenly over so many days."""
        when = np.sort(random.random(many)) * days
        sizes = np.clip(random.lognormal(4.8, 1.0, many), 5, 5000).astype(np.int64)
        first, last = TRENDS[trend]
        back = random.random(many) < first + (last - first) * when / days
        part = np.where(random.random(many) < 0.6, 1.0, random.random(many))
        delay = np.minimum(HORIZON, random.lognormal(math.log(6), 1.0, many))
        keys = pd.Series([f"r{n}" for n in range(many)], dtype="str")
        times = pd.Series(_times(when))
        points = pd.DataFrame(
            {"redemption_key": keys, "redeemed_time": times, "points_redeemed": sizes}
        )
        reversals = pd.DataFrame(
            {
                "reversal_id": np.arange(many),
                "redemption_key": keys,
                "reversal_time": pd.Series(_times(when + delay)),
                "points_reversed": np.maximum((sizes * part).astype(np.int64), 1),
            }
        )
        return cls(points, reversals[back].reset_index(drop=True))

    @cached_property
    def bundle(self) -> ra.Redemptions:
        """Return it as a bundle of Polars frames, which take a third of pandas' time here."""
        return ra.Redemptions(
            points=pl.from_pandas(self.points), reversals=pl.from_pandas(self.reversals)
        )

    def forecast(self, as_of: datetime) -> dict[str, Any]:
        """Return the forecast at a moment."""
        found: pl.DataFrame = ra.expected_reversals(self.bundle, as_of=as_of)
        return found.row(0, named=True)

    def to_come(self, as_of: datetime) -> int:
        """Return what came back after a moment, of redemptions before it."""
        known = self.points.loc[self.points["redeemed_time"] <= as_of, "redemption_key"]
        later = self.reversals["reversal_time"] > as_of
        mine = self.reversals["redemption_key"].isin(known)
        return int(self.reversals.loc[later & mine, "points_reversed"].sum())

    def plain_curve(self, as_of: datetime) -> float:
        """Return what is to come by the curve of all redemptions alike."""
        found: pl.DataFrame = ra.reversal_curve(self.bundle, as_of=as_of, weight="points")
        curve = found["cumulative_rate"].fill_null(0).to_numpy()
        seen = self.points[self.points["redeemed_time"] <= as_of]
        back = self.reversals[self.reversals["reversal_time"] <= as_of]
        gone = back.groupby("redemption_key")["points_reversed"].sum()
        left = seen["points_redeemed"] - seen["redemption_key"].map(gone).fillna(0)
        age = (as_of - seen["redeemed_time"]).dt.days
        young = age < HORIZON
        already = curve[age[young]]
        return float((left[young] * (curve[-1] - already) / (1 - already)).sum())

    def ladder(self, as_of: datetime, lags: int = 4) -> float:
        """Return what is to come by a chain ladder of months of thirty days."""
        month = timedelta(days=30)
        seen = self.reversals[self.reversals["reversal_time"] <= as_of]
        born = seen["redemption_key"].map(self.points.set_index("redemption_key")["redeemed_time"])
        cohort = ((born - START) // month).to_numpy()
        lag = np.minimum(((seen["reversal_time"] - START) // month).to_numpy() - cohort, lags - 1)
        rows = (as_of - START) // month
        triangle = np.zeros((rows, lags))
        np.add.at(triangle, (cohort, lag), seen["points_reversed"])
        triangle = triangle.cumsum(axis=1)
        grows = [
            triangle[: rows - at - 1, at + 1].sum() / max(triangle[: rows - at - 1, at].sum(), 1)
            for at in range(lags - 1)
        ]
        return float(
            sum(triangle[rows - 1 - at, at] * (math.prod(grows[at:]) - 1) for at in range(lags - 1))
        )


def _times(days: np.ndarray) -> np.ndarray:
    seconds = (days * 86_400).astype("timedelta64[s]")
    return (np.datetime64(START, "us") + seconds).astype("datetime64[us]")


def coverage(many: int, trend: str, times: int, seed: int) -> tuple[float, float, float]:
    """Return how often the truth lies in the interval, is above it, and the interval's width.

    The width is the mean of its share of what is open.
    """
    random = np.random.default_rng(seed)
    as_of = START + timedelta(days=360)
    held = above = wide = 0.0
    for _ in range(times):
        history = History.drawn(random, many, trend, 360)
        found, truth = history.forecast(as_of), history.to_come(as_of)
        held += found["low"] <= truth <= found["high"]
        above += truth > found["high"]
        wide += (found["high"] - found["low"]) / max(found["open_points"], 1)
    return held / times, above / times, wide / times


def errors(perday: int, trend: str, times: int, seed: int) -> pd.DataFrame:
    """Return the truth at ten month ends, beside three estimates of it and an interval."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(times):
        history = History.drawn(random, perday * DAYS, trend, DAYS)
        for month in range(24, 34):
            as_of = START + timedelta(days=30 * month)
            found = history.forecast(as_of)
            rows.append(
                {
                    "truth": history.to_come(as_of),
                    "expected": found["expected_points"],
                    "ladder": history.ladder(as_of),
                    "curve": history.plain_curve(as_of),
                    "held": found["low"],
                    "high": found["high"],
                }
            )
    found = pd.DataFrame(rows)
    found["held"] = found["truth"].between(found["held"], found["high"])
    return found.drop(columns="high")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    print("| redemptions in a year | rates | in the interval | above it | width of what is open |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for many in (5, 50, 500, 5000):
        for trend in TRENDS:
            held, above, wide = coverage(many, trend, times, 1)
            print(f"| {many:,} | {trend} | {held:.1%} | {above:.1%} | {wide:.0%} |", flush=True)
    print("\n| a day | rates | mean error | chain ladder | plain curve | bias | in the interval |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for perday, rounds in ((3, times // 10), (15, times // 20), (60, times // 50)):
        for trend in TRENDS:
            found = errors(perday, trend, max(rounds, 1), 1)
            truth = found["truth"].mean()
            mean = {
                name: (found[name] - found["truth"]).abs().mean() / truth
                for name in ("expected", "ladder", "curve")
            }
            said = " | ".join(f"{value:.0%}" for value in mean.values())
            bias = found["expected"].mean() / truth - 1
            held = found["held"].mean()
            print(f"| {perday} | {trend} | {said} | {bias:+.0%} | {held:.0%} |", flush=True)


if __name__ == "__main__":
    main()
