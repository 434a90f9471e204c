"""Data docs: one HTML page with counts of kept and rejected examples, the reasons, and statistics of the set.

The page stands alone (no script, no network) and holds no clock, so that equal data give equal bytes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from music_flamingo.core.record import RecordPart
from music_flamingo.quality.expectations import ExpectationResult
from music_flamingo.quality.overview import Overview

SHOWN_REJECTS = 3
"""Rejects of each reason that are quoted; all of them are in the `rejects` port."""
FOLDER = Path(__file__).parent / "templates"

REASONS = {
    "control_tokens": "markup that could pass for a conversation's",
    "empty_text": "a question or answer without words",
    "overlong_text": "longer than the limits",
    "options_missing": "multiple choice without options",
    "answer_not_among_options": "the right answer cannot be chosen",
    "options_mean_the_same": "two options say the same (C# minor, Db minor)",
    "too_many_options": "more distractors than the limits",
    "too_few_options": "fewer distractors than the limits",
    "reference_outside": "a reference lies outside the recording",
    "reference_wrong_chord": "the cited chord is not heard there",
    "contradicts_facts": "the facts give another answer",
    "contradicts_tempo": "a text names another tempo",
    "contradicts_key": "a text names another key",
    "contradicts_meter": "a text names another meter or number of bars",
    "contradicts_chords": "a text names a chord that is not heard",
    "contradicts_drums": "a text speaks of drums where there are none, or denies them",
    "contradicts_time": "a text names a time after the end",
    "contradicts_count": "a text counts otherwise than the facts",
    "contradicts_form": "a text names another form",
    "contradicts_voice": "a text speaks of a voice where there is none, or denies it",
    "contradicts_lyrics": "a text speaks of words where nobody sings",
    "contradicts_dynamics": "a text has the loudness go another way",
    "contradicts_sound": "a text names another texture or other notes of the lead",
    "covered_by_no_rule": "a claim that nobody measured, or an answer that no fact supports",
    "senseless_refusal": "the teacher refuses, or speaks of itself",
    "senseless_placeholder": "a placeholder stands where words should",
    "senseless_prompt_words": "the prompt's own words come back",
    "senseless_echo": "an answer without a word, or the question itself",
    "senseless_no_words": "no word at all",
    "senseless_repetition": "a sentence is said again and again",
    "senseless_one_option": "a choice between one option",
    "senseless_wrong_type": "no figure where a count or a time is asked for",
    "senseless_near_empty_caption": "a long caption that claims next to nothing",
    "mentions_metadata": "a text says title, artist or file, or speaks of its sources",
    "near_duplicate_of": "says the same as an earlier example",
    "answered_without_audio": "words alone give the answer away",
    "judged_wrong": "a judge that hears the audio rates it below the threshold",
    "track_unknown": "no facts of its track",
}
"""Reason -> what it means. Reasons of teachers (`teacher_timeout`) speak for themselves."""


class Rejected(RecordPart):
    """A reject as the page quotes it."""

    id: str
    reason: str
    detail: str
    """What follows the reason's colon."""
    question: str
    answer: str


@cache
def templates() -> Environment:
    """The page's Jinja environment: autoescaped, and undefined names are errors."""
    loader = FileSystemLoader(FOLDER)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page(
    findings: Sequence[ExpectationResult],
    overview: Overview,
    rejects: Sequence[Rejected],
    judge_scores: Mapping[int, int],
    num_on_sheet: int,
) -> str:
    """The HTML. `rejects` are the ones to quote, `judge_scores` counts examples by the judge's score."""
    from great_expectations import __version__

    return (
        templates()
        .get_template("data_docs.html.j2")
        .render(
            findings=findings,
            overview=overview,
            meanings=REASONS,
            rejects=rejects,
            judge_scores=judge_scores,
            num_on_sheet=num_on_sheet,
            version=__version__,
        )
    )
