"""Claims about the parts of a piece: which comes first, next, last, how often, and which are alike."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.form import form_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

ORDINAL = rf"(?:{'|'.join(ORDINALS)}|\d+(?:st|nd|rd|th)|last|final|opening|closing|middle|contrasting|next|new|whole|entire|only)"
PART = (
    r"sections?|parts?|material|strains?|verses?|chorus(?:es)?|refrains?|bridges?|intro(?:duction)?s?|outros?|codas?|middle eight|pre chorus(?:es)?"
    r"|interludes?|breakdowns?|solos?|hooks?|hal(?:f|ves)|thirds?|quarters?|strophes?|stanzas?"
)
PART_WORDS = (
    "section", "part", "material", "strain", "verse", "chorus", "refrain", "bridge", "intro", "outro", "coda", "middle eight", "interlude",
    "breakdown", "solo", "hook", "half", "third", "quarter", "strophe", "stanza",
)  # fmt: skip
WHOLE = "whole"
"""The name of the recording as a part of itself."""
GENERAL = frozenset(("section", "part", "material", "strain"))
_SHARES = {"half": 2, "halve": 2, "third": 3, "quarter": 4}
_SAME = {"refrain": "chorus", "hook": "chorus", "strophe": "verse", "stanza": "verse", "introduction": "intro"}


_ANY_PART = re.compile(rf"\b(?:{PART})\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def parts_named(text: str) -> int:
    """Count the names of parts in a text: patterns of two parts are not tried where one stands."""
    return len(_ANY_PART.findall(text)) if holds(text, PART_WORDS) else 0


VERB_OF_A_PART = (
    r"lasts?|begins?|starts?|enters?|ends?|returns?|comes?|takes? up|is (?:longer|shorter|heard|stated|played|repeated|sung|as long|twice|half|the|new)|are (?:equally|of|heard|the same)|follows?|closes?|opens?|alternates?|covers?|spans?|fills?|occup(?:y|ies)"
    r"|appears?|recurs?|arrives?|runs?|sets? in|makes? up|goes on|stands?|precedes?|leads?|contrasts?|differs?"
)


def a_part(n: str = "") -> str:
    """Give the pattern of a part's name; `n` keeps the groups of several apart."""
    return (
        rf"(?:(?P<nth{n}>{ORDINAL}) )?(?:(?:contrasting|middle|main|sung) )?(?:(?P<letter{n}>(?-i:[A-E])) )?"
        rf"(?P<part{n}>{PART})(?: (?P<late{n}>(?-i:[A-E]))\b|(?<!third)(?<!quarter)(?<!half) (?P<number{n}>[1-9])(?= (?:{VERB_OF_A_PART})\b|[,.;:?)]|$))?"
    )


def a_part_or_place(n: str) -> str:
    """Give the pattern of a part's name, or of an ordinal that stands alone: `longer than the second`."""
    return rf"(?:{a_part(n)}|(?P<alone{n}>{ORDINAL})(?: 1)?(?=[.,;!?]|$)|(?P<only{n}>(?-i:[A-E]))(?=[.,;!?]|$))"


