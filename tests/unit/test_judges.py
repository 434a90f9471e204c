"""Published tools beside ours: what is counted of each, and of what nobody can be asked."""

from pathlib import Path

import pytest
from support.benchmark_scripts import FOLDER, load_benchmark


class NoTools:
    def bar_tempo(self, path: Path) -> float:
        return 120.0

    def madmom_key(self, path: Path) -> str:
        return "Db major"


@pytest.fixture
def judges(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    found = load_benchmark("judges").Judges(NoTools())
    found.tools = {name: tool for name, tool in found.tools.items() if name.startswith("madmom")}
    return found


def test_an_answer_counts_where_the_truth_is_known_and_a_key_in_any_spelling(judges):
    found = judges
    found.hear("recordings", Path("a.wav"), 10.0, 118.0, "C# major")
    found.hear("recordings", Path("b.wav"), 10.0, 60.0, None)
    name = next(iter(found.tools))
    assert found.right == {("recordings", name, "tempo"): 1, ("recordings", name, "key"): 1}
    assert found.known == {("recordings", name, "tempo"): 2, ("recordings", name, "key"): 1}


def test_a_tool_that_says_nothing_is_wrong_and_one_without_keys_is_not_asked(judges):
    found = judges
    found.count("rendered", "librosa", None, False, 100.0, "C major")
    assert found.known == {("rendered", "librosa", "tempo"): 1}
    assert found.right == {("rendered", "librosa", "tempo"): 0}
    assert "0 of 1" in found.table(("rendered",))[-1]
