"""Lines are cut at line feeds alone, and what cannot be encoded never reaches a file."""

import json

import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS

from music_flamingo.core.chat import ChatCompletion
from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.lines import lines_of, well_formed
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.comparing import compare
from music_flamingo.evaluation.ledger import Ledger, LedgerEntry

SEPARATORS = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e")


def entry(key: str, output: str) -> LedgerEntry:
    return LedgerEntry(key=key, item_id=key, condition="audio", output=output)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_line_is_cut_at_the_line_feed_alone(separator):
    assert lines_of(f"a{separator}b\nc\r\n\nd") == [f"a{separator}b", "c", "", "d"]
    assert lines_of("") == [] and lines_of("\n") == [""]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_ledger_is_read_back_whatever_separates_words_in_an_answer(tmp_path, separator):
    path = tmp_path / "answers.jsonl"
    Ledger(path, LedgerEntry).add([entry("1", f"a{separator}b"), entry("2", "c")])
    assert [e.output for e in Ledger(path, LedgerEntry).entries.values()] == [f"a{separator}b", "c"]


def test_a_lone_surrogate_becomes_a_replacement_character_and_a_pair_one_character():
    assert well_formed({"a\ud800": ["\ud83c\udfb5", "x\udfff", 1, None]}) == {"a\ufffd": ["🎵", "x\ufffd", 1, None]}
    reply = json.loads('{"choices": [{"message": {"content": "B \\ud83c", "reasoning": "\\udfb5"}}]}')
    message = ChatCompletion.model_validate(reply).choices[0].message
    assert (message.content, message.thoughts) == ("B \ufffd", "\ufffd")


def test_bytes_that_are_no_text_are_named_by_their_line(tmp_path):
    path = tmp_path / "answers.jsonl"
    Ledger(path, LedgerEntry).add([entry("1", "a")])
    path.write_bytes(path.read_bytes() + b'{"key": "\xff"}\n')
    with pytest.raises(CorruptDataError, match="line 2"):
        Ledger(path, LedgerEntry)


def test_an_evaluation_outlives_every_separator_and_a_lone_surrogate(tmp_path):
    WRITERS["gtzan"][0](tmp_path / "data")
    with AudioEndpoint(lambda words, sound: "jazz" + "".join(SEPARATORS) + "\ud83c") as server:
        for out in ("a", "b"):
            request = EvaluationRequest(server.url, "gtzan", tmp_path / "data", tmp_path / out, "ears",
                                        conditions=("audio",), resamples=50)  # fmt: skip
            first = evaluate(request)
            assert evaluate(request) == first
        assert len(server.calls) == 6
    assert compare(tmp_path / "a", tmp_path / "b")[0].n == 3
