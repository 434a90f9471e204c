"""Claims about triads: which notes they have, how many are minor, that one is heard throughout, or none for a while."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.clock import EXACT, may_hold_time, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.keys import key_label, key_of
from music_flamingo.scoring.claims.wording import is_denied
from music_flamingo.scoring.normalise import PITCH_CLASSES

_NOTE = r"[A-G](?:[#b](?![a-z])| sharp\b| flat\b)?(?![\w#])"
_SPELLED = re.compile(
    rf"\b(?P<what>(?i:tonic|home|subdominant|dominant)(?i: triad| chord)?|(?P<chord>{_NOTE}(?i: ?major| ?minor|m)?)(?i: triad| chord)?)(?i: here)? (?i:consists? of|is (?:made|built) (?:up )?(?:of|from)|is spelled|spells|contains?|comprises?|has|is) (?i:the notes |the tones )?(?P<notes>{_NOTE}(?:, {_NOTE})*,? (?:and )?{_NOTE})(?! (?i:major|minor))"
)
_A_NOTE = re.compile(_NOTE)
_THIRD = {"maj": 4, "min": 3, "dim": 3, "aug": 4, "sus": 5}
_FIFTH = {"maj": 7, "min": 7, "dim": 6, "aug": 8, "sus": 7}
_OF_KEY = {"tonic": 0, "home": 0, "subdominant": 5, "dominant": 7}
_HOW_MANY = re.compile(
    r"\b(?P<how>all(?: of)?|every|each|both|none(?: of)?|no|most(?: of)?|only|just|exactly|of)(?: (?:the|these|its))?(?: (?P<n>\d+))?(?: different| other)? (?:chords?|triads?|harmonies|harmony)(?:,? (?P<only>only|just)?(?: (?P<m>1|2|3|4|the \w+)(?: 1| chord)?)?)? (?:is|are|sounds?|being) (?:an? )?(?P<mode>minor|major)\b(?! (?:key|7|seventh|mode|scale))",
    re.IGNORECASE,
)
_STAYS = re.compile(
    r"\b(?:(?:stays?|remains?|sits?|rests?|dwells?|lingers?|hovers?|keeps?|holds?)(?: put)?(?: only| solely| exclusively)? (?:on|to|over)|never (?:leaves?|moves? away from|strays? from|departs? from))(?: the| an?)?(?: tonic| home)?(?: chord of| chord,?)? (?P<chord>[A-G](?:[#b](?![a-z])| sharp| flat)?(?i: ?major| ?minor|m\b)?)(?: chord| triad| harmony)?(?P<all> (?:for the (?:whole|entire)|throughout|from (?:start|beginning) to|all (?:the way|through|the time)|the (?:whole|entire) (?:time|way|piece|song)|until the end)\b)?"
)
_SILENCE = re.compile(
    rf"\b(?:silence|silent|no (?:chords?|harmony|music|sound)|nothing)(?: (?:is|are))?(?: (?:heard|sounds?|sounding|played|plays))? (?:for|during|in|over)(?: (?:about|around|roughly|nearly|almost))* (?:the )?(?P<edge>first|last|opening|initial|final)? ?(?:{EXACT}|(?P<one>second)\b)"
    rf"|\b(?:after|following)(?: (?:about|around|roughly|nearly|almost))* (?:{EXACT.replace('(?P<', '(?P<x_')}|(?P<x_one>a second|1 second)) (?:of silence|without (?:any )?(?:harmony|chords?|sound|music))\b",
    re.IGNORECASE,
)


def read_triads(text: str) -> Iterator[SpokenClaim]:
    """Read every such claim in a plain text."""
    for match in _SPELLED.finditer(text) if holds(text, _SPELLING) else ():
        yield SpokenClaim("chords", match[0], _is_spelled(match), is_denied(text, *match.span()))
    for match in _HOW_MANY.finditer(text) if holds(text, _ARE) and holds(text, _CHORD_WORDS) else ():
        if match["how"].lower() != "of" or match["m"]:
            yield SpokenClaim("chords", match[0], _are_of_mode(match))
    for match in _STAYS.finditer(text) if holds(text, _ALWAYS) and holds(text, _STAYING) else ():
        if match["all"] or match[0].startswith("never"):
            yield SpokenClaim("chords", match[0], _is_alone(match["chord"]))
    for match in (
        _SILENCE.finditer(text)
        if holds(text, ("silen", "without", "nothing", "no chord", "no harmon", "no music", "no sound"))
        and (may_hold_time(text) or holds(text, ("second",)))
        else ()
    ):
        yield SpokenClaim("chords", match[0], _is_silent(match))


_SPELLING = ("consist", "made ", "built ", "spell", "contain", "compris", "has the notes", "is the notes")
_ARE = (" is minor", " is major", " are minor", " are major", " is a m", "being m", " sound m", " sounds m")
_ALWAYS = ("never", "throughout", "whole", "entire", " all ", "from start", "from beginning", "until the end")
_CHORD_WORDS = ("chord", "triad", "harmon")
_STAYING = ("stay", "remain", "sit", "rest", "dwell", "linger", "hover", "keep", "hold", "never")


def _pitch(note: str) -> int:
    shift = {"#": 1, "sharp": 1, "b": -1, "flat": -1}.get(note[1:].strip().lower(), 0)
    return (PITCH_CLASSES[note[0].lower()] + shift) % 12


def _notes_of(chord: tuple[int, str]) -> set[int]:
    root, kind = chord
    return {root, (root + _THIRD[kind]) % 12, (root + _FIFTH[kind]) % 12}


def _is_spelled(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether a triad has these notes: that of a chord by itself, that of a degree by the measured key."""
    said = {_pitch(note) for note in _A_NOTE.findall(match["notes"])}
    named = triads_in(f" {match['chord']}") if match["chord"] else []
    above = _OF_KEY.get(match["what"].lower().split()[0], 0)

    def test(facts: Facts) -> Held:
        if named:
            fits = any(_notes_of(chord) <= said or said <= _notes_of(chord) for chord in named)
            return fits, "its notes"
        key = key_of(facts)
        if key is None:
            return NOT_MEASURED
        root = (key[0] + above) % 12
        kinds = ("maj", "min") if above == 7 and key[1] == "minor" else ("min" if key[1] == "minor" else "maj",)
        fits = any(_notes_of((root, kind)) <= said or said <= _notes_of((root, kind)) for kind in kinds)
        return fits, f"{key_label(facts)} measured"

    return test


