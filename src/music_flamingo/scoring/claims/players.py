"""Claims about who plays and sings, what the words say, which genre it is, how loud and how thick it sounds."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import WordScanner
from music_flamingo.scoring.claims.wording import is_denied

Test = Callable[[Facts], Held]


def _drums(facts: Facts) -> Held:
    if facts.instruments is not None and any("drum" in i.name for i in facts.instruments.labels):
        return True, "drums measured"
    if facts.sound is None:
        return NOT_MEASURED
    return facts.sound.has_drums, "drums measured" if facts.sound.has_drums else "no drums measured"


def _no_drums(facts: Facts) -> Held:
    holds, fact = _drums(facts)
    return (None if holds is None else not holds), fact


def _voice(facts: Facts) -> Held:
    if facts.lyrics is not None and facts.lyrics.available:
        return True, "words measured"
    if facts.voice is not None:
        return facts.voice.present, "a voice measured" if facts.voice.present else "no voice measured"
    is_silent = facts.lyrics is not None and facts.lyrics.why_not == "no_voice"
    return (False, "no voice measured") if is_silent else NOT_MEASURED


def _no_voice(facts: Facts) -> Held:
    holds, fact = _voice(facts)
    return (None if holds is None else not holds), fact


def _words(facts: Facts) -> Held:
    if facts.lyrics is not None and facts.lyrics.available:
        return True, "words measured"
    return _voice(facts) if _voice(facts)[0] is False else NOT_MEASURED


def _alone(facts: Facts) -> Held:
    # voices alone: no drums; who else plays only a tagger knows
    return (
        (False, "drums measured") if _drums(facts)[0] else _voice(facts) if _voice(facts)[0] is False else NOT_MEASURED
    )


def _trend(*trends: str) -> Test:
    def test(facts: Facts) -> Held:
        if facts.dynamics is None:
            return NOT_MEASURED
        return facts.dynamics.trend in trends, f"{facts.dynamics.trend} loudness measured"

    return test


def _sound(field: str, value: str) -> Test:
    def test(facts: Facts) -> Held:
        if facts.sound is None:
            return NOT_MEASURED
        measured = getattr(facts.sound, field)
        return measured == value, f"{measured} measured"

    return test


def _register(register: str) -> Test:
    def test(facts: Facts) -> Held:
        if facts.voice is None or (facts.voice.present and facts.voice.register_heard is None):
            return NOT_MEASURED
        heard = facts.voice.register_heard or "no"
        return heard == register, f"{heard} voice measured"

    return test


def _unknown(facts: Facts) -> Held:
    del facts
    return NOT_MEASURED


_INSTRUMENTS = (
    "piano|guitars?|violins?|viola|cello|cellos|flutes?|trumpets?|trombones?|saxophones?|sax|clarinets?|oboe|bassoon|harps?|banjos?"
    "|mandolin|ukulele|accordion|harmonica|bagpipes?|synth(?:esi[sz]ers?|s)?|keyboards?|strings? (?:section|quartet|orchestra)|orchestra"
    "|strings|bass|organ|clavinet|mallets|woodwinds|brass|horns?|tuba|sitar|fiddles?|harpsichord|celesta|xylophone|marimba|vibraphone|double bass|bass guitar|bassline|bass line"
    "|electric organ|hammond|church organ|pipe organ|lute|zither|guitarra|klavier|gitarre|geige|guitare|violon|chitarra|pianoforte|turntables"
)
_GENRES = (
    "reggae|jazz|blues|rock|pop|hip hop|hiphop|rap|techno|house music|country|folk|bluegrass|metal music|heavy metal|disco|funk|soul music"
    "|r&b|classical|baroque|romantic era|flamenco|salsa|bossa nova|samba|tango|gospel|punk|edm|electronic|ambient|trance|dubstep|ska"
    "|opera|ragtime|swing|latin|indie|grunge|drum and bass|lo fi|new age|soundtrack|film score|k pop|afrobeat|celtic|polka|klezmer"
)
_DRUM_WORDS = (
    r"drums?|drum ?kit|drummers?|drumming|drum ?beat|percussion|percussive|percussionist|kick|snares?|hi ?hats?|cymbals?|tom toms?|toms|backbeat"
    r"|bongos?|congas?|tambourine|shakers?|maracas|timpani|beatbox\w*|rimshots?|bateria|tambor\w*|schlagzeug\w*|trommeln?|batterie|batteria"
    r"|percusion|schlagwerk|cajon|cowbell|hand ?claps?|breakbeats?"
)
_KINDS: tuple[tuple[str, str, Test], ...] = (
    ("drums", r"drumless|percussion free|drum free", _no_drums),
    ("drums", _DRUM_WORDS, _drums),
    ("voice", r"(?:female|woman's) (?:[a-z]+ )?(?:singer|voice|vocals?|vocalist|lead)|(?:an? |1 )?woman (?:who )?sings", _register("female")),
    ("voice", r"(?:male|man's) (?:[a-z]+ )?(?:singer|voice|vocals?|vocalist|lead)|(?:an? |1 )?man (?:who )?sings", _register("male")),
    ("voice", r"a ?cappella|cappella|acapella|a capella|unaccompanied voices?", _alone),
    ("voice", r"instrumental(?! (?:line|part|colou?r))|wordless", _no_voice),
    ("voice", r"singers?|vocals?|vocalists?|sings?|sung|singing|voices?|choir|rapper|rapping|raps|croon\w*|soprano|tenor|baritone|alto\b|chant\w*|stimme|gesang|chanteu\w+|cantante|voz|voix|cantor|humming|whisper\w*", _voice),
    ("voice", r"(?:husky|raspy|child's) (?:[a-z]+ )?(?:singer|voice|vocals?|vocalist|lead)", _unknown),
    ("lyrics", r"lyrics?|the words (?:are|speak|tell|say)|the text (?:is|speaks|tells)|lyrical(?:ly)? (?:theme|about)", _words),
    ("instruments", _INSTRUMENTS, _unknown),
    ("genre", _GENRES, _unknown),
    ("dynamics", r"(?:grow|get|gett?ing|becom|build|grows|gets|becomes|builds)\w*(?: \w+)? loud(?:er)?|louder and louder|crescendos?|swells?|increas\w+ in (?:volume|loudness)|(?:volume|loudness|intensity|level) (?:steadily |gradually |slowly )?(?:rises|increases|grows|builds|climbs)|rising (?:loudness|dynamics)|builds up|build(?:s|ing)? (?:up )?(?:to|toward|towards) (?:a|an|its|the) (?:\w+ )?(?:climax|fortissimo|peak)", _trend("rising")),
    ("dynamics", r"(?:grow|get|becom|grows|gets|becomes)\w*(?: \w+)? (?:softer|quieter)|softer and softer|quieter and quieter|(?:de|dimin)(?:crescendo|uendo)|fades? (?:out|away)|fading out|(?:volume|loudness|intensity|level) (?:steadily |gradually |slowly )?(?:falls|decreases|drops|declines|sinks|fades)|decreas\w+ in (?:volume|loudness)|falling (?:loudness|dynamics)|dies down", _trend("falling")),
    ("dynamics", r"(?:constant|steady|even|unchanging|stable|same) (?:in )?(?:volume|loudness|level|dynamics)|(?:volume|loudness|dynamics|level)(?: level)? (?:is|are|stays?|remains?|keeps?|holds?)(?: \w+)? (?:the same|constant|steady|even|level|stable|unchanged|flat)", _trend("steady")),
    ("sound", r"monophonic|single (?:unaccompanied )?(?:melody|line|melodic line)|(?:solo|unaccompanied) (?:melody|line|melodic line)|1 melody|1 line sounds alone|melody alone|without (?:any )?(?:chords|harmony|accompaniment)", _sound("texture", "melody")),
    ("sound", r"polyphonic|homophonic|chordal|chords (?:sound|carry)|several notes (?:at once|together|sound)|thick chords|accompanied by chords", _sound("texture", "chords")),
    ("sound", r"(?:bowed|blown)(?!,? (?:or|blown|and (?:bowed|blown|plucked|struck)))|sustained (?:notes|tones)|notes are (?:sustained|held)|long held notes", _sound("lead_envelope", "sustained")),
    ("sound", r"(?:plucked|struck)(?! (?:or|and (?:plucked|struck|bowed|blown)))|decaying (?:notes|tones)|notes (?:are decaying|decay|die away|fade)", _sound("lead_envelope", "decaying")),
)  # fmt: skip
_ALL = WordScanner([pattern for _, pattern, _ in _KINDS])
_LIKE = re.compile(
    r"(?:\b(?:as|like|where|than|resembl\w+)(?: if)? (?:an? |the )?(?:\w+ ){0,2}|pop up |\bor (?:an? |from an )?)$",
    re.IGNORECASE,
)
_LIKE_AFTER = re.compile(r" (?:can\b|would\b|like\b)")
_OF_NOTES = re.compile(r"\b(?:notes?|attack|each)\b[^.]*$", re.IGNORECASE)


_TRENDS = re.compile(
    r"\b(?:(?P<rising>ris(?:es?|ing)|increas\w+|grow\w*|up|louder|stronger|ascending)|(?P<falling>fall(?:s|ing)?|decreas\w+|declin\w+|softer|quieter|down|fad\w+|descending)"
    r"|(?P<steady>steady|constant|unchanged|unchanging|same|even|stable|flat|level|neither|consistent))\b",
    re.IGNORECASE,
)


def answer_dynamics(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about loudness: a bare `rising` or `steady` is a claim there."""
    for match in _TRENDS.finditer(text):
        assert match.lastgroup is not None, "each branch is named"
        yield SpokenClaim("dynamics", match[0], _trend(match.lastgroup), is_denied(text, *match.span()))


