"""Cases for the audit: what is odd about what was seen several times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redemption_analytics.dating import TELLING
from redemption_analytics.flattening.flatten import ANSWER, PARENT
from redemption_analytics.merging.cases import cases_of
from redemption_analytics.merging.fates import Fate, Rows
from redemption_analytics.merging.partitions import ROW
from redemption_analytics.merging.restatements import Restating
from redemption_analytics.merging.stores import Keep
from redemption_analytics.merging.versions import Mask, Versions

_KINDS = {"points": "redemption", "coupons": "coupon redemption"}


class Oddities:
    """Collects what is odd while merging goes through the rows of each key."""

    def __init__(self, keep: Keep):
        self._keep = keep
        self._restating = Restating()
        self._found: list[pa.Table] = []
        self._exports: tuple[npt.NDArray[np.int64], Mask] | None = None

    def look(self, name: str, several: Versions) -> None:
        """Look at rows of one key."""
        if name == "points":
            self._restating.look(several)
            self._note("conflicting_customer", name, several, several.changed("customer_key"))
        elif name == "reversals":
            self._restating.look_at_reversals(several)
        if name in _KINDS:
            self._note("undated_overlaps", name, several, self._undated(several))

    def _note(self, check: str, name: str, several: Versions, wrong: Mask) -> None:
        if wrong.any():
            keys = several.table["redemption_key"].filter(pa.array(wrong)).unique()
            named = pc.binary_join_element_wise(_KINDS[name], keys, " ")
            self._found.append(cases_of(check, name, keys, named))

    def _undated(self, several: Versions) -> Mask:
        """Mark what was seen in several exports, one of which does not say when it was made.

        Then times of modification, or of reading, decided which of them is the newer.
        """
        if self._exports is None:
            self._exports = self._read_exports()
        exported_at, undated = self._exports
        answers = several.table[ANSWER].to_numpy()
        everywhere = np.ones(len(answers), bool)
        return several.differs(exported_at[answers], everywhere) & several.any_of(undated[answers])

    def _read_exports(self) -> tuple[npt.NDArray[np.int64], Mask]:
        """Read of all answers when their export was made, and whether that is not quite known."""
        times, undated = [], []
        for batch in self._keep.batches("responses", ["exported_at", "dated_by"]):
            times.append(batch["exported_at"].to_numpy().astype(np.int64))
            known = pc.is_in(batch["dated_by"], pa.array(TELLING))
            undated.append(pc.invert(known).to_numpy())
        return np.concatenate(times), np.concatenate(undated)

    def vanished(self, rows: Rows, points: Fate, reversals: Fate) -> None:
        """Find reversals missing in the newest answer with reversals of their redemption."""
        if not points.several.any():
            return
        for batch in rows.batches("reversals", [PARENT, "reversal_id", "redemption_key"]):
            parents = batch[PARENT].to_numpy()
            gone = reversals.stays(batch[ROW].to_numpy()) & ~points.stays(parents, "reversals")
            if gone.any():
                own = batch.filter(pa.array(gone))
                ids, keys = own["reversal_id"].cast(pa.string()), own["redemption_key"]
                named = pc.binary_join_element_wise("reversal ", ids, " of redemption ", keys, "")
                self._found.append(cases_of("vanished_reversals", "reversals", ids, named))

    def cases(self) -> list[pa.Table]:
        """Return what was found."""
        return [*self._found, self._restating.cases(self._keep)]
