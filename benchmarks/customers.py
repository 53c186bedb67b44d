"""Which customers are accused by chance, and which of those who cash in points are found.

    python -m benchmarks.customers [--lists 100]

Customers redeem at twelve tills, more than half of the time at one of them; one till reverses four
times as much as the others do. Rates of customers are equal, or differ by nature. In a second list
of each sort five customers reverse 60 % of what they redeem.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from redemption_analytics.metrics.outliers import SIGNIFICANT
from redemption_analytics.metrics.review import customers_to_review
from redemption_analytics.redemptions import Redemptions

TILLS, HOT, MEAN, BAD, BAD_RATE = 12, 4, 0.07, 5, 0.6


def listed(
    random: np.random.Generator, many: int, differ: float, shape: str, bad: int
) -> tuple[int, int]:
    """Draw customers; return how many honest and how many bad ones are listed."""
    sizes = np.minimum(random.geometric(0.1, many), 60)
    rates = _rates(random, many, differ, shape)
    odd = random.choice(np.flatnonzero(sizes >= 10), bad, replace=False)
    customer = np.repeat(np.arange(many), sizes)
    home = random.integers(TILLS, size=many)[customer]
    elsewhere = random.integers(TILLS, size=len(customer))
    till = np.where(random.random(len(customer)) < 0.6, home, elsewhere)
    chance = np.minimum(rates[customer] * np.where(till == 0, HOT, 1), 0.95)
    chance[np.isin(customer, odd)] = BAD_RATE
    back = random.random(len(customer)) < chance
    keys = pd.Series([f"r{n}" for n in range(len(customer))], dtype="str")
    time = pd.Timestamp("2026-01-10").as_unit("us")
    points = pd.DataFrame(
        {
            "redemption_key": keys,
            "customer_key": pd.Series(customer).astype("str"),
            "till_code": pd.Series(till).astype("str"),
            "points_redeemed": 10,
            "redeemed_time": time,
        }
    )
    reversals = pd.DataFrame({"redemption_key": keys[back], "points_reversed": 10}).assign(
        reversal_id=range(int(back.sum())), reversal_time=time
    )
    found = customers_to_review(Redemptions(points=points, reversals=reversals))
    names = set(found["customer_key"])
    guilty = names & {str(number) for number in odd}
    return len(names - guilty), len(guilty)


def _rates(random: np.random.Generator, many: int, differ: float, shape: str) -> np.ndarray:
    if not differ:
        return np.full(many, MEAN)
    if shape == "beta":
        weight = (1 - MEAN) / MEAN / differ**2 - 1
        return random.beta(MEAN * weight, (1 - MEAN) * weight, many)
    spread = np.log1p(differ**2) ** 0.5
    return np.minimum(MEAN * np.exp(random.normal(-(spread**2) / 2, spread, many)), 0.95)


def main() -> None:
    """Print a row for each sort of customers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lists", type=int, default=100)
    lists = parser.parse_args().lists
    print(f"| customers | rates differ by | accused wrongly at {SIGNIFICANT} | bad ones found |")
    print("| ---: | --- | ---: | ---: |")
    for many in (300, 2000):
        for differ, shape in ((0, "beta"), (0.5, "beta"), (0.5, "log"), (1, "beta")):
            random = np.random.default_rng(1)
            wrong = sum(listed(random, many, differ, shape, 0)[0] > 0 for _ in range(lists))
            few = max(lists // 5, 5)
            right = sum(listed(random, many, differ, shape, BAD)[1] for _ in range(few))
            said = f"{differ:.0%} ({shape})" if differ else "nothing"
            print(
                f"| {many:,} | {said} | {wrong / lists:.0%} | {right / few / BAD:.0%} |", flush=True
            )


if __name__ == "__main__":
    main()