@dataclass(frozen=True)
class PartName:
    """A part as a text names it: `the second A section`, `the last chorus`, `B`."""

    name: str
    letter: str = ""
    nth: str = ""

    @classmethod
    def of(cls, groups: Mapping[str, str | None], n: str = "") -> "PartName":
        """Read the groups of `a_part(n)`."""
        letter = (groups.get(f"letter{n}") or groups.get(f"late{n}") or groups.get(f"only{n}") or "").upper()
        name = (groups.get(f"part{n}") or "section").lower()
        name = name.removesuffix("es") if name.endswith("uses") else name.rstrip("s") if name != "chorus" else name
        letter = letter if name in GENERAL else ""  # `A chorus` has an article
        nth = groups.get(f"number{n}") or ""
        return cls(
            _SAME.get(name, name),
            letter,
            (nth and f"{nth}th") or (groups.get(f"nth{n}") or groups.get(f"alone{n}") or "").lower(),
        )

    @property
    def is_known(self) -> bool:
        """Whether the name says which of all sections are meant."""
        return bool(self.letter or self.nth or self.name not in GENERAL)

    def places(self, facts: Facts) -> list[int] | None:
        """Give the places of such sections; None where nobody measured them."""
        parts = facts.sections.segments if facts.sections else []
        if not parts or self.name in _SHARES:
            return None
        found = list(range(len(parts)))
        if self.letter:
            found = [k for k, own in enumerate(form_of(facts)) if own == self.letter]
        elif self.name not in GENERAL:
            found = [k for k in found if self.name[:5] in parts[k].label.lower()]
            if not found and not has_names(facts):
                return None  # letters say nothing about verse and chorus
        return self._chosen(found, parts)

    def _chosen(self, found: list[int], parts: list[Segment]) -> list[int]:
        if not self.nth or not found or self.nth in ("whole", "entire", "only"):
            return found
        if self.nth in ("last", "final", "closing"):
            return found[-1:]
        if self.nth == "opening":
            return found[:1]
        if self.nth == "contrasting":
            return [k for k in found if parts[k].label != parts[0].label]
        if self.nth == "middle":
            middle_s = (parts[0].start_s + parts[-1].end_s) / 2
            return [k for k in found if parts[k].start_s <= middle_s < parts[k].end_s]
        if self.nth in ("next", "new"):
            return found if self.letter else found[1:]
        place = ORDINALS.get(self.nth) or int("".join(filter(str.isdigit, self.nth)))
        return found[place - 1 : place]

    def spans(self, facts: Facts) -> list[Segment] | None:
        """Give the sections meant, or the half or quarter of the recording; None where nobody measured them."""
        number = _SHARES.get(self.name)
        if self.name == WHOLE and facts.duration_s is not None:
            return [Segment(start_s=0.0, end_s=facts.duration_s, label=WHOLE)]
        if self.name == "line":
            lines = facts.lyrics.lines if facts.lyrics and facts.lyrics.available else []
            return [lines[k] for k in self._chosen(list(range(len(lines))), lines)] if lines else None
        if number is None:
            places = self.places(facts)
            return None if places is None or facts.sections is None else [facts.sections.segments[k] for k in places]
        if facts.duration_s is None:
            return None
        last = {"last": number, "final": number, "closing": number, "opening": 1, "middle": 2 if number == 3 else 0}
        place = last.get(self.nth) or ORDINALS.get(self.nth)
        if not place or place > number:
            return None
        step_s = facts.duration_s / number
        return [Segment(start_s=(place - 1) * step_s, end_s=place * step_s, label=self.name)]


def has_names(facts: Facts) -> bool:
    """Tell whether sections are measured by name (verse, chorus), not by letter."""
    return bool(facts.sections) and any(len(s.label) > 2 for s in facts.sections.segments)  # type: ignore[union-attr]


ARTICLES = r"(?:(?:the|(?-i:a)|an|each|every|any|both|its|another|this|1|straight|right) )*"
_LEADS = (
    r"(?: (?:is|was|gets))?(?: (?:then|directly|immediately|always))? (?:followed(?: immediately| directly)? by"
    r"|(?:leads|moves|goes|gives way|passes|flows|turns|changes|opens)(?: straight| directly| back| on)? ?(?:in|on)?to"
    r"|precedes|comes (?:right |just |directly )?before)"
)
_COMES_AFTER = (
    r" (?:(?:then |directly |immediately )?follows|comes (?:right |just |directly |straight )?after|succeeds)"
)


