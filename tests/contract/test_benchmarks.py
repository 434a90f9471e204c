"""One contract over all benchmarks: each reads its published format, says what it is, asks, parses and grades."""

import shutil

import pytest
from support.benchmark_files import WRITERS

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks import BENCHMARKS, find
from music_flamingo.evaluation.benchmarks.base import permuted
from music_flamingo.prompts import load

WITHOUT_A_PUBLISHED_SCORER = {
    *("nsynth_source", "nsynth_instrument", "gtzan", "medley_solos_db", "music_avqa", "music_avqa_all"),
}

each = pytest.mark.parametrize("name", BENCHMARKS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    written = {}
    for name, (write, _) in WRITERS.items():
        written[name] = tmp_path_factory.mktemp(name)
        write(written[name])
    return written


def _answerable(items):
    """Without those whose published answer is none of their options."""
    return [item for item in items if item.answer_index != -1]


def said(benchmark, item, words):
    """What a model says to every form in which the item is asked, as one output."""
    outputs = [words(part) for part in benchmark.asked(item)]
    return outputs[0] if benchmark.passes is None else benchmark.join(outputs)


def letter_of(item):
    return "ABCDEFGHIJK"[item.answer_index]


def test_every_benchmark_of_the_papers_table_is_there():
    assert set(BENCHMARKS) == set(WRITERS)


@each
def test_it_says_where_it_comes_from_and_how_it_scores(name):
    benchmark = BENCHMARKS[name]
    for text in (benchmark.title, benchmark.source, benchmark.licence, benchmark.citation):
        assert len(text) > 3
    assert all(len(m.rule) > 20 for m in benchmark.measures)
    assert any(m.kind == "strict" for m in benchmark.measures)
    kinds = {m.kind for m in benchmark.measures}
    assert benchmark.judges or ("official" in kinds) == (name not in WITHOUT_A_PUBLISHED_SCORER)
    assert all((m.name == "official") == (m.kind == "official") for m in benchmark.measures)
    load(benchmark.prompt_id)
    for judge in benchmark.judges:
        load(judge.prompt_id)


@each
def test_the_original_files_are_read_and_counted(name, folders):
    items = BENCHMARKS[name].items(folders[name])
    assert len(items) == WRITERS[name][1]
    assert len({item.id for item in items}) == len(items)


@each
def test_every_recording_is_found_where_the_published_files_put_it(name, folders):
    for item in BENCHMARKS[name].items(folders[name]):
        assert item.audio and all((folders[name] / path).is_file() for path in item.audio), item.audio


@each
def test_a_missing_recording_is_a_path_to_be_listed_and_no_crash(name, folders, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folders[name], copy, ignore=shutil.ignore_patterns("*.wav", "*.mp3"))
    if name == "gtzan":
        (copy / "test_filtered.txt").write_text("blues/blues.00000.wav\n")
    items = BENCHMARKS[name].items(copy)
    assert items and not any((copy / path).is_file() for item in items for path in item.audio)


@each
def test_a_folder_without_the_files_is_refused_in_words(name, tmp_path):
    with pytest.raises(UserError, match="holds no"):
        BENCHMARKS[name].items(tmp_path)


@each
def test_the_prompt_holds_the_question_and_every_option(name, folders):
    benchmark = BENCHMARKS[name]
    for item in benchmark.items(folders[name]):
        prompt = benchmark.prompt(item)
        assert item.question in prompt
        assert all(option in prompt for option in item.options)


@each
def test_the_right_answer_is_strictly_right_and_nothing_is_wrong(name, folders):
    benchmark = BENCHMARKS[name]
    if benchmark.judges or name == "mmau_music_full":
        return
    for item in _answerable(benchmark.items(folders[name])):
        strict = benchmark.measure("strict")
        right, nothing = strict.score(item, item.reference, {}), strict.score(item, "", {})
        best, worst = (0.0, nothing.weight) if strict.lower_is_better else (1.0, 0.0)
        assert (right.value, nothing.value) == (best, worst)
        assert benchmark.parse(item, item.reference) is not None
        assert benchmark.parse(item, "") is None
        assert benchmark.parse(item, "<think>It goes on and") is None


@each
def test_the_right_option_by_its_letter_is_strictly_right(name, folders):
    benchmark = BENCHMARKS[name]
    for item in benchmark.items(folders[name]):
        if item.options and (item.answer_index or 0) >= 0 and item.reference:
            output = said(benchmark, item, lambda part: f"({letter_of(part)})")
            assert benchmark.measure("strict").score(item, output, {}).value == 1.0


@each
def test_options_in_another_order_keep_their_right_answer(name, folders):
    for item in BENCHMARKS[name].items(folders[name]):
        other = permuted(item, 3, "again")
        assert sorted(other.options) == sorted(item.options)
        if item.options and (item.answer_index or 0) >= 0 and item.reference:
            assert other.options[other.answer_index] == item.reference


@each
def test_a_benchmark_with_judges_grades_by_their_replies_alone(name, folders):
    benchmark = BENCHMARKS[name]
    if not benchmark.judges:
        return
    item = benchmark.items(folders[name])[0]
    for measure in benchmark.measures:
        assert measure.score(item, "words", {}) is None
    unreadable = {judge.name: "I would rather not say." for judge in benchmark.judges}
    for measure in benchmark.measures:
        graded = measure.score(item, "words", unreadable)
        assert graded.weight == (1.0 if measure.name == "overall" else 0.0)


def test_an_unknown_benchmark_is_answered_with_the_list():
    with pytest.raises(UserError, match="gtzan"):
        find("gtzen")


def test_mmau_full_writes_what_the_benchmarks_server_takes(folders):
    benchmark, folder = BENCHMARKS["mmau_music_full"], folders["mmau_music_full"]
    items = benchmark.items(folder)
    rows = benchmark.submission(folder, items, {item.id: "Koto" for item in items})
    assert [row["model_output"] for row in rows] == ["Koto", "Koto"] == [row["model_prediction"] for row in rows]
    assert all(row["task"] == "music" and "choices" in row for row in rows)


def test_muchomusic_writes_the_file_that_its_scorer_reads(folders):
    benchmark, folder = BENCHMARKS["muchomusic"], folders["muchomusic"]
    items = benchmark.items(folder)
    rows = benchmark.submission(folder, items, {item.id: "A" for item in items})
    assert {"id", "prompt", "answers", "answer_orders", "model_output"} <= set(rows[0])
    assert all(row["answers"][row["answer_orders"].index(0)] == "Four on the floor" for row in rows)
    skills = [(row["knowledge"], row["reasoning"]) for row in rows]
    assert skills == [(["metre and rhythm"], []), ([], ["genre and style", "mood and expression"])]
    assert benchmark.submission(folder, items, {i.id: "<think>B</think>A" for i in items})[0]["model_output"] == "A"


@each
def test_no_score_reads_the_thoughts(name, folders):
    benchmark = BENCHMARKS[name]
    for item in _answerable(benchmark.items(folders[name])):
        thoughts = "Is it " + " or ".join(item.options or ("something else",)) + "?"
        for measure in benchmark.measures:
            for answer in (item.reference or "", "no such thing"):
                plain = measure.score(item, answer, {})
                for form in (
                    f"<think>{thoughts}</think>{answer}",
                    f"<think>{thoughts}</think><answer>{answer}</answer>",
                ):
                    assert measure.score(item, form, {}) == plain


FORMS = (
    *("{w}", "{w}.", "({l}) {w}", "{l}", "{l}. {w}", "The answer is {w}.", "**{l}) {w}**", "Answer: {l}"),
    *("<think>{o}?</think>{w}", "\\boxed{{{l}}}", '{{"answer": "{l}"}}', "[[{l}]]", "The correct answer is ({l}) {w}."),
    "Listening closely, I compared {o}.\n\nFinal answer: {l}",
)


@each
def test_a_perfect_model_is_strictly_perfect_in_common_forms(name, folders):
    benchmark = BENCHMARKS[name]
    for item in _answerable(benchmark.items(folders[name])):
        for form in FORMS if item.options and item.reference else ():

            def words(part, form=form):
                return form.format(w=part.reference, l=letter_of(part), o=" or ".join(part.options))

            assert benchmark.measure("strict").score(item, said(benchmark, item, words), {}).value == 1.0, form
