"""Answers that choose between what their question offers: the nearer tempo, the later chord, the longer one, major or minor."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.gates import has_digit, holds
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.wording import is_denied

_NEARER = re.compile(
    r"\b(?:nearer|closer|nearest|closest)(?: (?:to|at))? (?:around |about )?(?P<one>\d{2,3})\b[^?]*?\bor\b[^?]*?(?P<other>\d{2,3})(?! ?(?:s\b|sec|minutes|bars))",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"(?<![\d.])\d{2,3}(?![\d.:])")
_MORE_OF = re.compile(
    r"\bmore (?:of the )?(?P<one>major|minor)\b[^?]*\bor\b[^?]*\b(?:minor|major)\b[^?]*\b(?:chords?|triads?|harmonies)|\b(?:chords?|triads?)\b[^?]*\bmostly (?:major|minor) or (?:mostly )?(?:minor|major)",
    re.IGNORECASE,
)
_MODE = re.compile(r"\b(?P<mode>major|minor)\b", re.IGNORECASE)
_LATER = re.compile(
    r"\b(?:which|what)\b[^?]*\b(?:comes|is heard|sounds|appears|enters|arrives) (?:(?P<later>later|last|second)|earlier|first|sooner)\b[^?]*\bor\b",
    re.IGNORECASE,
)
_LONGER = re.compile(
    r"\b(?:which|what)\b[^?]*\b(?:(?P<longer>longer|longest|most time)|shorter|shortest|least time)\b", re.IGNORECASE
)
_ALL_ALIKE = re.compile(
    r"\b(?:equally long|equal|the same|as long as (?:each other|one another)|neither|none|all alike)\b", re.IGNORECASE
)
_SHARE_OF_TIME = re.compile(
    r"^(?:(?:for )?how much of|for how (?:long|many seconds)|how (?:long|many seconds))\b[^?]*\b(?:hear|heard|sounds?|spent on|stay on|rest on|is on|for)\b[^?]*?(?P<chord>(?<![\w'])(?-i:[A-G])(?:[#b](?![a-z])| sharp| flat)?(?: ?(?-i:m7?|maj7|7|major|minor)(?![\w#]))?)(?: chord| triad)?\W*$",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"(?<![\d.:])(\d+(?:\.\d+)?) ?(?:s|secs?|seconds?)\b", re.IGNORECASE)
ROOM_S = 0.3


def answer_alternatives(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read an answer that chooses one of what a plain question offers."""
    if has_digit(question) and (nearer := _NEARER.search(question)) is not None:
        said = next((m for m in _FIGURE.finditer(text) if m[0] in (nearer["one"], nearer["other"])), None)
        if said is not None:
            other = nearer["other"] if said[0] == nearer["one"] else nearer["one"]
            yield SpokenClaim("tempo", text, _is_nearer(float(said[0]), float(other)))
        return
    if not holds(question, ("chord", "triad", "harmon", "major", "minor", "how much")):
        return
    if _MORE_OF.search(question) is not None:
        mode = _MODE.search(text)
        if mode is not None:
            yield SpokenClaim(
                "chords",
                text,
                _prevails("min" if mode["mode"].lower() == "minor" else "maj"),
                is_denied(text, *mode.span()),
            )
        return
    if (shared := _SHARE_OF_TIME.search(question)) is not None and (time := _SECONDS.search(text)) is not None:
        yield SpokenClaim("chords", text, _sounds_for(triads_in(f" {shared['chord']}"), float(time[1])))
        return
    offered, chosen = triads_in(re.sub(r"\bA (?=[a-z])", "", question)), triads_in(text)
    if chosen and len({root for root, _ in offered}) > 1:
        if (later := _LATER.search(question)) is not None:
            yield SpokenClaim("chords", text, _comes(chosen, offered, is_last=bool(later["later"])))
        elif (longer := _LONGER.search(question)) is not None:
            yield SpokenClaim("chords", text, _lasts(chosen, offered, is_most=bool(longer["longer"])))
    elif (
        not chosen
        and _LONGER.search(question)
        and holds(question, ("chord", "triad", "harmon"))
        and _ALL_ALIKE.search(text)
    ):
        yield SpokenClaim("chords", text, _all_last_alike)


def _sounds_for(chords: list[tuple[int, str]], time_s: float) -> Callable[[Facts], Held]:
    """Whether a chord sounds for so many seconds, all in all."""

    def test(facts: Facts) -> Held:
        total_s = sum(own_s for chord, own_s in _totals(facts).items() if chord in chords)
        if total_s == 0:
            return NOT_MEASURED
        return abs(total_s - time_s) <= max(ROOM_S, 0.1 * total_s), f"{total_s:.1f} s measured"

    return test


def _is_nearer(said: float, other: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        bpm = facts.tempo.bpm
        return abs(bpm - said) < abs(bpm - other), f"{bpm:.1f} BPM measured"

    return test


def _prevails(kind: str) -> Callable[[Facts], Held]:
    """Whether most of the chords, each counted once, are of a mode."""

    def test(facts: Facts) -> Held:
        heard = set(heard_triads(facts))
        if not heard:
            return NOT_MEASURED
        those = sum(own == kind for _, own in heard)
        return 2 * those > len(heard), f"{those} of {len(heard)} measured"

    return test


def _comes(chosen: list[tuple[int, str]], offered: list[tuple[int, str]], is_last: bool) -> Callable[[Facts], Held]:
    """Whether one of the chords offered is heard first after, or before, the others."""

    def test(facts: Facts) -> Held:
        heard = heard_triads(facts)
        found = [chord for chord in heard if chord in offered]
        if len(set(found)) < 2:
            return NOT_MEASURED
        firsts = list(dict.fromkeys(found))
        wanted = {firsts[-1], found[-1]} if is_last else {firsts[0]}
        return not wanted.isdisjoint(chosen), "another order measured"

    return test


def _totals(facts: Facts) -> dict[tuple[int, str], float]:
    """Give the seconds that each triad sounds, all in all."""
    total_s: dict[tuple[int, str], float] = {}
    for s in facts.chords.segments if facts.chords else []:
        chord = triad_of(s.label) if s.label not in "NX" else None
        if chord is not None:
            total_s[chord] = total_s.get(chord, 0.0) + s.end_s - s.start_s
    return total_s


def _lasts(chosen: list[tuple[int, str]], offered: list[tuple[int, str]], is_most: bool) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        total_s = {chord: time_s for chord, time_s in _totals(facts).items() if chord in offered}
        own = [time_s for chord, time_s in total_s.items() if chord in chosen]
        if len(total_s) < 2 or not own:
            return NOT_MEASURED
        best_s = max(total_s.values()) if is_most else min(total_s.values())
        return abs(own[0] - best_s) <= ROOM_S, f"{', '.join(f'{n:.1f}' for n in total_s.values())} s measured"

    return test


def _all_last_alike(facts: Facts) -> Held:
    total_s = _totals(facts)
    if len(total_s) < 2:
        return NOT_MEASURED
    alike = max(total_s.values()) - min(total_s.values()) <= max(ROOM_S, 0.12 * max(total_s.values()))
    return alike, f"{', '.join(f'{n:.1f}' for n in total_s.values())} s measured"
