"""Claims that a writer states apart from its text: each must stand in the text, and the text may say no others."""

from collections.abc import Sequence
from typing import Literal

from music_flamingo.scoring.claims.reader import read_answer, read_premises
from music_flamingo.scoring.claims.texts import read_claims
from music_flamingo.scoring.claims.wording import plain

StatedKind = Literal[
    "tempo", "key", "meter", "chords", "form", "time", "count", "drums", "voice", "lyrics", "instruments", "genre",
    "dynamics", "sound",
]  # fmt: skip
"""What a claim may be about; other kinds (playing, production, origin) are never measured, and so never stated."""
KINDS: frozenset[str] = frozenset(StatedKind.__args__)  # type: ignore[attr-defined]


def differences(question: str, answer: str, rationale: str, stated: Sequence[tuple[str, str]]) -> list[str]:
    """Name what is stated and not said, and what is said and not stated; nothing where text and statement agree."""
    text = plain(f"{question} {answer} {rationale}").casefold()
    unsaid = [
        f"{kind}: {value!r} is stated, and the text does not say it"
        for kind, value in stated
        if not _stands_in(value, text)
    ]
    read = (*read_premises(question), *read_answer(question, answer), *read_claims(rationale))
    kinds = {kind for kind, _ in stated}
    said = {claim.kind: claim.said.strip() for claim in read if not claim.is_place and claim.kind in KINDS - kinds}
    return unsaid + [f"{kind}: the text says {words!r}, and it is not stated" for kind, words in said.items()]


def _stands_in(value: str, text: str) -> bool:
    wanted = plain(value).casefold().strip(" .,;")
    return bool(wanted) and wanted in text
