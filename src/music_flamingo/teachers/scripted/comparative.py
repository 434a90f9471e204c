"""Questions that compare: sections with each other, the first half with the second, the first chord with the last."""

import random

from music_flamingo.records import Reference, Segment
from music_flamingo.scoring.families import yes_no
from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible_of
from music_flamingo.teachers.scripted.words import chord, listed, seconds, time_span, whole
from music_flamingo.teachers.theory import KEY_RELATIONS, KeyName, form_letters, key_relation

HALVES = ("first half", "second half", "both alike")
CLEARLY_LONGER = 1.15
"""A section is called the longest when it exceeds every other by this ratio."""
ALIKE_WITHIN = 0.1
"""Halves whose numbers of changes differ by less than this part of all are alike to the ear."""
MOST_SECTIONS = 10
"""More sections than this are neither counted nor spelled out as a form."""


def write_comparative(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions that compare halves, sections, outer chords and outer keys."""
    facts = payload.facts
    questions = [
        *_louder_half(facts),
        *_busier_half(facts),
        *_leading_half(facts),
        *_outer_chords(facts),
        *_outer_keys(facts),
    ]
    if facts.sections:
        questions += _sections(facts, rng)
    return QuestionsReply(questions=questions + audible_of("comparative", payload, [whole(facts)]))


def louder_of(facts: SongFacts) -> str | None:
    """Which of HALVES is louder; None where nobody measured it."""
    trends = {"falling": HALVES[0], "rising": HALVES[1], "steady": HALVES[2]}
    return trends[facts.dynamics_trend] if facts.dynamics_trend else None


def changes_by_half(facts: SongFacts) -> tuple[int, int]:
    """How often the harmony changes in the first half and in the second."""
    middle_s, changes = facts.duration_s / 2, [s.start_s for s in facts.spans[1:]]
    return sum(t < middle_s for t in changes), sum(t >= middle_s for t in changes)


def _busier(facts: SongFacts) -> str | None:
    """In which of HALVES the harmony changes more often; None with too few harmonies to say."""
    if len(facts.spans) < 3:
        return None
    before, after = changes_by_half(facts)
    alike = abs(before - after) <= ALIKE_WITHIN * (before + after)
    return HALVES[2] if alike else HALVES[0 if before > after else 1]


def _both_halves(facts: SongFacts) -> list[Reference]:
    middle_s = facts.duration_s / 2
    return [time_span(0.0, middle_s, HALVES[0]), time_span(middle_s, facts.duration_s, HALVES[1])]


def _louder_half(facts: SongFacts) -> list[WrittenQuestion]:
    answer = louder_of(facts)
    if answer is None or facts.dynamics_trend == "steady":
        return []
    wording = "Which half is louder: first half, second half or both alike?"
    rationale = f"From the beginning to the end the loudness is {facts.dynamics_trend}."
    return [asked("louder_half", "comparison", wording, answer, rationale, [whole(facts)], HALVES)]


def _busier_half(facts: SongFacts) -> list[WrittenQuestion]:
    answer = _busier(facts)
    if answer is None:
        return []
    before, after = changes_by_half(facts)
    wording = "In which half does the harmony change more often: first half, second half or both alike?"
    rationale = f"There are {before} changes before {seconds(facts.duration_s / 2)} and {after} from there on."
    return [asked("busier_half", "comparison", wording, answer, rationale, _both_halves(facts), HALVES)]


def _leading_half(facts: SongFacts) -> list[WrittenQuestion]:
    """A composite of two comparisons: a near miss where the harmony changes more often in the other, or in both."""
    louder, busier = louder_of(facts), _busier(facts)
    if louder is None or busier is None or louder == HALVES[2]:
        return []
    leads = louder == busier
    before, after = changes_by_half(facts)
    wording = "Is the half that is louder also the one in which the harmony changes more often, yes or no?"
    rationale = (
        f"The loudness is {facts.dynamics_trend}, and the harmony changes {before} times and then {after} times."
    )
    return [asked("leading_half", "comparison", wording, yes_no(leads), rationale, _both_halves(facts), ("yes", "no"))]


def _outer_chords(facts: SongFacts) -> list[WrittenQuestion]:
    spans = facts.spans
    if len(spans) < 2:
        return []
    first, last = spans[0], spans[-1]
    same = first.chord.harmony == last.chord.harmony
    names = [s.chord.symbol(facts.key_name) for s in (first, last)]
    wording = "Is the last chord the same as the first, yes or no?"
    rationale = f"It begins on the chord {names[0]} and ends on the chord {names[1]}."
    shown = [chord(first), chord(last)]
    return [asked("same_outer_chords", "comparison", wording, "yes" if same else "no", rationale, shown, ("yes", "no"))]


def _outer_keys(facts: SongFacts) -> list[WrittenQuestion]:
    """How the key of the end is related to that of the beginning, where the music modulates."""
    if len(facts.key_changes) < 2:
        return []
    first, last = facts.key_changes[0], facts.key_changes[-1]
    before, after = KeyName.parse(first.label), KeyName.parse(last.label)
    relation = key_relation(before, after)
    wording = f"How is the key of the end related to that of the beginning: {listed(KEY_RELATIONS, 'or')}?"
    rationale = f"It begins in a {before.mode} key on {before.tonic} and ends in a {after.mode} key on {after.tonic}."
    shown = [time_span(s.start_s, s.end_s, s.label) for s in (first, last)]
    return [asked("key_relation", "comparison", wording, relation, rationale, shown, KEY_RELATIONS)]


def _sections(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    letters, sections = form_letters(facts.sections), facts.sections
    if not 1 < len(sections) <= MOST_SECTIONS or len(set(letters)) == 1:
        return []
    shown = [time_span(s.start_s, s.end_s, letter) for letter, s in zip(letters, sections, strict=True)]
    form = " ".join(letters)
    wording = rng.choice(("How many sections does the piece have?", "Of how many sections is the music made?"))
    starts = ", ".join(seconds(s.start_s) for s in sections)
    questions = [asked("section_count", "count", wording, str(len(sections)), f"Sections begin at {starts}.", shown)]
    because = f"Sections that sound alike share a letter, which gives {form}."
    questions.append(asked("form", "multiple_choice", "Which letters describe the form?", form, because, shown))
    if len(sections) > 2:
        back = letters[-1] == letters[0]
        wording = "Does the first section come back at the end, yes or no?"
        answer = "yes" if back else "no"
        questions.append(asked("opening_returns", "comparison", wording, answer, because, shown, ("yes", "no")))
    return questions + _longest(facts.sections)


def _longest(sections: list[Segment]) -> list[WrittenQuestion]:
    if not 2 <= len(sections) <= len(ORDINALS):
        return []
    lengths = sorted(((s.end_s - s.start_s, i) for i, s in enumerate(sections)), reverse=True)
    if lengths[0][0] < CLEARLY_LONGER * lengths[1][0]:
        return []
    length_s, index = lengths[0]
    options = ORDINALS[: len(sections)]
    shown = [time_span(s.start_s, s.end_s, name) for s, name in zip(sections, options, strict=True)]
    wording = "Which section is the longest?"
    rationale = f"It lasts {seconds(length_s)}, the next longest {seconds(lengths[1][0])}."
    return [asked("longest_section", "comparison", wording, options[index], rationale, shown, options)]


ORDINALS = ("the first", "the second", "the third", "the fourth", "the fifth", "the sixth", "the seventh", "the eighth")