def _order(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_LEAD_WORDS = ("follow", "lead", "moves", "goes", "gives way", "passes", "flows", "turns", "precede", "before", "opens", "changes")  # fmt: skip
_ORDERS = (
    (_order(rf"\b{a_part('1')}{_LEADS} {ARTICLES}{a_part('2')}"), ("1", "2"), _LEAD_WORDS),
    (
        _order(
            rf"\bfrom {ARTICLES}{a_part('1')}(?: (?:straight|directly|right|on|back|immediately|over|smoothly))* (?:in|on)?to {ARTICLES}{a_part('2')}"
        ),
        ("1", "2"),
        ("from ",),
    ),
    (_order(rf"\b{a_part('1')},? (?:and )?then {ARTICLES}{a_part('2')}"), ("1", "2"), (" then ",)),
    (_order(rf"\b{a_part('1')}{_COMES_AFTER} {ARTICLES}{a_part('2')}"), ("2", "1"), ("follow", "after", "succeed")),
    (
        _order(
            rf"\bafter {ARTICLES}{a_part('1')},? (?:there )?(?:comes?|follows?|enters?|is|we hear|we get|we reach|starts|begins) {ARTICLES}{a_part('2')}"
        ),
        ("1", "2"),
        ("after",),
    ),
    (
        _order(
            rf"\bafter {ARTICLES}(?:\d+ seconds? )?(?:(?:short|brief|long|quiet|soft|instrumental) )?{a_part('1')},? {ARTICLES}{a_part('2')} (?:begins?|starts?|enters?|follows?|comes?|arrives?|sets? in)"
        ),
        ("1", "2"),
        ("after",),
    ),
    (
        _order(
            rf"\b{a_part('1')} (?:comes|is heard|enters|stands|appears|sounds) (?:\w+,? )?after {ARTICLES}{a_part('2')}"
        ),
        ("2", "1"),
        (" after ",),
    ),
    (
        _order(rf"\bbefore {ARTICLES}{a_part('1')},? (?:there )?(?:comes?|is|we hear) {ARTICLES}{a_part('2')}"),
        ("2", "1"),
        ("before",),
    ),
)
"""(pattern, groups of the earlier and the later part, keywords without which it is not tried)."""
HOW_OFTEN_PATTERN = r"(?:only |just |exactly |but )*(?:(?P<once>once|twice|thrice)|(?P<times>\d+) times)"
_APPEARS = re.compile(
    rf"\b{a_part()},? (?:only )?(?:(?P<again>comes? back|coming back|returns?|returning|recurs?|recurring|repeats?|repeated|is repeated)|appears?|occurs?|is (?:heard|sung|played)|comes|coming|appearing|heard|sung|played|occurring|sounds|sounding|alternates?) {HOW_OFTEN_PATTERN}\b",
    re.IGNORECASE,
)
HOW_OFTEN = re.compile(rf"\b{HOW_OFTEN_PATTERN}\b", re.IGNORECASE)
_NUMBERS = {"once": 1, "twice": 2, "thrice": 3}
_ALIKE = re.compile(
    rf"\b{a_part('1')} (?:(?:is|sounds|seems)(?: \w+)? )?(?P<how>the same as|identical to|identical with|a (?:repeat|return|repetition) of|repeats|brings back|recalls|returns to|like|unlike|different from|different to|distinct from) {ARTICLES}{a_part_or_place('2')}",
    re.IGNORECASE,
)


_PAIR = re.compile(
    rf"\b{a_part('1')}(?: and |[ /-]| \+ ){a_part('2')} (?:pair|cycle|unit|block|alternation|pattern|sequence|round)s? (?:\w+ ){{0,2}}?{HOW_OFTEN_PATTERN}\b",
    re.IGNORECASE,
)
_ALTERNATE = re.compile(
    rf"\balternat\w+ (?:between )?{ARTICLES}{a_part('1')} (?:and|with) {ARTICLES}{a_part('2')} {HOW_OFTEN_PATTERN}\b",
    re.IGNORECASE,
)


def _pairs(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether one part directly follows another so many times."""
    one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")

    def test(facts: Facts) -> Held:
        first, second = one.places(facts), other.places(facts)
        if first is None or second is None:
            return NOT_MEASURED
        return sum(k + 1 in second for k in first) == times_of(match), labels_of(facts)

    return test


def read_parts(text: str) -> Iterator[SpokenClaim]:
    """Read order, number and lengths of parts in a plain text."""
    number = parts_named(text)
    if number == 0:
        return
    if number > 1:
        for pattern, (earlier, later), keywords in _ORDERS:
            for match in pattern.finditer(text) if holds(text, keywords) else ():
                one, other = PartName.of(match.groupdict(), earlier), PartName.of(match.groupdict(), later)
                if one.is_known and other.is_known:
                    yield part_claim(match, text, follows(one, other))
    if holds(text, ("once", "twice", "thrice", "times")):
        for pattern in (_PAIR, _ALTERNATE) if number > 1 else ():
            yield from (part_claim(match, text, _pairs(match)) for match in pattern.finditer(text))
        for match in _APPEARS.finditer(text):
            part, times = PartName.of(match.groupdict()), times_of(match)
            goes_on = _THEN_OTHERS.match(text, match.end()) is not None
            if part.is_known:
                test = occurs_in_a_row(part, times) if goes_on else occurs(part, times, times + bool(match["again"]))
                yield part_claim(match, text, test)
    if holds(
        text, ("like", "same as", "identical", "repeat", "different", "distinct", "brings back", "recall", "return")
    ):
        for match in _ALIKE.finditer(text):
            yield part_claim(match, text, _alike(match))


def part_claim(match: re.Match[str], text: str, test: Callable[[Facts], Held]) -> SpokenClaim:
    """Claim what a test holds against the facts, in the words of a match."""
    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


def labels_of(facts: Facts) -> str:
    """Give the sections in words."""
    return ", ".join(s.label for s in facts.sections.segments) + " measured" if facts.sections else ""


def times_of(match: re.Match[str]) -> int:
    """Give the number of `once`, `twice`, `5 times`."""
    return _NUMBERS[match["once"].lower()] if match["once"] else int(match["times"])


def follows(earlier: PartName, later: PartName) -> Callable[[Facts], Held]:
    """Whether a part comes directly after another."""

    def test(facts: Facts) -> Held:
        before, after = earlier.places(facts), later.places(facts)
        if before is None or after is None or not (earlier.is_known and later.is_known):
            return NOT_MEASURED
        return any(k + 1 in after for k in before), labels_of(facts)

    return test


def occurs(part: PartName, *numbers: int) -> Callable[[Facts], Held]:
    """Whether a part stands so many times in a piece; several numbers where a text leaves open whether the first counts."""

    def test(facts: Facts) -> Held:
        places = part.places(facts)
        return NOT_MEASURED if places is None else (len(places) in numbers, labels_of(facts))

    return test


_THEN_OTHERS = re.compile(r"(?: in a row)?,? (?:and )?(?:then|before|after which|followed by|until)\b", re.IGNORECASE)


def occurs_in_a_row(part: PartName, number: int) -> Callable[[Facts], Held]:
    """Whether a part stands so many times in a row, wherever it may come again."""

    def test(facts: Facts) -> Held:
        places = part.places(facts)
        if places is None:
            return NOT_MEASURED
        runs = [len(list(run)) for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
        return number in runs or len(places) == number, labels_of(facts)

    return test


def counted_beside(part: PartName, side: str, number: int) -> Callable[[Facts], Held]:
    """Whether so many sections stand before, or after, a part."""

    def test(facts: Facts) -> Held:
        places = part.places(facts)
        if not places or facts.sections is None:
            return NOT_MEASURED
        is_before = side.lower().startswith(("before", "preced"))
        counted = places[0] if is_before else len(facts.sections.segments) - 1 - places[-1]
        return counted == number, labels_of(facts)

    return test


def _alike(match: re.Match[str]) -> Callable[[Facts], Held]:
    one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")
    is_same = not match["how"].lower().startswith(("unlike", "different", "distinct"))

    def test(facts: Facts) -> Held:
        first, second = one.places(facts), other.places(facts)
        if not first or not second or facts.sections is None:
            return NOT_MEASURED
        labels = [s.label for s in facts.sections.segments]
        same = {labels[k] for k in first} == {labels[k] for k in second}
        return same == is_same, labels_of(facts)

    return test
