"""The names of what a download keeps."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch import beside
from nextstrain_batch.runs import new_id

NOW = datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
RUN = new_id("zika", NOW, "1a2b3c4d")
CHARACTERS = st.characters(exclude_characters="\0/", exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS | st.just("\udce9"), min_size=1, max_size=80)


@given(st.lists(NAMES, min_size=1, max_size=2).map("/".join), st.text(max_size=150))
def test_each_is_known_by_its_name(path, pathogen):
    """Whatever was kept, before whichever run's results, is known for it, and what it holds."""
    for number in (1, 2, 10):
        name = beside.name(path, new_id(pathogen, NOW, "1a2b3c4d"), number)
        assert beside.is_kept(name)
        assert beside.is_kept(f"{name}/below")
        assert len(os.fsencode(name.rpartition("/")[2])) <= 255


def test_a_name_says_what_and_when():
    """A kept file is called as it was, and for the run; a number tells one from the other."""
    assert beside.name("a/tree.nwk", RUN) == f"a/tree.nwk.before-{RUN}"
    assert beside.name("a/tree.nwk", RUN, 2) == f"a/tree.nwk.before-{RUN}-2"


@pytest.mark.parametrize(
    "path",
    [
        *("x.before", "x.before-run", "x.before-2026-11-23", "before-and-after", f"x.after-{RUN}"),
        *(f"x.before-{RUN}.txt", f"x.before-{RUN}~", f"x.before-{RUN}-", f"x.before-{RUN}-a"),
        *(f"x.before-{RUN}\n", f"x.before-{RUN[:-1]}", f"x.before-{RUN}e", f"x.before-{RUN[4:]}"),
        *(RUN, f"before-{RUN}", f"x.before-{RUN.upper()}", f"x.before-{RUN}.before-x"),
    ],
)
def test_other_names(path):
    """What only looks a little like it is anybody's own, and travels."""
    assert not beside.is_kept(path)
