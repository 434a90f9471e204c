"""Questions about time: tempo, meter, bars, when sections and chords begin."""

import random
from itertools import pairwise
from statistics import median

from music_flamingo.scoring.families import FAST_ABOVE_BPM, SLOW_BELOW_BPM, tempo_class
from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible, audible_of
from music_flamingo.teachers.scripted.words import bars, chord, plural, seconds, time_span, whole
from music_flamingo.teachers.theory import TEMPO_TERMS, tempo_term

NEAR_BORDER = 0.03
"""A tempo this close to the border of two terms (as a ratio) is not asked for by its term."""

EVEN_WITHIN_S = 0.15
"""A bar that lies further from where even bars would have it is not reckoned from the first one."""
FEWEST_BARS_COUNTED, MOST_BARS_COUNTED, LAST_BAR_ASKED = 6, 32, 16
"""Nobody counts further by ear."""


def write_temporal(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions about tempo, meter, bars, and the times of sections and chords."""
    facts = payload.facts
    questions = [*_tempo(payload, rng), *_meter(payload), *_bars(facts, rng), *_sections(facts), *_chords(facts, rng)]
    questions += audible_of("temporal", payload, [whole(facts)], but=("tempo_class", "meter"))
    return QuestionsReply(questions=questions)


def _tempo(payload: SongPayload, rng: random.Random) -> list[WrittenQuestion]:
    facts = payload.facts
    if facts.tempo_bpm is None or facts.also_bpm is not None:
        return []
    bpm = f"{facts.tempo_bpm:.0f} BPM"
    term = tempo_term(facts.tempo_bpm)
    questions = audible(payload, "tempo_class", [whole(facts)], runs_at(facts.tempo_bpm))
    wording = rng.choice(("What is the tempo in beats per minute?", "How many beats are there in a minute?"))
    questions.append(asked("bpm", "open", wording, bpm, f"The beats follow each other at {bpm}.", [whole(facts)]))
    borders = [border for border, _ in TEMPO_TERMS[:-1]]
    if all(abs(facts.tempo_bpm / border - 1) > NEAR_BORDER for border in borders):
        wording = "Which tempo term fits this music?"
        rationale = f"At {bpm} the metronome's scale reads {term}."
        questions.append(asked("tempo_term", "multiple_choice", wording, term, rationale, [whole(facts)]))
    return questions


def runs_at(bpm: float) -> str:
    """Say the tempo, and the rule by which it is slow, medium or fast."""
    pace = tempo_class(bpm)
    rule = {
        "slow": f"below {SLOW_BELOW_BPM:.0f}",
        "medium": f"between {SLOW_BELOW_BPM:.0f} and {FAST_ABOVE_BPM:.0f}",
        "fast": f"above {FAST_ABOVE_BPM:.0f}",
    }[pace]
    return f"It runs at {bpm:.0f} BPM, and {rule} is {pace}."


def _meter(payload: SongPayload) -> list[WrittenQuestion]:
    facts = payload.facts
    if not facts.beats_per_bar or not facts.downbeats_s:
        return []
    counted = plural(facts.beats_per_bar, "beat")
    first = facts.downbeats_s[0]
    second = facts.downbeats_s[1] if facts.num_bars > 1 else facts.duration_s
    shown = [bars(facts, first, second)]
    return audible(payload, "meter", shown, f"From one downbeat to the next there are {counted}.")


def _bars(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    if facts.num_bars < 2:
        return []
    wording = rng.choice(("How many bars begin in this recording?", "How many downbeats are heard?"))
    rationale = (
        f"The first downbeat is at {seconds(facts.downbeats_s[0])}, the last at {seconds(facts.downbeats_s[-1])}."
        f"{_between(facts)}"
    )
    shown = bars(facts, facts.downbeats_s[0], facts.duration_s)
    counted = asked("bar_count", "count", wording, str(facts.num_bars), rationale, [shown])
    questions = [counted] if FEWEST_BARS_COUNTED <= facts.num_bars <= MOST_BARS_COUNTED else []
    if facts.num_bars < 4:
        return questions
    bar = rng.randint(2, min(facts.num_bars - 1, LAST_BAR_ASKED))
    at_s = facts.downbeats_s[bar - 1]
    spot = bars(facts, at_s, facts.downbeats_s[bar])
    rationale = f"{_from_the_first(facts, bar)}Downbeat number {bar} falls at {seconds(at_s)}."
    return [*questions, asked("bar_start", "time", f"When does bar {bar} begin?", seconds(at_s), rationale, [spot])]


def _bar_s(facts: SongFacts) -> float:
    """The usual length of a bar in s."""
    return median(after - before for before, after in pairwise(facts.downbeats_s))


def _between(facts: SongFacts) -> str:
    """How the count follows from the length of a bar, where bars are even."""
    span_s, bar_s = facts.downbeats_s[-1] - facts.downbeats_s[0], round(_bar_s(facts), 1)
    if bar_s <= 0 or round(span_s / bar_s) != facts.num_bars - 1:
        return ""
    return f" Bars last {seconds(bar_s)}, so {facts.num_bars - 1} of them lie between, and the last one begins."


def _from_the_first(facts: SongFacts, bar: int) -> str:
    """How its time follows from the first downbeat and the length of a bar, where bars are even."""
    first_s, bar_s = facts.downbeats_s[0], _bar_s(facts)
    if abs(first_s + (bar - 1) * bar_s - facts.downbeats_s[bar - 1]) > EVEN_WITHIN_S:
        return ""
    return f"The first bar begins at {seconds(first_s)}, and a bar lasts {bar_s:.2f} s. {bar - 1} of them pass. "


def _sections(facts: SongFacts) -> list[WrittenQuestion]:
    if len(facts.sections) < 2:
        return []
    start_s = facts.sections[1].start_s
    rationale = f"The first section ends at {seconds(start_s)}, where the second takes over."
    shown = time_span(start_s, facts.sections[1].end_s, "second section")
    wording = "When does the second section begin?"
    return [asked("second_section_start", "time", wording, seconds(start_s), rationale, [shown])]


def _chords(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    spans = facts.spans
    if len(spans) < 2:
        return []
    before, after = (s.chord.symbol(facts.key_name) for s in spans[:2])
    wording = rng.choice(("When does the harmony change for the first time?", "When is the second chord reached?"))
    rationale = f"The chord {before} gives way to the chord {after} at {seconds(spans[1].start_s)}."
    shown = [chord(spans[0]), chord(spans[1])]
    return [asked("first_chord_change", "time", wording, seconds(spans[1].start_s), rationale, shown)]