def read_players(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about players, singers, words, genre, loudness and texture in a plain text."""
    for number, match in _ALL.scan(text):
        kind, _, test = _KINDS[number]
        before = text[: match.start()]
        if kind in ("voice", "instruments") and (_LIKE.search(before) or _LIKE_AFTER.match(text, match.end())):
            continue  # `as a singing voice can` names no singer
        if kind == "dynamics" and _OF_NOTES.search(before.rpartition(".")[2]):
            continue  # each note fades after its attack
        named = (
            {"instruments": _tagged, "genre": _in_style}[kind](match[0]) if kind in ("instruments", "genre") else test
        )
        yield SpokenClaim(kind, match[0], named, is_denied(text, *match.span()))


@lru_cache(maxsize=256)
def _in_style(name: str) -> Test:
    def test(facts: Facts) -> Held:
        labels = [g.name.lower() for g in facts.genre.labels] if facts.genre else []
        return (True, f"{name} measured") if any(name.lower() in label for label in labels) else NOT_MEASURED

    return test


@lru_cache(maxsize=1024)
def _tagged(name: str) -> Test:
    stem = name.lower().removesuffix("s")

    def test(facts: Facts) -> Held:
        labels = [i.name.lower() for i in facts.instruments.labels] if facts.instruments else []
        return (True, f"{name} measured") if any(stem in label or label in stem for label in labels) else NOT_MEASURED

    return test