def _are_of_mode(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether all, no, or so many of the chords heard are minor, or major."""
    how, mode = match["how"].lower().split()[0], "min" if match["mode"].lower() == "minor" else "maj"
    counted = match["m"] if match["m"] and match["m"].isdigit() else None
    number = int(counted or (match["n"] if how in ("only", "just", "exactly") else "") or (1 if match["m"] else 0))

    def test(facts: Facts) -> Held:
        chords = list(dict.fromkeys(heard_triads(facts)))
        if not chords:
            return NOT_MEASURED
        those = sum(kind == mode for _, kind in chords)
        fact = f"{those} of {len(chords)} {match['mode']} measured"
        if how in ("all", "every", "each", "both"):
            return those == len(chords), fact
        if how in ("none", "no"):
            return those == 0, fact
        if how == "most":
            return 2 * those > len(chords), fact
        return (those == number if number else None), fact

    return test


def _is_alone(said: str) -> Callable[[Facts], Held]:
    wanted = triads_in(f" {said}")

    def test(facts: Facts) -> Held:
        heard = set(heard_triads(facts))
        if not heard:
            return NOT_MEASURED
        named = ", ".join(s.label for s in facts.chords.segments[:8]) if facts.chords else ""
        return len(heard) == 1 and not heard.isdisjoint(wanted), f"{named} measured"

    return test


SILENCE_ROOM_S = 0.75
"""By which the end of a silence may be missed."""


def _is_silent(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether no chord sounds for so long at the beginning, or at the end."""
    groups = {name.removeprefix("x_"): said for name, said in match.groupdict().items() if said}
    time_s = 1.0 if groups.get("one") else seconds_of(groups)
    is_first = (match["edge"] or "first").lower() not in ("last", "final")

    def test(facts: Facts) -> Held:
        segments = facts.chords.segments if facts.chords else []
        sounding = [s for s in segments if s.label not in "NX" and triad_of(s.label)]
        if not sounding or facts.duration_s is None:
            return NOT_MEASURED
        silent_s = sounding[0].start_s if is_first else facts.duration_s - sounding[-1].end_s
        return abs(silent_s - time_s) <= SILENCE_ROOM_S, f"{silent_s:.1f} s without a chord measured"

    return test
