import io
import json

import pandas as pd
import pytest

from eirt.export import frame_latex


def test_every_table_is_written_in_every_format(lltm, tmp_path):
    files = lltm.export(tmp_path / "new", ("csv", "json", "md", "tex"))
    names = ["fixed", "random", "items", "difficulty", "persons", "effects_id", "effects_item"]
    assert [file.name for file in files[::4]] == [f"{name}.csv" for name in names]
    assert all(file.stat().st_size for file in files)
    read = pd.read_csv(tmp_path / "new" / "fixed.csv")
    pd.testing.assert_frame_equal(read, lltm.fixed)
    rows = json.loads((tmp_path / "new" / "fixed.json").read_text())
    assert rows[1]["term"] == "btype[scold]"
    assert rows[1]["estimate"] == pytest.approx(lltm.fixed["estimate"][1], abs=1e-14)
    lines = io.StringIO((tmp_path / "new" / "random.md").read_text()).readlines()
    assert len(lines) == len(lltm.random) + 2


def test_a_conditional_fit_has_no_effects(fits, tmp_path):
    names = {file.stem for file in fits("rasch_cml").export(tmp_path)}
    assert names == {"fixed", "random", "items", "difficulty", "persons"}


def test_latex_prints_names_as_they_are():
    frame = pd.DataFrame({"a_b": ["50% & more", r"x\y", "<0.001"], "n": [1, 2, 3]})
    lines = frame_latex(frame).splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[2] == r"a\_b & n \\"
    assert lines[4:7] == [r"50\% \& more & 1 \\", r"x\textbackslash{}y & 2 \\", r"$<$0.001 & 3 \\"]


def test_unknown_formats_are_refused(rasch, tmp_path):
    with pytest.raises(ValueError, match=r"No format 'xlsx'; there are csv, json, md, tex"):
        rasch.export(tmp_path, "xlsx")
    assert not list(tmp_path.iterdir())
