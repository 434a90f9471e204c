"""Claims about the form: letters, names, and which parts there are."""

import re
from collections.abc import Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.wording import is_denied

_LETTERS = re.compile(
    r"(?<![\w'])([A-E](?:(?:[ -]?|, (?:and |then )?| and )[A-E]'?){1,})(?![\w'#])(?! (?:major|minor|flat|sharp))"
)
_NAMED_FORM = re.compile(
    r"\b(ternary|binary|rondo|strophic|through composed|sonata|song|bar|verse chorus|aaba|32 bar) form\b(?! (?:the|an?|[A-E]{2}))|\b(rondo|strophic|through composed)\b",
    re.IGNORECASE,
)
_PART = re.compile(
    r"\b(chorus(?:es)?|verses?|bridge|refrain|pre chorus|outro|intro|coda|breakdown|middle eight)\b", re.IGNORECASE
)
_SAME_PARTS = {"refrain": "chorus", "hook": "chorus", "middle eight": "bridge"}
_FORM_WORDS = (" form", "rondo", "strophic", "through composed")
_PART_WORDS = ("chorus", "verse", "bridge", "refrain", "outro", "intro", "coda", "breakdown", "middle eight")
_TWO_LETTERS = re.compile("[A-E](?:[ -]?|, (?:and |then )?| and )[A-E]")
_CHORD_WORDS = ("chord", "harmon", "triad", "progression")
_FORMS = {
    "ternary": "ABA",
    "binary": "AB",
    "rondo": "ABACA",
    "bar": "AAB",
    "song": "AABA",
    "aaba": "AABA",
    "32 bar": "AABA",
}


def form_of(facts: Facts) -> str:
    """Give the sections as letters in order of appearance: `ABA`; empty where nobody measured them."""
    labels = [s.label for s in facts.sections.segments] if facts.sections else []
    kinds = list(dict.fromkeys(labels))
    return "".join(chr(ord("A") + kinds.index(label)) for label in labels)


def read_form(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about the form in a plain text."""
    for match in _LETTERS.finditer(text) if _TWO_LETTERS.search(text) else ():
        letters = re.sub(r"[^A-E]", "", match[1])
        if ("," in match[1] or "and" in match[1]) and (holds(text, _CHORD_WORDS) or len(set(letters)) == len(letters)):
            continue
        if letters.startswith("A") and (len(letters) > 2 or "form" in text.lower()):
            yield _form(match, text, letters)
    for match in _NAMED_FORM.finditer(text) if holds(text, _FORM_WORDS) else ():
        yield _form(match, text, _FORMS.get((match[1] or match[2]).lower(), (match[1] or match[2]).lower()))
    for match in _LISTED.finditer(text) if holds(text, _PART_WORDS) else ():
        yield _listed(match, text)
    for match in _PART.finditer(text) if holds(text, _PART_WORDS) else ():
        name = _SAME_PARTS.get(match[1].lower().rstrip("s"), match[1].lower().rstrip("s"))

        def test(facts: Facts, name: str = name) -> Held:
            labels = {s.label.lower() for s in facts.sections.segments} if facts.sections else set()
            if any(name[:5] in label for label in labels):
                return True, f"{name} measured"
            named = {label for label in labels if len(label) > 2}
            return (False, f"{', '.join(sorted(named))} measured") if named else NOT_MEASURED

        yield SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


_NAME = r"(?:intro(?:duction)?|verse|pre chorus|chorus|refrain|bridge|solo|interlude|outro|coda|breakdown)(?: \d)?"
_LISTED = re.compile(
    rf"\b{_NAME}(?:(?:, then |, and |, |; | - | to | then | and |/|->) ?{_NAME}){{2,}}\b", re.IGNORECASE
)


def _listed(match: re.Match[str], text: str) -> SpokenClaim:
    """Claim that parts come in the order in which they are listed."""
    names = re.findall(_NAME, match[0].lower())
    wanted = [name.split()[0].replace("introduction", "intro")[:5] for name in names]

    def test(facts: Facts) -> Held:
        labels = [s.label.lower() for s in facts.sections.segments] if facts.sections else []
        if not any(len(label) > 2 for label in labels):
            return NOT_MEASURED
        fits = len(labels) == len(wanted) and all(w in label for w, label in zip(wanted, labels, strict=True))
        return fits, f"{', '.join(labels)} measured"

    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


def _form(match: re.Match[str], text: str, wanted: str) -> SpokenClaim:
    def test(facts: Facts) -> Held:
        form = form_of(facts)
        if not form or wanted in ("sonata", "verse chorus"):
            return NOT_MEASURED
        if wanted == "strophic":
            return len(form) > 1 and len(set(form)) == 1, f"{form} measured"
        if wanted == "through composed":
            return len(form) > 2 and len(set(form)) == len(form), f"{form} measured"
        return form == wanted, f"{form} measured"

    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))
