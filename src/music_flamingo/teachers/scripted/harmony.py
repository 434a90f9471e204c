"""Questions on harmony and theory: mode, key, chords, roman numerals, cadences, borrowing, harmonic rhythm."""

import random

from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible, audible_of
from music_flamingo.teachers.scripted.words import bars, chord, listed, seconds, time_span, whole
from music_flamingo.teachers.theory import (
    Chord,
    KeyName,
    cadence,
    harmonic_rhythm,
    is_borrowed,
    relative_key,
    roman_numeral,
)

RHYTHMS = ("less than once a bar", "about once a bar", "more than once a bar")

MOST_TRIADS = 8
"""More triads than this are not counted by ear."""


def write_harmony(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions about mode, key, chords, roman numerals, cadences and harmonic rhythm."""
    facts, key = payload.facts, payload.facts.key_name
    questions = []
    if key:
        questions += audible(payload, "mode", [whole(facts)])
        questions += _key(facts, key)
    if facts.spans:
        questions += _chords(facts, rng)
    if key and facts.spans:
        questions += _in_the_key(facts, key, rng)
    questions += audible_of("harmony", payload, [whole(facts)], but=("mode",))
    return QuestionsReply(questions=questions)


def _key(facts: SongFacts, key: KeyName) -> list[WrittenQuestion]:
    shown = [whole(facts)]
    relative = relative_key(key)
    rationale = f"The tonic is {key.tonic} and the third above it is {key.mode}."
    where = "three semitones above" if key.mode == "minor" else "three semitones below"
    signature = f"{rationale} The relative has the same signature, and its tonic lies {where}: {relative.tonic}."
    return [
        asked("key", "multiple_choice", "What is the key of this piece?", key.label, rationale, shown),
        asked(
            "relative_key", "open", "Which key is the relative of this piece's key?", relative.label, signature, shown
        ),
    ]


def _chords(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    spans, key = facts.spans, facts.key_name
    first, last, middle = spans[0], spans[-1], rng.choice(spans)
    triads = list(dict.fromkeys(Chord(*s.chord.harmony, seventh="").symbol(key) for s in spans))
    counted = f"The triads heard are {listed(triads)}."
    number = asked(
        "num_chords",
        "count",
        rng.choice(("How many different triads are heard?", "How many distinct triads does the piece use?")),
        str(len(triads)),
        counted,
        [whole(facts)],
    )
    at_s = (middle.start_s + middle.end_s) / 2
    return [
        _name("first_chord", "Which chord is heard first?", first.chord.symbol(key), [chord(first)], "at the start"),
        _name("last_chord", "Which chord is heard last?", last.chord.symbol(key), [chord(last)], "at the end"),
        _name(
            "chord_at_time",
            f"Which chord sounds at {seconds(at_s)}?",
            middle.chord.symbol(key),
            [chord(middle)],
            f"from {seconds(middle.start_s)} to {seconds(middle.end_s)}",
        ),
        *([number] if len(triads) <= MOST_TRIADS else []),
    ]


def _name(family: str, question: str, answer: str, shown: list, where: str) -> WrittenQuestion:
    return asked(family, "chord", question, answer, f"The chord {answer} sounds {where}.", shown)


def _in_the_key(facts: SongFacts, key: KeyName, rng: random.Random) -> list[WrittenQuestion]:
    spans = facts.spans
    span = rng.choice(spans)
    numeral, symbol = roman_numeral(span.chord, key), span.chord.symbol(key)
    at_s = (span.start_s + span.end_s) / 2
    questions = [
        asked(
            "roman_numeral",
            "chord",
            f"Which roman numeral has the chord at {seconds(at_s)}?",
            numeral,
            f"The chord there is {symbol}. Counted from the tonic {key.tonic}, it is {numeral}.",
            [chord(span)],
        )
    ]
    if closing := cadence([s.chord for s in spans], key):
        numerals = [roman_numeral(s.chord, key) for s in spans[-2:]]
        wording = rng.choice(("Which cadence closes the piece?", "With which cadence does the music end?"))
        ends = " and ".join(s.chord.symbol(key) for s in spans[-2:])
        rationale = (
            f"The last two harmonies are {ends}. From the tonic {key.tonic} they are {numerals[0]} and {numerals[1]}."
        )
        shown = [chord(s) for s in spans[-2:]]
        questions.append(asked("cadence", "multiple_choice", wording, closing, rationale, shown))
    return questions + _borrowing(facts, key) + _rhythm(facts)


def _borrowing(facts: SongFacts, key: KeyName) -> list[WrittenQuestion]:
    borrowed = [s for s in facts.spans if is_borrowed(s.chord, key)]
    symbols = list(dict.fromkeys(s.chord.symbol(key) for s in borrowed))
    rationale = f"Borrowed: {listed(symbols)}." if borrowed else "Every chord belongs to the key or to none near it."
    shown = [chord(borrowed[0])] if borrowed else [whole(facts)]
    wording = "Are chords borrowed from the parallel key, yes or no?"
    answer = "yes" if borrowed else "no"
    return [asked("modal_mixture", "multiple_choice", wording, answer, rationale, shown, ("yes", "no"))]


def _rhythm(facts: SongFacts) -> list[WrittenQuestion]:
    rhythm = harmonic_rhythm(facts.spans, facts.num_bars)
    if rhythm is None:
        return []
    changes, num_bars = len(facts.spans) - 1, facts.num_bars
    rationale = f"The harmony changes {changes} times in {num_bars} bars. That is {changes / num_bars:.1f} times a bar."
    shown = [bars(facts, facts.downbeats_s[0], facts.duration_s), time_span(0.0, facts.duration_s)]
    wording = "Does the harmony change less than once a bar, about once a bar or more than once a bar?"
    return [asked("harmonic_rhythm", "multiple_choice", wording, rhythm, rationale, shown, RHYTHMS)]
