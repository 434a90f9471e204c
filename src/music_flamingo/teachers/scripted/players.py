"""Who plays and sings, in phrases that captions and questions share. What is not known is left out."""

from collections.abc import Sequence

from music_flamingo.teachers.scripted.words import listed

NAMED_INSTRUMENTS = 5
SPEAKS = "somebody speaks"
SINGS = {"female": "a woman sings", "male": "a man sings", None: "somebody sings"}


def sings(has_voice: bool | None, kinds: Sequence[str], singer: str | None) -> str | None:
    """`a woman sings`; None where nobody does, or it is not known. `kinds` are the labels of where a voice sounds."""
    return SINGS[singer] if has_voice and "singing" in kinds else None


def players(instruments: Sequence[str], has_drums: bool | None) -> list[str]:
    """The instruments that are named, drums among them; the voice is said apart."""
    named = [name for name in instruments[:NAMED_INSTRUMENTS] if name not in ("voice", "choir")]
    if has_drums and not any("drum" in name for name in named):
        named.append("drums")
    return [name for name in named if has_drums is not False or "drum" not in name]


def are_heard(instruments: Sequence[str]) -> str:
    """`strings are heard`, `bass is heard`."""
    plural = len(instruments) > 1 or (instruments[0].endswith("s") and not instruments[0].endswith(("ss", "us")))
    return f"{listed(instruments)} {'are' if plural else 'is'} heard"


def ensemble(instruments: Sequence[str], has_drums: bool | None) -> str | None:
    """`piano, bass and drums`; None where nothing is named."""
    return listed(players(instruments, has_drums)) or None
