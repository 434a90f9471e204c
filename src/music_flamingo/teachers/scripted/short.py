"""Short descriptions: the caption of one window, the one-sentence caption, and its structured truth."""

import random

from music_flamingo.records import Category
from music_flamingo.records.heard import SoundClaims
from music_flamingo.scoring.families import FAMILIES, Claim, Family, in_captions, meter_class, tempo_class
from music_flamingo.teachers.payloads import (
    SongFacts,
    SongPayload,
    StructuredPayload,
    StructuredReply,
    TextReply,
    WindowPayload,
)
from music_flamingo.teachers.scripted.players import NAMED_INSTRUMENTS, SINGS, SPEAKS, are_heard, players, sings
from music_flamingo.teachers.scripted.words import listed, one_of, sentence
from music_flamingo.teachers.theory import form_letters, roman_numeral

DRUMS = FAMILIES["drums"].claims["yes"]
TRENDS = {"steady": "steady in level", "rising": "growing louder", "falling": "growing softer"}
NOT_MUSIC = {"speech": "Someone speaks; no music is heard.", "neither": "No music is heard."}
LONGEST_PROGRESSION = 8
"""A progression is quoted by its first chords; more numerals in a row are not read by anyone."""


def write_initial_caption(payload: WindowPayload, rng: random.Random) -> TextReply:
    """What is heard on the surface of one segment: no key, no tempo, no names."""
    if payload.content in NOT_MUSIC:
        return TextReply(text=NOT_MUSIC[payload.content])
    heard = []
    named = [name for name in payload.instruments[:NAMED_INSTRUMENTS] if "drum" not in name and name != "voice"]
    if payload.has_voice and payload.content == "music":
        heard.append(SPEAKS if payload.is_spoken else SINGS[payload.singer])
    if named:
        heard.append(are_heard(named))
    heard += [one_of(claim.in_window, rng) for _, claim in heard_claims(payload)]
    if payload.dynamics_trend in ("rising", "falling"):
        heard.append("over the whole track it grows " + ("louder" if payload.dynamics_trend == "rising" else "softer"))
    if len(heard) == 1 and heard[0] in DRUMS.in_window:
        return TextReply(text="Drums are heard.")  # nobody is known with whom they play along
    return TextReply(text=sentence(listed(heard) if heard else "music is heard"))


def write_short_caption(payload: SongPayload, rng: random.Random) -> TextReply:
    """`A fast piece in duple meter with chords, decaying notes and drums.` One pattern, so that little is to learn.

    The tempo class stands where the audible family gives one; whatever has no fact is left out.
    """
    slots = _slots(payload)
    opening = f"a {slots['tempo']} piece" if "tempo" in slots else "a piece"
    if "meter" in slots:
        opening += f" in {slots['meter']}"
    heard = [claim.phrase for _, claim in heard_claims(payload.facts)]
    return TextReply(text=sentence(opening + (f" with {listed(heard)}" if heard else "")))


def write_structured_truth(payload: StructuredPayload, rng: random.Random) -> StructuredReply:
    """What a caption should name, by category; any of a category's values counts. No fact, no category."""
    slots = _slots(payload)
    values: dict[str, list[str]] = {}
    if "tempo" in slots:
        values["bpm"] = [slots["tempo"]]
    if "meter" in slots:
        values["meter"] = [slots["meter"]]
    of_sound = {family.name: (family, claim) for family, claim in heard_claims(payload.facts)}
    for family, claim in (of_sound[name] for name in FAMILIES if name in of_sound):
        values[family.category] = list(claim.in_truth) or [claim.phrase]
    if payload.detail == "full":
        values |= _full_values(payload.facts)
        values |= _players(payload.facts)
    return StructuredReply(categories=[Category(name=name, values=v) for name, v in values.items()])


def _full_values(facts: SongFacts) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    if facts.tempo_bpm:
        values["bpm"] = [f"{facts.tempo_bpm:.0f} BPM"]
    if facts.key:
        values["key"] = [facts.key]
    if len(facts.sections) > 1:
        values["structure"] = [" ".join(form_letters(facts.sections))]
    if facts.dynamics_trend:
        values["dynamics"] = [TRENDS[facts.dynamics_trend]]
    if numerals := progression(facts):
        values["theory"] = [" ".join(numerals)]
    return values


def _players(facts: SongFacts) -> dict[str, list[str]]:
    """Who plays, who sings, and in which style, as far as it is known."""
    values: dict[str, list[str]] = {}
    if named := players(facts.instruments, facts.has_drums):
        values["instruments"] = named
    if facts.has_voice is False:
        values["vocal_character"] = ["instrumental", "no voice", "no vocals"]
    elif singing := sings(facts.has_voice, [s.label for s in facts.voice], facts.singer):
        of_register = [f"{facts.singer} vocals", f"{facts.singer} voice"] if facts.singer else ["vocals", "singing"]
        values["vocal_character"] = [*of_register, singing]
    if facts.genres:
        values["genre"] = list(facts.genres)
    return values


def progression(facts: SongFacts) -> list[str]:
    """The opening harmonies as roman numerals."""
    key = facts.key_name
    return [roman_numeral(span.chord, key) for span in facts.spans[:LONGEST_PROGRESSION]] if key else []


def _slots(payload: SongPayload) -> dict[str, str]:
    facts = payload.facts
    slots = {}
    closed = {c.family: c.answer for c in payload.closed}
    if "tempo_class" in closed and facts.tempo_bpm is not None:
        slots["tempo"] = tempo_class(facts.tempo_bpm)
    meter = meter_class(facts.beats_per_bar) if facts.beats_per_bar else None
    if meter:
        slots["meter"] = f"{meter} meter"
    return slots


def heard_claims(claims: SoundClaims) -> list[tuple[Family, Claim]]:
    """Give what is known of the players in the order of captions: each family with the claim of its answer."""
    answers = ((family, family.claim.answer(claims)) for family in in_captions() if family.claim)
    return [(family, family.claims[answer]) for family, answer in answers if answer]
