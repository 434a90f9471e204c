"""Questions on words and voice: asked only where the words are known, and on the singing manner of the lead."""

import random
import re

from music_flamingo.records import Segment
from music_flamingo.teachers.payloads import Asked, QuestionsReply, SongFacts, SongPayload
from music_flamingo.teachers.scripted.asking import asked
from music_flamingo.teachers.scripted.words import seconds, stretch, whole


def write_lyrics_vocal(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    facts = payload.facts
    sung = [line for line in facts.lyrics if _bare(line.label)]
    return QuestionsReply(questions=_cantabile(facts) + (_lines(sung, rng) if sung else []))


def _bare(text: str) -> str:
    """Letters and digits, with what stands between them."""
    return re.sub(r"^\W+|\W+$", "", text)


def _cantabile(facts: SongFacts) -> list[Asked]:
    if facts.lead_envelope is None:
        return []
    can_swell = facts.lead_envelope == "sustained"
    answer = "yes" if can_swell else "no"
    rationale = "Its notes are held as a voice holds them." if can_swell else "Its notes fade where a voice would hold."
    wording = "Does the leading line hold its notes as a singing voice can, yes or no?"
    return [asked("vocal_sustain", "technique", wording, answer, rationale, [whole(facts)], ("yes", "no"))]


def _lines(lines: list[Segment], rng: random.Random) -> list[Asked]:
    first, line = lines[0], rng.choice(lines)
    opening = stretch(first.start_s, first.end_s, "first line")
    return [
        asked(
            "lyrics_first_line",
            "open",
            rng.choice(("What is the first line of the words?", "With which line do the words begin?")),
            first.label,
            f"The first line begins at {seconds(first.start_s)}.",
            [opening],
        ),
        asked(
            "lyrics_line_count",
            "count",
            "How many lines of words are there?",
            str(len(lines)),
            f"The last line ends at {seconds(lines[-1].end_s)}.",
            [stretch(first.start_s, lines[-1].end_s)],
        ),
        asked(
            "lyrics_line_start",
            "time",
            f'When does the line "{line.label}" begin?',
            seconds(line.start_s),
            f"The line lies between {seconds(line.start_s)} and {seconds(line.end_s)}.",
            [stretch(line.start_s, line.end_s)],
        ),
        asked(
            "lyrics_last_word",
            "open",
            f"Which is the last word of the line that begins at {seconds(line.start_s)}?",
            _bare(_bare(line.label).split()[-1]),
            f"The line lies between {seconds(line.start_s)} and {seconds(line.end_s)}, and this word ends it.",
            [stretch(line.start_s, line.end_s)],
        ),
    ]
