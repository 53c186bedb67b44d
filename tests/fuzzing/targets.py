"""What is fuzzed: each target draws cases of one kind and checks them."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzzing.answers import RECORDS
from fuzzing.invariants import FINE, Case
from fuzzing.mutations import damaged, samples
from fuzzing.packing import files


def cases(several: st.SearchStrategy[tuple[bytes, ...]]) -> st.SearchStrategy[Case]:
    """Files under options."""
    return st.builds(
        Case,
        several,
        st.sampled_from(["int", "decimal"]),
        st.sampled_from([None, None, None, "Europe/Paris"]),
        st.sampled_from([None, None, None, "mobile"]),
        st.sampled_from(["keep", "keep", "keep", "pseudonymize"]),
        st.sampled_from(FINE),
    )


def _several(one: st.SearchStrategy[bytes], most: int) -> st.SearchStrategy[tuple[bytes, ...]]:
    return st.lists(one, min_size=1, max_size=most).map(tuple)


_SAMPLES = st.sampled_from(samples())

TARGETS: dict[str, st.SearchStrategy[Case]] = {
    "answers": cases(_several(files(RECORDS), 2)),
    "damage": cases(_several(damaged(_SAMPLES), 2)),
    "damaged answers": cases(_several(damaged(files(RECORDS)), 2)),
}
