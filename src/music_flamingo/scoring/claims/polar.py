"""Questions that are answered by yes and no, or by true and false: what they ask, and what a `no` says."""

import re
from collections.abc import Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, judge
from music_flamingo.scoring.claims.heard import by_itself, negated
from music_flamingo.scoring.claims.parts import PART
from music_flamingo.scoring.claims.relations import RELATION
from music_flamingo.scoring.claims.texts import known_claims, read_claims

POLAR = re.compile(
    r"^(?:\u00bf ?)?(?:hat|ist|sind|gibt|wird|hort|est ce|y a|tiene|hay|esta|es|ha|c'e|tem|is|are|does|do|did|can|could|has|have|was|were|will|would|any|anything|anybody|anyone)\b",
    re.IGNORECASE,
)
TRUE_OR_FALSE = re.compile(
    r"^(?:true or false:? ?|is (?:it|this) (?:true|correct|right)(?: that|:)? )(.+?)\??$|^(.+?)[,:;.?]? ?(?:is (?:this|that|it) )?(?:true or false|right or wrong|correct or (?:not|incorrect|wrong)|true|correct|right)\??$",
    re.IGNORECASE,
)
_INVERTED = re.compile(
    r"^(is|are|was|were|does|do) ((?:the|this|its|it|there)\b(?: (?:piece|song|music|track|recording|tempo|pace|speed|mode|key|tonality|scale|meter|metre|third|beat"
    r"|tones|notes|chords|pulse|loudness|volume|rhythm|texture))?) (.+?)(?:,? (?:yes or no|or not))?\?",
    re.IGNORECASE,
)
YES, NO = (
    re.compile(
        r"^\W*(?:(?:yes|true|si|ja|oui|sim|correct|indeed)\b|(?:there|it|they|she|he) (?:is|are|does|do|has)\W*$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"^\W*(?:(?:no|false|nein|non|incorrect)\b(?! \w+)|(?:there|it|they|she|he) (?:is|are|does|do|has)(?:n't| not)\b\W*$|(?:no(?:t| one|body)|none|neither|never|hardly|barely|scarcely)\b)",
        re.IGNORECASE,
    ),
)
_SUBJECT = re.compile(
    r"^(?:is|are|does|do|did|has|have|was|were|can) the ([\w ]+?) (?!in\b|on\b|of\b|and\b|or\b)[a-z]", re.IGNORECASE
)
_OF_ITS_KIND = re.compile(r"\b(?:joined|accompanied|backed|supported|doubled|tuned|muted|played by)\b", re.IGNORECASE)
"""What is asked of an instrument that is taken for granted."""
_ACCOMPANIED = re.compile(
    r"\b(?:accompanied|supported|backed|joined|doubled)(?: by (?:any |some )?(?:other )?(?:instruments?|players?|anything(?: else)?|anyone(?: else)?|anybody(?: else)?|others|another \w+|someone(?: else)?|somebody|something))?\W*$",
    re.IGNORECASE,
)
"""`Is the flute accompanied?` asks whether it is heard alone."""
_GRANTED = re.compile(r"\b(?:the|these|its|all|both) (?:two|three|four|five|six|seven|eight|\d+) \w+", re.IGNORECASE)
"""`the two parts` are taken for granted, not asked for."""
_ONE_PART = re.compile(PART, re.IGNORECASE)
_ASKS_FOR = re.compile(rf"\b(?:an?|any|some|no) (?:\w+ )?(?:{PART})\b|^(?:hay|tiene|gibt|y a)\b", re.IGNORECASE)
"""What asks whether there is a part at all; elsewhere a part that is named is taken for granted."""
_IS_OF_A_KIND = re.compile(
    r"^(?:is|are) the (bass|guitars?|piano|organ|violin) (?:an? )?(electric|acoustic|upright|grand|double|distorted)\b",
    re.IGNORECASE,
)
ABSENT = re.compile(
    r"\b(?:absent|missing|lacking|silent|left out|never (?:appears?|heard|sounds?|plays?|used|comes?|occurs?)|(?:does not|doesn't|do not|don't) (?:belong|appear|occur|feature|play|sound|take part)|not (?:in the \w+|heard|playing|present|used|included|part of))\b",
    re.IGNORECASE,
)
OF_WHO = frozenset(("voice", "lyrics", "drums", "instruments"))


def refused(asked: list[SpokenClaim]) -> Iterator[SpokenClaim]:
    """Deny what is asked: of several claims at least one does not hold, and no claim of them alone is denied."""
    if len(asked) < 2:
        yield from (claim.turned(True) for claim in asked)
        return

    def test(facts: Facts) -> Held:
        judged = [judge(claim, facts) for claim in asked]
        wrong = next((j for j in judged if j.verdict == "contradicted"), None)
        if wrong is not None:
            return False, wrong.fact
        if any(j.verdict == "unmeasured" for j in judged):
            return NOT_MEASURED
        return True, "; ".join(j.fact for j in judged)

    yield SpokenClaim(asked[-1].kind, " and ".join(claim.said for claim in asked), test, denied=True)


def asked_of(question: str) -> list[SpokenClaim]:
    """Read what a yes-or-no question asks: `Is the mode minor?` asks whether the mode is minor."""
    asked = [
        c for c in known_claims(question) if not c.is_place and not (c.kind == "count" and _GRANTED.search(question))
    ]
    if not _ASKS_FOR.search(question):
        asked = [c for c in asked if not (c.kind == "form" and _ONE_PART.fullmatch(c.said))]
    if (kind := _IS_OF_A_KIND.match(question)) is not None:
        asked = [c for c in asked if c.kind != "instruments"] + list(known_claims(f"{kind[2]} {kind[1]}"))
    if ABSENT.search(question):
        return [c.turned(True) for c in asked]
    if (subject := _SUBJECT.match(question)) is not None:
        rest = [c for c in asked if not (c.kind in OF_WHO and c.said.lower() == subject[1].lower())]
        asked = rest or ([] if _OF_ITS_KIND.search(question) else asked)
        if _ACCOMPANIED.search(question):
            return [c for c in rest if c.kind not in OF_WHO] + [SpokenClaim("sound", question, negated(by_itself))]
    inverted = _INVERTED.match(question)
    if not asked and inverted:
        asked = [
            c
            for c in read_claims("{1} {0} {2}.".format(*inverted.groups()))
            if not (c.is_place or c.kind == RELATION or _ONE_PART.fullmatch(c.said))
        ]
    return asked
