"""Answer a question from measured facts, where the model was never trained on such a question."""

from music_flamingo.records import Facts, Measured, trusted
from music_flamingo.scoring.claims import topic_of
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.scoring.normalise import normalise_answer


def measured_answer(question: str, facts: Facts) -> str | None:
    """`F# minor (vote 1.0, confidence 0.62)`; None where nothing trusted speaks of what is asked.

    A question in a family's own wording is answered by that family, another by its topic.
    """
    held = trusted(facts)
    for family in FAMILIES.values():
        by = next((getattr(held, name) for name in family.rests_on if getattr(held, name)), None)
        if by is not None and normalise_answer(family.question) == normalise_answer(question):
            value = family.from_facts(held)
            own = getattr(by, family.claim.confidence, None) if family.claim else None
            return _said(value, by, own) if value else None
    topic = topic_of(question)
    found = _by_topic(topic, held) if topic else None
    return _said(*found) if found else None


def _by_topic(topic: str, facts: Facts) -> tuple[str, Measured] | None:
    if topic == "tempo" and facts.tempo:
        return f"{facts.tempo.bpm:.0f} BPM", facts.tempo
    if topic == "meter" and facts.beats:
        return f"{facts.beats.beats_per_bar} beats in a bar", facts.beats
    if topic == "key" and facts.key:
        return facts.key.label, facts.key
    if topic == "chords" and facts.chords:
        labels = dict.fromkeys(s.label for s in facts.chords.segments if s.label not in ("N", "X"))
        return ", ".join(labels), facts.chords
    if topic == "form" and facts.sections:
        return " ".join(s.label for s in facts.sections.segments), facts.sections
    return None


def _said(value: str, by: Measured, of_claim: float | None = None) -> str:
    """The value with its tool and confidence; a claim of the sound may have a confidence of its own."""
    return f"{value} ({by.tool}, confidence {by.confidence if of_claim is None else of_claim:.2f})"
