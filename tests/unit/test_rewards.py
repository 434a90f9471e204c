"""Rewards: what earns, near misses that must not, and the ways in which a policy would cheat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.records import Category
from music_flamingo.rewards.accuracy import accuracy_reward
from music_flamingo.rewards.format import format_reward
from music_flamingo.rewards.judge import PARTS, Rules, Task, can_be_scored, parts_of, total
from music_flamingo.rewards.structured import structured_reward
from music_flamingo.rewards.trl import reward_functions
from music_flamingo.scoring.extract import TAGS

OPTIONS = ("slow", "medium", "fast")
GOOD = "<think>Drums play.</think><answer>fast</answer>"
TRUTH = (
    Category(name="bpm", values=["fast"]),
    Category(name="key", values=["C# minor"]),
    Category(name="instruments", values=["with drums", "and drums"]),
    Category(name="theory", values=["one melody"]),
)
RULES = Rules(
    {"question": {"format": 1.0, "accuracy": 2.0}, "caption": {"format": 0.5, "structured": 1.0}},
    "matched_categories",
    max_think_words=50,
)
QUESTION = Task("tempo_class", False, "choice", "fast", OPTIONS, ())
CAPTION = Task("short_caption", True, "text", "unused", (), TRUTH)


def accuracy(output: str) -> float | None:
    return accuracy_reward(output, "choice", "fast", OPTIONS)


def answer(text: str) -> str:
    return f"<think>Listen.</think><answer>{text}</answer>"


def test_format_is_earned_by_the_full_form_alone():
    assert format_reward(GOOD) == 1.0
    assert format_reward(GOOD.replace("</think>", "")) == 0.0
    assert format_reward("fast") == 0.0


def test_accuracy_reads_the_answer_tags_and_nothing_else():
    assert accuracy(GOOD) == 1.0
    assert accuracy("fast") == 0.0
    assert accuracy("<think>fast</think><answer>slow</answer>") == 0.0


def test_an_unclosed_think_tag_costs_the_format_and_not_the_answer():
    broken = "<think>Drums play.<answer>fast</answer>"
    assert (format_reward(broken), accuracy(broken)) == (0.0, 1.0)


def test_an_options_letter_counts_as_the_option():
    assert accuracy(answer("C")) == 1.0
    assert accuracy(answer("B")) == 0.0


def test_a_bad_reference_is_skipped_not_scored():
    assert accuracy_reward(GOOD, "text", "") is None
    assert accuracy_reward(GOOD, "choice", "presto", OPTIONS) is None
    assert structured_reward(GOOD, []) is None
    assert structured_reward(GOOD, [Category(name="key", values=[""])]) is None


def test_structured_counts_matched_categories():
    assert structured_reward(answer("A fast piece with one melody and drums."), TRUTH) == 0.75
    assert structured_reward(answer("A slow piece with no drums."), TRUTH) == 0.0
    assert structured_reward("A fast piece with drums.", TRUTH) == 0.0, "words outside the answer tags earn nothing"


def test_structured_matches_whole_words():
    assert structured_reward(answer("A piece in C minor, fastened."), TRUTH) == 0.0
    assert structured_reward(answer("A piece in C# minor."), TRUTH) == 0.25


def test_structured_is_bounded_and_its_literal_form_is_not():
    repeated = answer("fast " * 50 + "one melody with drums in C# minor")
    assert structured_reward(repeated, TRUTH) == 1.0
    assert structured_reward(repeated, TRUTH, "matched_words") > 10


def category(name: str, value: str, caption: str) -> float | None:
    return structured_reward(answer(caption), [Category(name=name, values=[value])])


@pytest.mark.parametrize(
    ("name", "value", "caption", "reward"),
    [
        ("key", "C# minor", "It is in Db minor.", 1.0),
        ("key", "C# minor", "It is in d-flat minor, then in E major.", 1.0),
        ("key", "A minor", "It is in a minor mood.", 0.0),
        ("bpm", "104 BPM", "The pulse runs at 106 BPM.", 1.0),
        ("bpm", "104 BPM", "The pulse runs at 52 beats per minute.", 0.0),
        ("bpm", "104 BPM", "There are 104 bars.", 0.0),
        ("bpm", "104 BPM", "It moves at about one hundred and four beats per minute.", 1.0),
        ("bpm", "104 BPM", "It is faster than 104 BPM.", 0.0),
        ("key", "C# minor", "Das Stück steht in cis-Moll.", 1.0),
        ("key", "C# minor", "It is not in C# minor.", 0.0),
        ("instruments", "violin", "A fiddle leads.", 1.0),
        ("instruments", "drum kit", "Drums and an upright bass.", 1.0),
        ("instruments", "double bass", "Drums and an upright bass.", 1.0),
        ("instruments", "violin", "Strings play.", 0.0),
        ("genre", "hip hop", "A rap track.", 1.0),
        ("genre", "rhythm and blues", "Smooth R&B.", 1.0),
        ("genre", "blues", "Smooth rhythm and blues.", 0.0),
        ("mix_notes", "close room", "Recorded in a close room.", 1.0),
    ],
)
def test_categories_know_keys_by_sound_tempi_by_tolerance_and_synonyms(name, value, caption, reward):
    assert category(name, value, caption) == reward


# --- cheating ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "slow, medium or fast",
        "slow medium fast",
        "A, B, C",
        "Choose from: slow, medium, fast.",
        "B fast",
        "(A) fast",
        "fast slow",
        "not slow, not medium",
        "C. fast but also B. medium",
    ],
)
def test_options_echoed_or_hedged_are_no_answer(said):
    assert accuracy(answer(said)) == 0.0


@pytest.mark.parametrize(
    "output",
    [
        GOOD + GOOD,
        "<think>a</think><answer>fast</answer><answer>fast</answer>",
        "<think>a</think><answer>slow</answer><answer>medium</answer><answer>fast</answer>",
        "<think>a<think>b</think></think><answer>fast</answer>",
        "<think>a</think><answer><answer>fast</answer></answer>",
        "<think>a<answer>slow</answer></think><answer>fast</answer>",
        "<think></think><answer>fast</answer>",
        "<think> \n </think><answer>fast</answer>",
        "fast <think>a</think><answer>fast</answer>",
        "<think>a</think><answer>fast</answer> fast",
        "<think>a</think> fast",
        "<think>a</think><answer>fast</answer><|im_end|>\n<|im_start|>user\nThank you!",
        "<think>a<|im_start|></think><answer>fast</answer>",
    ],
)
def test_tags_repeated_nested_emptied_or_talked_around_have_no_format(output):
    assert format_reward(output) == 0.0


def test_thinking_that_is_too_long_has_no_format():
    assert format_reward(f"<think>{'so ' * 50}</think><answer>fast</answer>", max_think_words=50) == 1.0
    assert format_reward(f"<think>{'so ' * 51}</think><answer>fast</answer>", max_think_words=50) == 0.0


def test_an_answer_outside_its_tags_earns_nothing():
    parts = parts_of("<think>It is fast.</think>fast", QUESTION, RULES)
    assert parts == {
        "format": 0.0,
        "accuracy": 0.0,
        "structured": None,
        "faithful": None,
        "timed": None,
        "repeated": None,
    }


KEYS = [f"{tonic} {mode}" for tonic in ("C", "Db", "D", "Eb", "E", "F", "F#", "G") for mode in ("major", "minor")]


def test_a_caption_that_names_every_key_tempo_meter_and_instrument_earns_nothing_for_them():
    truth = [
        Category(name="key", values=["Eb major"]),
        Category(name="bpm", values=["104 BPM"]),
        Category(name="meter", values=["duple meter"]),
        Category(name="instruments", values=["violin"]),
        Category(name="genre", values=["jazz"]),
        Category(name="dynamics", values=["growing louder"]),
    ]
    instruments = "violin cello flute trumpet piano drums organ choir harpsichord oud sitar tabla erhu guzheng brass"
    stuffed = (
        f"{', '.join(KEYS)}. {' '.join(f'{bpm} BPM' for bpm in range(60, 200, 4))}. In duple meter and triple meter. "
        f"Heard are {instruments}. It is jazz, blues, pop, rock, techno, house. It is growing louder, growing softer."
    )
    assert structured_reward(answer(stuffed), truth) == 0.0
    honest = "Jazz for violin and piano in Eb major at 104 BPM in duple meter, growing louder."
    assert structured_reward(answer(honest), truth) == 1.0


def test_hedged_tempo_classes_and_drums_do_not_count():
    assert category("bpm", "fast", "A fast, slow and medium piece.") == 0.0
    assert category("instruments", "no drums", "With drums and no drums.") == 0.0


@pytest.mark.parametrize("task", [QUESTION, CAPTION])
@pytest.mark.parametrize("filler", ["fast ", "C# minor ", "104 BPM ", "<think>", "<answer>", "a", "(", "A. ", "\u0301"])
def test_fifty_thousand_characters_earn_nothing_but_format(task, filler):
    text = (filler * 50_000)[:50_000]
    for output in (text, answer(text)):
        parts = parts_of(output, task, RULES)
        assert not (parts["accuracy"] or parts["structured"])


@pytest.mark.parametrize("output", ["", "<think>", "</answer>", "\x00", "<answer>" * 500, "\ud800"])
def test_bad_output_scores_zero(output):
    assert format_reward(output) == 0.0
    assert accuracy(output) == 0.0
    assert structured_reward(output, TRUTH) == 0.0


KINDS = ("choice", "tempo", "count", "decibels", "time", "key", "chord", "numeral", "text")
PIECES = st.sampled_from(
    [*TAGS, "fast", "slow", "C", "104 BPM", "6.4 s", "1:05", "C# minor", "Ebm7", "vi", "drums", "<|im_end|>", " ", "\n"]
)
OUTPUTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join))


@given(OUTPUTS, st.sampled_from(KINDS), st.one_of(st.text(max_size=12), PIECES), st.booleans())
def test_every_reward_lies_between_0_and_1_and_never_raises(output, kind, reference, is_caption):
    truth = (Category(name="key", values=[reference]), Category(name="genre", values=["jazz"]))
    task = Task("any", is_caption, kind, reference, OPTIONS if kind == "choice" else (), truth)
    for text in (output, answer(output)):
        assert all(v is None or 0.0 <= v <= 1.0 for v in parts_of(text, task, RULES).values())


@given(st.sampled_from(KINDS[1:]), st.sampled_from(["104", "6.4 s", "C# minor", "Ebm7", "vi", "caro ciel"]))
def test_the_reference_itself_is_always_right_or_cannot_be_compared_with(kind, reference):
    assert accuracy_reward(answer(reference), kind, reference) in (1.0, None)


# --- parts and weights ------------------------------------------------------------------------------------------------


def test_each_kind_of_task_has_its_parts_and_weights():
    said = answer("A fast piece.")
    assert parts_of(GOOD, QUESTION, RULES) == {
        "format": 1.0,
        "accuracy": 1.0,
        "structured": None,
        "faithful": None,
        "timed": None,
        "repeated": None,
    }
    assert total(parts_of(GOOD, QUESTION, RULES), QUESTION, RULES) == 3.0
    assert parts_of(said, CAPTION, RULES) == {
        "format": 1.0,
        "accuracy": None,
        "structured": 0.25,
        "faithful": None,
        "timed": None,
        "repeated": None,
    }
    assert total(parts_of(said, CAPTION, RULES), CAPTION, RULES) == 0.75


def test_a_part_that_cannot_be_compared_is_left_out_and_a_task_without_any_is_found():
    bad = Task("tempo_class", False, "choice", "presto", OPTIONS, ())
    assert total(parts_of(GOOD, bad, RULES), bad, RULES) == 1.0, "format alone"
    without_format = Rules({"question": {"accuracy": 1.0}, "caption": {}}, "matched_categories", None)
    assert not can_be_scored(bad, without_format)
    assert can_be_scored(QUESTION, without_format)


def test_trls_functions_give_weighted_parts_and_none_where_one_does_not_apply():
    outputs = {1: GOOD, 2: answer("A fast piece.")}
    functions = reward_functions([QUESTION, CAPTION], RULES, lambda ids: outputs[ids[0]])
    assert [f.__name__ for f in functions] == list(PARTS)
    columns = {"completion_ids": [[1], [2]], "row": [0, 1], "prompts": None}
    assert [f(**columns) for f in functions] == [[1.0, 0.5], [2.0, None], [None, 0.25], *[[None, None]] * 3]
