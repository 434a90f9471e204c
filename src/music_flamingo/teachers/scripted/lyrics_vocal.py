"""Questions about lyrics and voice: on words and times where they are known, on how the lead sings."""

import random
import re

from music_flamingo.records import Segment
from music_flamingo.teachers.payloads import QuestionsReply, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible_of, reworded_of
from music_flamingo.teachers.scripted.words import first_words, seconds, time_span, whole

OPENING_WORDS = 3
NEED_THE_END = ("lyrics_last_word", "lyrics_line_count")
"""Not asked where the teacher is shown a part of the words."""


def write_lyrics_vocal(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions about the lyrics, their times and the singing."""
    facts = payload.facts
    sung = [line for line in facts.lyrics if _bare(line.label)]
    questions = reworded_of("lyrics_vocal", payload, rng)
    if sung:
        questions += _text(sung, rng)
    if sung and facts.lyrics_are_timed:
        questions += _lines(sung, rng)
    if facts.lyrics_omitted:
        questions = [q for q in questions if q.family not in NEED_THE_END]
    return QuestionsReply(questions=questions + audible_of("lyrics_vocal", payload, [whole(facts)]))


def _bare(text: str) -> str:
    """Letters and digits, with what stands between them."""
    return re.sub(r"^\W+|\W+$", "", text)


def _text(lines: list[Segment], rng: random.Random) -> list[WrittenQuestion]:
    first, last = lines[0], lines[-1]
    opening = first_words(first.label, OPENING_WORDS)
    ending = _bare(_bare(last.label).split()[-1])
    return [
        asked(
            "lyrics_first_words",
            "open",
            rng.choice(("With which words does the text begin?", "What are the first words of the text?")),
            opening,
            f'The first line of the text begins with "{opening}".',
            [time_span(first.start_s, first.end_s, "first line")],
        ),
        asked(
            "lyrics_last_word",
            "open",
            rng.choice(("Which is the last word of the text?", "On which word does the text end?")),
            ending,
            f'The last line of the text ends with "{ending}".',
            [time_span(last.start_s, last.end_s, "last line")],
        ),
    ]


def _lines(lines: list[Segment], rng: random.Random) -> list[WrittenQuestion]:
    line = rng.choice(lines)
    return [
        asked(
            "lyrics_line_count",
            "count",
            "How many lines of words are there?",
            str(len(lines)),
            f"The last line ends at {seconds(lines[-1].end_s)}.",
            [time_span(lines[0].start_s, lines[-1].end_s)],
        ),
        asked(
            "lyrics_line_start",
            "time",
            f'When does the line "{line.label}" begin?',
            seconds(line.start_s),
            f"The line lies between {seconds(line.start_s)} and {seconds(line.end_s)}.",
            [time_span(line.start_s, line.end_s)],
        ),
    ]
