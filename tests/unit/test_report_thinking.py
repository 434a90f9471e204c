"""What the report shows of thinking and GRPO: one picture with controls, ceiling, chains and intervals."""

import re

import pytest
from support.report_ports import make_run, thinking
from test_report import build

from music_flamingo.report.site import _environment
from music_flamingo.report.thinking_chart import ROWS, gains, thinking_chart

MODELS = [*(name for name, _, _ in ROWS.values()), "GRPO, another recording"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    data = make_run(tmp_path_factory.mktemp("run"))
    return build(data, data / "site")


def words_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize("page", ["index.html", "evaluation.html"])
def test_both_pages_draw_every_model_next_to_its_control_the_ceiling_and_its_chains(site, page):
    text = (site / page).read_text()
    picture = text[text.index('<table class="ladder">') :].partition("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]+)<', picture) == MODELS
    assert picture.count('class="point"') == 6 and picture.count('class="hollow"') == 4
    assert re.findall(r'data-name="whole chains">(\d+) %', picture) == ["70", "80", "90", "90"]
    assert "95 % interval over pieces" in words_of(text)
    assert "720 questions about 123 held-out pieces" in words_of(text)


def test_the_evaluation_page_begins_with_thinking_and_says_what_sounds(site):
    text = (site / "evaluation.html").read_text()
    assert text.index('id="thinking"') < text.index("<h2>By kind of question</h2>")
    assert "All sound is rendered from scores" in words_of(text)


def test_the_first_page_says_in_a_sentence_what_thinking_and_grpo_gain_and_against_what(site):
    said = words_of((site / "index.html").read_text())
    assert "thinking aloud is +16.0 points [+13.0, +19.0] against direct answers trained as long, GRPO is" in said
    assert "and GRPO is +3.0 points [+0.0, +6.0] against that warm-up continued for as long" in said
    assert "rendered performances" in said


def sentence(results):
    return _environment().get_template("parts.j2").module.gained(gains(results))


def test_a_gain_whose_interval_holds_zero_is_called_no_clear_difference(site):
    found = thinking()
    shown = [gain.all for gain in gains(found)]
    assert [round(100 * d.difference) for d in shown] == [16, 6, 3]
    assert "(no clear difference)" not in words_of((site / "index.html").read_text())
    level = [d.model_copy(update={"low": -0.01}) for d in found.differences]
    said = words_of(sentence(found.model_copy(update={"differences": level})))
    assert said.count("(no clear difference)") == 3


def test_the_sentence_says_of_which_parts_the_gain_of_thinking_is_made():
    found = thinking()
    halves = [
        d.model_copy(update={"family": family, "difference": gained})
        for d in found.differences
        for family, gained in (("held_out", 0.4), ("taught", 0.01))
    ]
    both = found.model_copy(update={"differences": [*found.differences, *halves]})
    assert "never names together thinking aloud is +40.0, of others +1.0." in words_of(sentence(both))
    assert "never names" not in words_of(sentence(found))


def test_marks_lie_on_an_axis_that_holds_every_interval():
    chart = thinking_chart(thinking())
    assert [tick.label for tick in chart.ticks][:: len(chart.ticks) - 1] == ["40", "90"]
    places = [m for row in chart.rows for m in (row.greedy, row.sampled) if m]
    assert all(0 <= m.low < m.at < m.high <= 100 for m in places)
    assert chart.rows[0].greedy.at == pytest.approx(100 * (50 - 40) / 50)
    assert chart.rows[0].whole is None and chart.rows[1].whole == 70
