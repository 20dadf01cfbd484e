"""Files that a killed download has left behind."""

import os
from datetime import UTC, datetime, timedelta

from nextstrain_batch.unfinished import DEAD, clear
from nextstrain_batch.walk import TEMPORARY_PREFIX
from trees import write

ONE, OTHER, GONE = (f"{TEMPORARY_PREFIX}{number}" for number in range(3))
NOW = datetime.now(UTC)


def test_what_was_not_touched_for_long_goes(tmp_path):
    """A link goes as well as a file; what lies beside them stays."""
    write(tmp_path, {f"d/{ONE}": "12345", "d/f": ""})
    (tmp_path / OTHER).symlink_to("d/f")
    sizes = clear(tmp_path, [f"d/{ONE}", OTHER, GONE], NOW + DEAD + timedelta(hours=1))
    assert sizes == [5, 3]
    assert {path.name for path in tmp_path.rglob("*")} == {"d", "f"}


def test_what_may_be_at_work_stays(tmp_path):
    """However old the file itself is going to be; and a directory, which is nobody's."""
    write(tmp_path, {ONE: "", f"{OTHER}/f": ""})
    os.utime(tmp_path / ONE, (0, 0))
    assert not clear(tmp_path, [ONE], NOW + DEAD - timedelta(hours=1))
    assert not clear(tmp_path, [OTHER], NOW + 2 * DEAD)
    assert {path.name for path in tmp_path.rglob("*")} == {ONE, OTHER, "f"}
