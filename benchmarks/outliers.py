"""Who is accused by chance: tills of which none is bad, and how many lists name one all the same.

    python -m benchmarks.outliers [--lists 2000]

Each list is of so many tills, some with many redemptions and some with few. Their rates are equal,
or differ by nature: by a beta distribution, or by a log-normal one, which has more extreme tills.
The promise is that of the false discovery rate: of lists without a bad till, at most one of a
hundred names any at q below 0.01. The last lines have bad tills, which should be found.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redemption_analytics.metrics.excess import excess

MEAN, LEAST = 0.07, 10
#: What becomes of the rate of a bad till.
TIMES = 4


@dataclass(frozen=True)
class Tills:
    """So many tills, with rates of a standard deviation that is a share of their mean."""

    many: int
    differ: float
    shape: str = "beta"
    bad: int = 0

    def rates(self, random: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw rates of honest tills."""
        if not self.differ:
            return np.full(self.many, MEAN)
        if self.shape == "beta":
            weight = (1 - MEAN) / MEAN / self.differ**2 - 1
            return random.beta(MEAN * weight, (1 - MEAN) * weight, self.many)
        spread = np.log1p(self.differ**2) ** 0.5
        drawn = MEAN * np.exp(random.normal(-(spread**2) / 2, spread, self.many))
        return np.minimum(drawn, 0.95)

    def named(self, random: np.random.Generator) -> tuple[npt.NDArray[np.float64], int]:
        """Draw a list; return its q values, those of the bad tills first, and how many are bad."""
        sizes = np.maximum(1, random.lognormal(np.log(150), 1.0, self.many)).astype(np.int64)
        rates = self.rates(random)
        rates[: self.bad] = np.minimum(TIMES * rates[: self.bad], 0.9)
        found = excess(sizes.tolist(), random.binomial(sizes, rates).tolist(), LEAST)
        return found["q_value"].to_numpy(zero_copy_only=False), self.bad


def accused(tills: Tills, lists: int, seed: int, level: float) -> tuple[float, float]:
    """Return the share of lists that name an honest till, and the share of bad tills named."""
    random = np.random.default_rng(seed)
    wrong = right = 0
    for _ in range(lists):
        q_values, bad = tills.named(random)
        wrong += bool((q_values[bad:] < level).any())
        right += int((q_values[:bad] < level).sum())
    return wrong / lists, right / lists / max(tills.bad, 1)


CASES = [
    *(
        Tills(many, differ, shape)
        for many in (3, 12, 37, 200)
        for differ, shape in ((0, "beta"), (0.3, "beta"), (0.5, "beta"), (0.3, "log"), (0.5, "log"))
    ),
    *(Tills(37, differ, bad=bad) for differ in (0, 0.3) for bad in (1, 3)),
]


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lists", type=int, default=2000)
    lists = parser.parse_args().lists
    print("| tills | rates differ by | bad | accused wrongly at 0.01 | at 0.05 | bad ones found |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for case in CASES:
        many = max(lists * 12 // max(case.many, 12), 50)
        wrong, right = accused(case, many, 1, 0.01)
        more, _ = accused(case, many, 1, 0.05)
        found = f"{right:.0%}" if case.bad else ""
        differ = f"{case.differ:.0%} ({case.shape})" if case.differ else "nothing"
        print(f"| {case.many} | {differ} | {case.bad} | {wrong:.1%} | {more:.1%} | {found} |")


if __name__ == "__main__":
    main()
