"""Claims that a part comes again: directly, or after another."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.form import form_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import ARTICLES, PartName, a_part, follows, labels_of, part_claim

_RETURN_AFTER = re.compile(
    rf"\b(?:return|reprise|repeat|repetition|recapitulation) of {ARTICLES}{a_part('1')} (?:right |directly |immediately )?(?:after|following) {ARTICLES}(?:{a_part('2')}|(?P<only2>(?-i:[A-E]))(?![\w#]))",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    rf"\b{a_part()} (?:is |gets |was )?(?:(?:immediately|directly|straight away) )?(?:repeated|repeats|comes again|heard again|played again|stated again)(?P<now> (?:right away|immediately|at once|directly|straight away|right after))?",
    re.IGNORECASE,
)


def read_recurring(text: str) -> Iterator[SpokenClaim]:
    """Read every such claim in a plain text that names parts."""
    if holds(text, ("return", "repri", "repe", "again", "recap")):
        for match in _RETURN_AFTER.finditer(text) if holds(text, (" of ",)) else ():
            yield part_claim(
                match, text, follows(PartName.of(match.groupdict(), "2"), PartName.of(match.groupdict(), "1"))
            )
        for match in (
            _AGAIN.finditer(text)
            if holds(text, ("right away", "immediately", "at once", "directly", "straight", "right after"))
            else ()
        ):
            if match["now"] or holds(match[0], ("immediately", "directly", "straight")):
                yield part_claim(match, text, _comes_again(PartName.of(match.groupdict())))


def _comes_again(part: PartName) -> Callable[[Facts], Held]:
    """Whether the section behind a part is like it."""

    def test(facts: Facts) -> Held:
        places, form = part.places(facts), form_of(facts)
        if not places:
            return NOT_MEASURED
        return any(form[k] == form[k + 1] for k in places if k + 1 < len(form)), labels_of(facts)

    return test
