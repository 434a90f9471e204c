"""Clauses of an answer: which of them state something, and which deny it, doubt it, ask it or refuse to answer.

Read after the names of options were replaced by marks, so that no word of an option is taken for a denial.
"""

import re
from typing import Literal

Stance = Literal["states", "denies", "doubts"]

MARK = re.compile(r"\x01(\d+)\x02")
"""An option by its place, in a text whose mentions of options were replaced."""

_CLAUSE = re.compile(
    r"(?<=[.!?;:\n])\s+|\n|;|,\s+|\s+-{1,2}\s+|\s*[–—]\s*|\(|\)"
    r"|\s+(?=(?:but|because|since|although|though|while|whereas|however|rather than|instead of|as opposed to|unlike"
    r"|except|over the|and not|not the|not a|而不是|不是|sondern|sino|plutôt)\b)",
    re.IGNORECASE,
)
_DENIAL_BEFORE = re.compile(
    r"\b(?:not|no|neither|nor|never|without|cannot|can ?not|rather than|instead of|as opposed to|except|unlike|hardly"
    r"|barely|scarcely|seldom|nothing|none|unable|impossible|fail(?:s|ed)? to|absen(?:t|ce)|lacks?|lacking|missing"
    r"|rules? out|ruled out|exclud\w+|eliminat\w+|reject\w*|isnt|arent|wasnt|dont|doesnt|didnt|cant|wont|couldnt"
    r"|wouldnt|aint|kein\w*|nicht|ningun\w*|pas|sin|ni|aucun\w*)\b|n't\b|不是|没有|並非|并非|非",
    re.IGNORECASE,
)
_DENIAL_AFTER = re.compile(
    r"^\W*(?:\w+\s+){0,3}?(?:(?:is|are|was|were|does|do|did|can|could|would|will|has|have|seems?|sounds?)\b[^,]*?)?"
    r"(?:\b(?:not|never|hardly|barely|absent|missing|lacking|wrong|incorrect|unlikely|impossible|ruled out|excluded"
    r"|isnt|arent|wasnt|doesnt|cannot|nowhere|inaudible|out of the question)\b|n't\b|不对|不是)",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:could|might|may|perhaps|maybe|possibly|either|or|whether|if|doubt\w*|unsure|uncertain|refus\w+|declin\w+"
    r"|sorry|unclear|wonder\w*|guess(?:ing)? between|hard to (?:say|tell)|difficult to (?:say|tell)|options? (?:are|is"
    r"|include)|choices? (?:are|include)|choose from|choosing between|oder|ou|oppure|entre)\b|还是|或者|可能",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:sorry|refuse\w*|declin\w+|(?:un|not )able to|incapable|impossible to|can(?:not|'t|t| not)"
    r" (?:answer|determine"
    r"|tell|say|identify|hear (?:the|any|this) (?:audio|recording|music|sound|clip)|listen|process|play|decide|know)"
    r"|(?:do|does|did)(?:n't|nt| not) (?:know|hear (?:the|any) (?:audio|recording|music))|no idea|none of (?:the|these)"
    r"|no (?:audio|answer|recording)|as an ai)\b",
    re.IGNORECASE,
)


def clauses_of(text: str) -> list[str]:
    """Clauses in order, each with the mark that ends it."""
    return [clause for part in _CLAUSE.split(text) if (clause := (part or "").strip())]


def refuses(text: str) -> bool:
    """True where a text says that it will not, or cannot, answer."""
    return _REFUSAL.search(text) is not None


def stances(text: str) -> dict[int, set[Stance]]:
    """Place of each mentioned option -> how the clauses that mention it stand to it."""
    found: dict[int, set[Stance]] = {}
    for clause in clauses_of(text):
        places = list(MARK.finditer(clause))
        for mention in places:
            found.setdefault(int(mention.group(1)), set()).add(_stance(clause, mention))
    return found


def _stance(clause: str, mention: re.Match[str]) -> Stance:
    before, after = clause[: mention.start()], clause[mention.end() :]
    if clause.endswith("?") or _DOUBT.search(before) or re.match(r"\W*(?:or|oder|ou|或)\b", after, re.IGNORECASE):
        return "denies" if _DENIAL_BEFORE.search(before) and not clause.endswith("?") else "doubts"
    # what follows the last mention concerns that one; `without high notes` concerns neither
    beyond = MARK.split(after)[0]
    if _DENIAL_BEFORE.search(before) or _DENIAL_AFTER.search(beyond):
        return "denies"
    return "states"
