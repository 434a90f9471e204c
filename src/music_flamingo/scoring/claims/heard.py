"""What the facts say of players, singers, loudness and sound: tests that claims about them share."""

from collections.abc import Callable
from functools import lru_cache

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held

Test = Callable[[Facts], Held]
_SAME = {
    "pianist": "piano", "pianoforte": "piano", "klavier": "piano", "organist": "organ", "keyboardist": "keyboard",
    "accordionist": "accordion", "guitarist": "guitar", "guitarra": "guitar", "gitarre": "guitar", "guitare": "guitar",
    "chitarra": "guitar", "lutenist": "lute", "harpist": "harp", "violinist": "violin", "geige": "violin", "violon": "violin",
    "violino": "violin", "fiddle": "violin", "fiddler": "violin", "violist": "viola", "cellist": "cello", "celli": "cello",
    "violoncello": "cello", "flautist": "flute", "flutist": "flute", "oboist": "oboe", "clarinettist": "clarinet",
    "clarinetist": "clarinet", "sax": "saxophone", "saxophonist": "saxophone", "trumpeter": "trumpet", "trombonist": "trombone",
    "synth": "synthesizer", "synthesiser": "synthesizer", "bassist": "bass", "bassline": "bass", "hiphop": "hip", "jazzy": "jazz",
    "bluesy": "blues", "funky": "funk", "soulful": "soul", "rnb": "r&b", "folksy": "folk",
}  # fmt: skip
_SAME_NAMES = {
    "electric bass": "bass guitar", "fretless bass": "bass guitar", "upright bass": "double bass", "acoustic bass": "double bass",
    "contrabass": "double bass", "string bass": "double bass",
}  # fmt: skip
_NO_NAMES = frozenset(
    [
        "is",
        "are",
        "sounds",
        "a",
        "an",
        "one",
        "solo",
        "first",
        "second",
        "1st",
        "2nd",
        "lead",
        "player",
        "instrument",
        "instruments",
        "line",
        "section",
        "music",
        "song",
        "track",
        "ballad",
        "tune",
        "beat",
        "the",
        "of",
        "bowed",
        "family",
        "plucked",
    ]
)
_GROUPS = {
    "string": {"violin", "viola", "cello", "string"},
    "keyboard": {"piano", "organ", "harpsichord", "synthesizer", "keyboard"},
    "brass": {"trumpet", "trombone", "horn", "tuba", "brass"},
    "woodwind": {"flute", "clarinet", "oboe", "bassoon", "saxophone", "woodwind"},
    "wind": {"flute", "clarinet", "oboe", "bassoon", "saxophone", "woodwind"},
}


def drums(facts: Facts) -> Held:
    """Whether drums are heard."""
    if facts.instruments is not None and any("drum" in i.name for i in facts.instruments.labels):
        return True, "drums measured"
    if facts.sound is None or facts.sound.has_drums is None:
        return NOT_MEASURED
    return facts.sound.has_drums, "drums measured" if facts.sound.has_drums else "no drums measured"


def voice(facts: Facts) -> Held:
    """Whether anybody sings or speaks."""
    if facts.lyrics is not None and facts.lyrics.available:
        return True, "words measured"
    if facts.voice is not None:
        return facts.voice.present, "a voice measured" if facts.voice.present else "no voice measured"
    is_silent = facts.lyrics is not None and facts.lyrics.why_not == "no_voice"
    return (False, "no voice measured") if is_silent else NOT_MEASURED


def voice_of_a_kind(facts: Facts) -> Held:
    """Contradicted where nobody sings: how many sing, and in which manner, nobody measures."""
    return voice(facts) if voice(facts)[0] is False else NOT_MEASURED


def words(facts: Facts) -> Held:
    """Whether there are words."""
    if facts.lyrics is not None and facts.lyrics.available:
        return True, "words measured"
    return voice_of_a_kind(facts)


def alone(facts: Facts) -> Held:
    """Whether voices sound alone: who else plays only a tagger knows."""
    return (False, "drums measured") if drums(facts)[0] else voice_of_a_kind(facts)


def by_itself(facts: Facts) -> Held:
    """Whether one player is heard alone: a single line, or one instrument among others that were heard."""
    labels = facts.instruments.labels if facts.instruments else []
    if len(labels) > 1 or drums(facts)[0]:
        return False, f"{', '.join(i.name for i in labels) or 'drums'} measured"
    is_alone = bool(labels) and drums(facts)[0] is False and voice(facts)[0] is False
    return (True, f"only {labels[0].name} measured") if is_alone else NOT_MEASURED


