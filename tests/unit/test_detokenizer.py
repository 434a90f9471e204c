"""Words as they are streamed: cut anywhere, they come out as the whole text would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.model.tiny import build_tokenizer
from music_flamingo.serving.detokenizer import Detokenizer, Parts, split

TOKENIZER = build_tokenizer(["Drums are heard. <think>Drums</think><answer>yes, a naïve Übung 音楽</answer>"], 400)
FULL = "<think>Drums beat.</think><answer>yes</answer>"


def parts_of(chunks: list[str]) -> tuple[str, str]:
    parts = Parts()
    pieces = [piece for chunk in chunks for piece in parts.add(chunk)] + parts.end()
    return tuple("".join(p.text for p in pieces if p.kind == kind) for kind in ("reasoning", "content"))


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        (FULL, "Drums beat.", "yes"),
        ("  <think>a</think>\n<answer>b</answer>\n", "a", "b"),
        ("<think>cut o", "cut o", ""),
        ("<think>a</think><answer>b", "a", "b"),
        ("plain words", None, "plain words"),
        ("words <think>a</think><answer>b</answer>", "a", "words b"),
        ("s play.</think><answer>yes", None, "s play. yes"),
        ("<answer>yes</answer><answer>no</answer>", None, "yes no"),
        ("<think>a<answer>b</answer>", "a", "b"),
        ("a < b and <thin air", None, "a < b and <thin air"),
        ("<think>a <b> </thinker></think><answer>c</answer>", "a <b> </thinker>", "c"),
        ("", None, ""),
    ],
)
def test_thinking_and_answer_are_told_apart(text, thinking, answer):
    assert split(text) == (thinking, answer)


def test_words_that_a_schema_holds_keep_what_looks_like_a_tag():
    text = '{"said": "<think>a</think>"}'
    assert split(text, is_tagged=False) == (None, text)


@given(st.lists(st.sampled_from([*"ab <>/", "<think>", "</think>", "<answer>", "</answer>", "thin", "ans"])), st.data())
def test_wherever_a_text_is_cut_its_parts_are_the_same(words, data):
    text = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert parts_of(chunks) == parts_of([text])


def said(text: str, stop: tuple[str, ...] = ()) -> tuple[str, bool]:
    words = Detokenizer(TOKENIZER, stop)
    pieces = []
    for token in TOKENIZER(text, add_special_tokens=False)["input_ids"]:
        pieces.append(words.add(token))
        if words.stopped:
            break
    pieces.append(words.end())
    assert "".join(pieces) == words.text
    return words.text, words.stopped


@pytest.mark.parametrize("text", [FULL, "a naïve Übung 音楽 🎵", "two  spaces\nand a line "])
def test_characters_of_several_tokens_come_out_whole(text):
    assert said(text) == (text, False)


def test_nothing_is_said_of_a_stop_word_nor_after_it():
    assert said("Drums are heard. yes", ("heard", "xyz")) == ("Drums are ", True)


def test_the_beginning_of_a_stop_word_is_said_when_it_goes_on_otherwise():
    assert said("Drums are heard", ("heard. No",)) == ("Drums are heard", False)
