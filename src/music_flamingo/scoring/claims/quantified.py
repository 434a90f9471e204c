"""Claims with all, only, more and each: how many chords of a mode there are, of which parts there are more, how long each is."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.clock import EXACT, may_hold_time, seconds_of
from music_flamingo.scoring.claims.form import form_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import PartName, labels_of
from music_flamingo.scoring.claims.wording import is_denied

_CHORDS = r"(?:chords?|triads?|harmon(?:y|ies))"
_ONLY_ONE = re.compile(
    rf"\b(?:(?:the|its|'s|a|one|1) )?(?P<how>only|sole|single|lone|one|1) (?P<mode>minor|major) {_CHORDS}\b",
    re.IGNORECASE,
)
_N_CHORDS = re.compile(
    rf"\b(?:all )?(?:of )?(?:the )?(?P<n>\d+) (?:different |distinct |other )?(?P<mode>minor|major) {_CHORDS}\b",
    re.IGNORECASE,
)
_N_OF_M = re.compile(
    rf"\b(?:only |just )?(?P<n>\d+|none|all|most|both) of (?:the |its |these )?(?:(?P<m>\d+) )?(?:different |distinct )?{_CHORDS}(?:,[^,.;]{{1,40}},| [^,.;]{{1,24}}?)? (?:is|are|sounds?) (?P<mode>minor|major)\b"
    rf"|\bof (?:the |its )?(?P<m2>\d+) (?:different |distinct )?{_CHORDS}(?: [^,.;]{{1,24}}?)?, (?:only |just )?(?P<n2>\d+|none|all|most|both) (?:is|are|sounds?) (?P<mode2>minor|major)\b",
    re.IGNORECASE,
)
_WITHIN = re.compile(
    rf"\b(?P<all>entirely|exclusively|solely|purely|wholly|only|just|nothing but|all|every|none but)(?: (?:of|on|within|in|from|the|\w+ing|its|with|by|using))* (?P<mode>minor|major) (?:chords|triads|harmonies|harmony)\b"
    rf"|\b(?:every|each) (?:single )?{_CHORDS}(?: \w+){{0,3}} (?:is|sounds) (?P<mode2>minor|major)\b|\bno (?P<none>minor|major) {_CHORDS}\b",
    re.IGNORECASE,
)
_MORE_OF_MODE = re.compile(
    rf"\b(?P<how>more|fewer|as many) (?P<mode>minor|major)(?: {_CHORDS})? (?:than|as) (?:minor|major)\b", re.IGNORECASE
)
_NAMES = r"(?:(?P<{k}>verses?|chorus(?:es)?|refrains?|bridges?|intros?|outros?)|(?P<{k}_letter>(?-i:[A-E]))(?: sections?| parts?)?(?![\w#']))"
_MORE_PARTS = re.compile(
    rf"\b(?P<how>more|fewer|as many|as often|an equal number of|equally many) {_NAMES.format(k='a')} (?:than|as|and) {_NAMES.format(k='b')}\b"
    rf"|\b(?:section |the )?{_NAMES.format(k='c')} (?:is|are) (?:heard|sung|played|repeated|found) (?P<how2>as often as|more often than|less often than|just as often as) (?:section |the )?{_NAMES.format(k='d')}",
    re.IGNORECASE,
)
_WHAT = r"(?P<what>sections?|parts?|verses?|chorus(?:es)?|chords?|triads?|harmony|harmonies|halves|intro and (?:the )?outro)"
_EACH = re.compile(
    rf"\b(?:each|every|both|all|the)(?: (?P<one>1))?(?: of (?:them|the|its|these))?(?: (?P<n>\d+))? {_WHAT}(?: \w+)? (?:lasts?|is|are|takes?|runs? for|runs?|spans?|goes on for|go on for|sounds? for|(?:is|are) (?:held|sustained|heard) for)(?: (?:for|about|around|roughly|exactly|just|nearly|almost|also|a|each))* (?:{EXACT})(?! (?:longer|shorter|mark|in\b))"
    rf"|\b(?P<x_what>sections?|parts?|verses|choruses|chords|triads|harmonies|intro\b[^.;]{{0,50}}?\boutro)[^.;]{{0,60}}?(?:, |: | and | with |\()(?:each|both|every one|all)(?: of (?:them|which))?(?: (?:of|held|lasting|lasts?|last|sustained|sounding|is|are|takes?|runs?|running|heard|for|about|around|roughly|exactly|just|nearly|almost))* (?:{EXACT.replace('(?P<', '(?P<x_')})",
    re.IGNORECASE,
)
_EACH_CHORD = re.compile(
    rf"(?<![\w#])[A-G](?:[#b]| flat| sharp)?(?:m| major| minor)?,? each(?: of (?:them|which))?(?: (?:held|lasting|lasts|sounding|sustained|heard|is|for|about|around|roughly|exactly|just|nearly|almost))* (?:{EXACT})",
)
_KINDS = re.compile(
    r"\b(?P<n>\d+) (?P<how>contrasting|different|distinct|alternating|unique|differing) (?:musical |formal |main )?(?:sections?|parts?|themes?|ideas?|strains?)\b",
    re.IGNORECASE,
)
_MODE_WORDS = (" major", " minor")


def read_quantified(text: str) -> Iterator[SpokenClaim]:
    """Read every such claim in a plain text."""
    if holds(text, _MODE_WORDS) and holds(text, ("chord", "triad", "harmon", "more ", "fewer ", "as many")):
        yield from _of_modes(text)
    if holds(text, ("more ", "fewer ", "as many", "as often", "more often", "less often", "equal")):
        for match in _MORE_PARTS.finditer(text):
            yield SpokenClaim("form", match[0], _more_parts(match), is_denied(text, *match.span()))
    if holds(text, ("contrasting", "different", "distinct", "alternating", "unique", "differing")):
        for match in _KINDS.finditer(text):
            yield SpokenClaim("count", match[0], _has_kinds(int(match["n"])), is_denied(text, *match.span()))
    if may_hold_time(text) and holds(text, ("each", "every", "both", "all ", "the ")):
        for match in _EACH.finditer(text):
            if (test := _each_lasts(match)) is not None:
                yield SpokenClaim("time", match[0], test, is_denied(text, *match.span()))
        for match in _EACH_CHORD.finditer(text):
            yield SpokenClaim("time", match[0], _all_last("chords", seconds_of(match.groupdict()), None))


def _of_modes(text: str) -> Iterator[SpokenClaim]:
    for match in _ONLY_ONE.finditer(text):
        yield _mode_claim(match, match["mode"], lambda those, total: those == 1)
    for match in _N_CHORDS.finditer(text):
        yield _mode_claim(match, match["mode"], lambda those, total, n=int(match["n"]): those == n)  # type: ignore[misc]
    for match in _N_OF_M.finditer(text):
        said, of = (match["n"] or match["n2"]).lower(), match["m"] or match["m2"]
        yield _mode_claim(match, match["mode"] or match["mode2"], _so_many(said, int(of) if of else None))
    for match in _WITHIN.finditer(text):
        if match["none"]:
            yield _mode_claim(match, match["none"], lambda those, total: those == 0)
        else:
            yield _mode_claim(match, match["mode"] or match["mode2"], lambda those, total: those == total)
    for match in _MORE_OF_MODE.finditer(text):
        how = match["how"].lower()
        test: Callable[[int, int], bool] = {
            "more": lambda those, total: 2 * those > total,
            "fewer": lambda those, total: 2 * those < total,
        }.get(how, lambda those, total: 2 * those == total)
        yield _mode_claim(match, match["mode"], test)


def _so_many(said: str, of: int | None) -> Callable[[int, int], bool]:
    def fits(those: int, total: int) -> bool:
        if of is not None and of != total:
            return False
        if said in ("all", "both", "none", "most"):
            return {"none": those == 0, "most": 2 * those > total}.get(said, those == total)
        return those == int(said)

    return fits


def _mode_claim(match: re.Match[str], mode: str, fits: Callable[[int, int], bool]) -> SpokenClaim:
    """Claim something of the numbers of chords of a mode, and of all, each counted once."""
    kind = "min" if mode.lower() == "minor" else "maj"

    def test(facts: Facts) -> Held:
        chords = list(dict.fromkeys(heard_triads(facts)))
        if not chords:
            return NOT_MEASURED
        those = sum(own == kind for _, own in chords)
        return fits(those, len(chords)), f"{those} of {len(chords)} {mode} measured"

    return SpokenClaim("chords", match[0], test)


def _more_parts(match: re.Match[str]) -> Callable[[Facts], Held]:
    one, other = ("a", "b") if match["how"] else ("c", "d")
    parts = [
        PartName("section", match[f"{k}_letter"]) if match[f"{k}_letter"] else PartName.of({"part": match[k]})
        for k in (one, other)
    ]
    how = (match["how"] or match["how2"]).lower()

    def test(facts: Facts) -> Held:
        first, second = (part.places(facts) for part in parts)
        if first is None or second is None:
            return NOT_MEASURED
        more = len(first) - len(second)
        fits = more > 0 if how.startswith("more") else more < 0 if how.startswith(("fewer", "less")) else more == 0
        return fits, labels_of(facts)

    return test


def _has_kinds(number: int) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        kinds = len(set(form_of(facts)))
        return (kinds == number, f"{kinds} kinds of section measured") if kinds else NOT_MEASURED

    return test


EACH_ROOM_S = 1.0


def _each_lasts(match: re.Match[str]) -> Callable[[Facts], Held] | None:
    """Give the test whether every such thing lasts so long; None for words that name one thing."""
    groups = {
        name.removeprefix("x_"): said for name, said in match.groupdict().items() if said and name not in ("n", "one")
    }
    what, time_s = groups["what"].lower(), seconds_of(groups)
    if match[0].lower().startswith("the ") and (not what.endswith("s") or what == "chorus"):
        return None
    return _all_last(what, time_s, int(match["n"]) if match["n"] else None)


def _all_last(what: str, time_s: float, number: int | None) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        if what.startswith(("chord", "triad", "harmon")):
            lengths = (
                [s.end_s - s.start_s for s in facts.chords.segments if s.label not in "NX"] if facts.chords else []
            )
        elif what.startswith(("section", "part")):
            lengths = [s.end_s - s.start_s for s in facts.sections.segments] if facts.sections else []
        else:
            names = [PartName.of({"part": w}) for w in (("intro", "outro") if "outro" in what else (what,))]
            lengths = [s.end_s - s.start_s for name in names for s in name.spans(facts) or []]
        if not lengths:
            return NOT_MEASURED
        fits = all(abs(n - time_s) <= EACH_ROOM_S for n in lengths) and number in (None, len(lengths))
        return fits, f"{', '.join(f'{n:.1f}' for n in lengths[:6])} s measured"

    return test