def solo(name: str) -> Test:
    """Whether an instrument of this name is heard alone; a solo among others is a passage that nobody measures."""
    played = plays(name)

    def test(facts: Facts) -> Held:
        return by_itself(facts) if played(facts)[0] and by_itself(facts)[0] else NOT_MEASURED

    return test


def unknown(facts: Facts) -> Held:
    """Nobody measures it."""
    del facts
    return NOT_MEASURED


def negated(test: Test) -> Test:
    """Hold the contrary of a test."""

    def contrary(facts: Facts) -> Held:
        holds, fact = test(facts)
        return (None if holds is None else not holds), fact

    return contrary


def trend(*trends: str) -> Test:
    """Whether the loudness moves in one of these ways."""

    def test(facts: Facts) -> Held:
        if facts.dynamics is None:
            return NOT_MEASURED
        return facts.dynamics.trend in trends, f"{facts.dynamics.trend} loudness measured"

    return test


def leans(towards: str) -> Test:
    """Whether the loudness moves this way: contradicted where it moves the other way, unmeasured where it is steady."""

    def test(facts: Facts) -> Held:
        if facts.dynamics is None or facts.dynamics.trend == "steady":
            return NOT_MEASURED
        return facts.dynamics.trend == towards, f"{facts.dynamics.trend} loudness measured"

    return test


def steady_at_most(facts: Facts) -> Held:
    """Contradicted where the loudness is steady: how it jumps nobody measures."""
    held = trend("rising", "falling")(facts)
    return held if held[0] is False else NOT_MEASURED


def sound(field: str, value: str) -> Test:
    """Whether a field of the measured sound has a value."""

    def test(facts: Facts) -> Held:
        measured = getattr(facts.sound, field, None)
        return NOT_MEASURED if measured is None else (measured == value, f"{measured} measured")

    return test


def register(name: str) -> Test:
    """Whether a woman (`female`) or a man (`male`) sings."""

    def test(facts: Facts) -> Held:
        if facts.voice is None:
            return voice_of_a_kind(facts)
        if facts.voice.present and facts.voice.register_heard is None:
            return NOT_MEASURED
        heard = facts.voice.register_heard or "no"
        return heard == name, f"{heard} voice measured"

    return test


_PLAYERS = {"duo": 2, "duet": 2, "trio": 3, "quartet": 4, "quintet": 5, "sextet": 6, "septet": 7, "octet": 8}


def _are_so_many(number: int) -> Test:
    """Whether so many instruments were heard, a singer counted or not; more may play than a tagger heard."""

    def test(facts: Facts) -> Held:
        heard = len(facts.instruments.labels) if facts.instruments else 0
        if not heard:
            return NOT_MEASURED
        fact = f"{heard} instruments measured"
        if number in (heard, heard + 1 if voice(facts)[0] else heard):
            return True, fact
        return (False, fact) if heard > number else (None, fact)

    return test


@lru_cache(maxsize=1024)
def plays(name: str) -> Test:
    """Whether a tagger heard an instrument of this name; of what it did not hear nobody knows."""
    if (number := _PLAYERS.get(name.lower())) is not None:
        return _are_so_many(number)
    wanted = _stems(name)

    def test(facts: Facts) -> Held:
        labels = [_stems(i.name) for i in facts.instruments.labels] if facts.instruments else []
        group = _GROUPS.get(next(iter(wanted)), set()) if len(wanted) == 1 else set()
        found = any(wanted <= label or group & label for label in labels)
        return (True, f"{name} measured") if found else NOT_MEASURED

    return test


@lru_cache(maxsize=1024)
def in_style(name: str) -> Test:
    """Whether a tagger heard a style of this name."""
    wanted = _stems(name)

    def test(facts: Facts) -> Held:
        labels = [_stems(g.name) for g in facts.genre.labels] if facts.genre else []
        return (True, f"{name} measured") if any(wanted <= label for label in labels) else NOT_MEASURED

    return test


@lru_cache(maxsize=2048)
def _stems(name: str) -> frozenset[str]:
    """Give the words of a name without their endings: `Fiddles` and `violin` are one."""
    name = _SAME_NAMES.get(name.lower(), name)
    found = (
        word if word in ("blues", "brass", "bass") else word.removesuffix("s")
        for word in name.lower().replace("-", " ").split()
    )
    return frozenset(_SAME.get(word, word) for word in found if word not in _NO_NAMES) or frozenset((name.lower(),))
