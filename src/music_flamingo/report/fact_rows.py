"""Rows of a song's table of facts: value, tool, confidence, what the score says, and where to listen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from music_flamingo.mir.trust import OF_CLAIMS
from music_flamingo.records import Facts, Instrument, Measured, Truth
from music_flamingo.report.timeline import key_symbol
from music_flamingo.scoring.families import on_sound
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import same_tempo


@dataclass(frozen=True)
class FactRow:
    """One fact of a page: value, tool, confidence, truth, agreement."""

    name: str
    value: str
    tool: str
    confidence: float
    truth: str | None
    """What the score says, where there is one."""
    agrees: bool | None
    """None where nothing can be compared."""
    start_s: float
    end_s: float | None
    """Where it is heard first, to play from there; None is the end of the track."""


def fact_rows(facts: Facts, truth: Truth | None) -> Iterator[FactRow]:
    """What was measured and by which tool, and what the score says of it where there is one."""
    if facts.content:
        yield _row("Heard", facts.content.kind, facts.content)
    if facts.tempo:
        told = f"{truth.tempo_bpm:.0f} bpm" if truth else None
        agrees = same_tempo(facts.tempo.bpm, truth.tempo_bpm) if truth else None
        also = f", or {facts.tempo.also_bpm:.1f}" if facts.tempo.also_bpm else ""
        yield _row("Tempo", f"{facts.tempo.bpm:.1f}{also} bpm", facts.tempo, told, agrees)
    if facts.beats:
        told = f"{truth.meter}, {truth.beats_per_bar} beats a bar" if truth else None
        agrees = facts.beats.beats_per_bar == truth.beats_per_bar if truth else None
        if facts.beats.beats_per_bar:
            row = _row("Meter", f"{facts.beats.beats_per_bar} beats a bar", facts.beats, told, agrees)
            yield replace(row, confidence=_sure(facts, "beats.beats_per_bar"))
    if facts.key:
        told = truth.key if truth else None
        agrees = same_answer(facts.key.label, told) if told else None
        yield _row("Key", key_symbol(facts.key.label), facts.key, told and key_symbol(told), agrees)
    if facts.chords:
        yield _row("Chords", f"{len(facts.chords.segments)} segments", facts.chords)
    if facts.sections:
        told = " ".join(s.label for s in truth.sections) if truth else ""
        yield _row("Form", " ".join(s.label for s in facts.sections.segments), facts.sections, told or None)
    if facts.sound:
        yield from _sound_rows(facts, truth)
    yield from _player_rows(facts)
    if facts.dynamics:
        value = f"{facts.dynamics.trend}, {facts.dynamics.range_db:.1f} dB between soft and loud"
        yield _row("Dynamics", value, facts.dynamics)
    if facts.lyrics:
        value = f"{len(facts.lyrics.lines)} lines" if facts.lyrics.available else "unavailable"
        yield _row("Lyrics", value, facts.lyrics)


def _player_rows(facts: Facts) -> Iterator[FactRow]:
    if facts.instruments and facts.instruments.labels:
        named = (f"{i.name} ({i.probability:.2f})" for i in facts.instruments.labels)
        yield _row("Instruments", ", ".join(named), facts.instruments)
    if facts.voice:
        kind = f"{facts.voice.register_heard or 'a'} voice{' that sings' if facts.voice.sings else ''}"
        yield _row("Voice", kind if facts.voice.present else "none", facts.voice)
    if facts.genre and facts.genre.labels:
        yield _row("Genre", ", ".join(f"{g.name} ({g.probability:.2f})" for g in facts.genre.labels), facts.genre)


def withheld_rows(facts: Facts) -> Iterator[FactRow]:
    """What was measured and is not trusted, with the reason; its value is in the record."""
    for entry in facts.withheld:
        fact = getattr(facts, entry.fact.partition(".")[0])
        if isinstance(fact, Measured):
            name = entry.fact.replace(".", ", ").replace("_", " ").capitalize()
            row = _row(name, f"withheld: {entry.reason.replace('_', ' ')}", fact)
            yield replace(row, confidence=_sure(facts, entry.fact))


def _sound_rows(facts: Facts, truth: Truth | None) -> Iterator[FactRow]:
    """The claims of the sound that are made, each with its own confidence; what is withheld has rows of its own."""
    assert facts.sound is not None
    for family in on_sound():
        heard = family.from_facts(facts)
        if heard is not None:
            held = family.from_truth(truth) if truth else None
            row = _row(family.title, heard, facts.sound, held, heard == held if truth else None)
            yield replace(row, confidence=_sure(facts, family.claim.fact) if family.claim else row.confidence)


def _sure(facts: Facts, claim: str) -> float:
    """The confidence of a claim: its own where it has one, else that of its fact."""
    fact = getattr(facts, claim.partition(".")[0])
    own = getattr(fact, OF_CLAIMS[claim]) if claim in OF_CLAIMS else None
    return float(fact.confidence if own is None else own)


def _row(name: str, value: str, by: Measured, truth: str | None = None, agrees: bool | None = None) -> FactRow:
    tool = f"{by.tool} {by.tool_version}".strip()
    return FactRow(name, value, tool, by.confidence, truth, agrees, *_heard_first(by))


def _heard_first(by: Measured) -> tuple[float, float | None]:
    """The first segment that a fact names; the whole track where it names none."""
    named = [getattr(by, name, None) or [] for name in ("changes", "segments", "heard", "lines")]
    named += [label.heard for label in getattr(by, "labels", []) if isinstance(label, Instrument)][:1]
    first = next((segments[0] for segments in named if segments), None)
    return (first.start_s, first.end_s) if first else (0.0, None)
