"""Claims about key and mode, in the words of five languages: `Cm`, `c-Moll`, `Do mineur`, `si bemol mayor`."""

import re
from collections.abc import Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import parse_chord, triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, either_of
from music_flamingo.scoring.claims.chord_rows import LEAST_IN_A_ROW, in_rows
from music_flamingo.scoring.claims.gates import holds, words_of
from music_flamingo.scoring.claims.wording import is_denied, plain
from music_flamingo.scoring.normalise import PITCH_CLASSES, parse_key

KeyValue = tuple[int, str | None]
"""(pitch class of the tonic, `major`, `minor` or None where only the tonic is named)."""
_GERMAN = {
    "c": 0, "cis": 1, "des": 1, "d": 2, "dis": 3, "es": 3, "e": 4, "f": 5, "fis": 6, "ges": 6, "g": 7, "gis": 8, "as": 8,
    "a": 9, "ais": 10, "b": 10, "h": 11, "ces": 11, "his": 0, "eis": 5, "fes": 4,
}  # fmt: skip
_LATIN = {"do": 0, "ut": 0, "re": 2, "mi": 4, "fa": 5, "sol": 7, "la": 9, "si": 11}
_SHARP, _FLAT = r"diese|sostenido|diesis|sharp|#", r"bemolle|bemol|flat|b"
_MODE = r"(?:major|minor|maj|min|ionian|aeolian)"
_MINOR = re.compile(r"min|moll|mineur|menor|m$|aeol|klein", re.IGNORECASE)
_ENGLISH = re.compile(
    rf"(?<![\w'#/:])(?:([A-G])|([a-g])(?=[ -]?(?:#|b\b|b |sharp|flat)|[ -]{_MODE}\b[.,;]?$))"
    rf"[ -]?(#|b(?![a-z])|b(?=(?i:{_MODE})\b)|sharp\b|flat\b)?[ -]?((?i:{_MODE})\b)(?!7|th)"
)
_FOREIGN = re.compile(
    rf"(?<!\w)({'|'.join(sorted(_GERMAN, key=len, reverse=True))})[ -](dur|moll)(?!\w)"
    rf"|(?<!\w)({'|'.join(_LATIN)})[ -]?(?:({_SHARP})|({_FLAT}))?[ -](majeur|mineur|mayor|menor|maggiore|minore|maior|major|minor)(?!\w)",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(?<![\w'#/])([A-G])(#|b)?m(?![\w#])")
_NO_KEY_AFTER = r"(?![\w#/'])(?! ?-?(?:maj|min|Maj|Min|dur|moll|Dur|Moll|chord|triad|section|dorian|lydian))"
_IN_A_KEY = re.compile(
    r"\b(?:[Kk]ey(?: signature)?(?:,? (?:is|was|being|of|in|as|here|seems|appears|to|be|would|centre|center|this|the|song|piece|music|track|tune|composition|recording|which|that|clearly|also|most|likely|probably|either|set))+|[Tt]onic(?: note)?(?: is| of|:)|"
    r"(?<!parallel )(?<!relative )[Kk]ey:|(?:is|plays|played|set|written|composed|performed|song|piece|music|tune|track|ballad|instrumental|composition|stays|remains|sits|pitched|BPM|bpm|tempo|time) in(?: the key of)?|[Tt]onal (?:centre|center) (?:is|of)|"
    r"[Cc]ent(?:re|er)ed on|key of)(?: the note)? ([A-G])(?:[ -]?(#|b\b|b(?=[mM]\b)|sharp|flat))?(m(?:in)?|M(?:aj)?)?"
    + _NO_KEY_AFTER
)
_IN_MINOR = re.compile(r"\b(?:in|either|or) ([A-G])(#|b)?(m)(?:in)?\b" + _NO_KEY_AFTER)
"""`a ballad in Fm`: a small m says that it is a key, unless chords are spoken of."""
_MAJOR_KEY = re.compile(r"\b([A-G])(#|b)?(M)\b(?= key)|(?<=\bor )([A-G])(#|b)?(M)\b")
_CHORDS_BEFORE = re.compile(
    r"\b(?:chords?|progressions?|triads?|harmon\w*|sequences?|changes|ends?|closes?|begins?|starts?|opens?|rests?|resolves?)\b[^.;]*$",
    re.I,
)
_MODES = re.compile(
    r"\b(major|minor|moll|dur|mineur|majeur|menor|mayor|minore|maggiore)[ -]?(?:key|mode|tonality|scale|keyed|tonart|sounding)\b"
    r"|\b(?:mode|modo|tonality|tonart|key|scale)(?: here)? (?:is|was|sounds|feels|seems|of this piece is)(?: (?:a|in|not|clearly|rather))* (major|minor|mineur|majeur|menor|mayor)\b"
    r"|\b(?:is|set|played|written|stays|remains|music|piece|song|tune) in (?:a |the )?(major|minor)(?= (?:key|mode)|[.,;!?]|$| and| throughout)"
    r"|\b(?:is|sounds|feels|in)(?: a| clearly| rather| quite)? (major|minor)(?=[.,;!?]|$)"
    r"|\bthird(?: above (?:it|the tonic))? is (major|minor)\b|\b(?:modo|mode|tonalidad) (mayor|menor|majeur|mineur|maggiore|minore)\b",
    re.IGNORECASE,
)
_WIDE = re.compile(
    r"third above the tonic is the (wide|narrow) one|(major|minor) third (?:above|over|on|on top of|from) (?:the tonic|the root|the keynote|[A-G](?:#|b| sharp| flat)?\b)",
    re.IGNORECASE,
)
_HARMONY = re.compile(r"\b(?:harmon(?:y|ies)|chords?|progression)\b[^.;]*$", re.IGNORECASE)
_FROM_TO = re.compile(
    r"(?<!key )\bfrom (?:an? )?$|\bleav(?:es?|ing) (?:an? |the )?(?:tonic |home )?$|\bleav(?:es?|ing) (?:an? |the )?[A-G][^.;]{0,24} for (?:an? )?$|\bfrom (?:an? )?[A-G][^.;]{0,24} (?:(?:straight|directly|back|on|down|up) )*(?:in)?to (?:an? )?$|\b[A-G][\w# ]{0,9} (?:major|minor) (?:is followed by|gives way to|precedes|after|before|follows|then|leads to|goes to|moves to|resolves to) (?:an? )?$",
    re.IGNORECASE,
)
_TONALITY = re.compile(r"\b(?:key|tonality|modulat\w*|tonic|in|of) $|\b(?:modulat\w*|key)\b[^.;]*$", re.IGNORECASE)
_DEGREES = {"tonic": 0, "supertonic": 2, "mediant": 4, "subdominant": 5, "dominant": 7, "submediant": 9}
_DEGREE_AFTER = re.compile(
    rf",? (?:is|as|being|serves as|acts as) (?:its|the|a) ({'|'.join(_DEGREES)})\b(?! of)", re.IGNORECASE
)
_DEGREE_BEFORE = re.compile(rf"\b(?:its|the) ({'|'.join(_DEGREES)})(?:,| is|:| of (?:this|the|its))? $", re.IGNORECASE)
_OF_CHORDS = re.compile(r"\b(?:chords?|triads?)\b[^.;?]*$", re.IGNORECASE)
_MODE_WORDS = ("maj", "min", "moll", "dur", "mineur", "menor", "mayor", "maior", "magg")
_KEY_WORDS = (*_MODE_WORDS, "ionian", "aeol")
_IN_WORDS = ("key", "tonic", " in ", "centre", "center", "entered on", "entred on")
_FOREIGN_WORDS = ("dur", "moll", "mineur", "majeur", "menor", "mayor", "maior", "magg", "minore")
_A_CHORD = re.compile(r"\b(?:chords?|triads?|harmon(?:y|ies))(?: of| is| are|:|,)? $", re.IGNORECASE)
_OF_A_CHORD = re.compile(
    r"(?:,? (?:and )?[A-G] ?(?:#|b\b|flat|sharp)?(?: (?:major|minor))?)*,?[ -]?(?:chord|triad|harmon|third|seventh|sixth|ninth|7|6th|arpeggio)",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(relative|parallel)\b(?! (?:minor|major)(?: key)? of $)[^.;]{0,40}$", re.IGNORECASE)
_IN_THE_RELATIVE = re.compile(
    r"\b(?:set|written|played|is|stays|remains|pitched) in (?:the|its) (?:relative|parallel)\b[^.;]*$|\bkey\b[^.;]{0,20} is (?:the|its) (?:relative|parallel)\b[^.;]*$",
    re.IGNORECASE,
)
_BUT_ITS_RELATIVE = re.compile(
    r"(?:major|minor),? but (?:in )?(?:its|the) (?:relative|parallel)(?: major| minor| key)?,? ?(?:of )?$",
    re.IGNORECASE,
)
"""`not C minor but its parallel, C major`: related to the key that is denied."""
_OF_RELATIVE = re.compile(r"\brelative (?:minor|major)(?: key)? of $", re.IGNORECASE)
_SHARES = re.compile(r"\b(?:shares?|same)\b[^.;]*key signature (?:with|as|of) $", re.IGNORECASE)
_MOVES = re.compile(
    r"\b(?:modulat\w*|tonici\w*|shift\w*|mov\w*|turn\w*|change\w*|ends?|ending|dominant|begins)\b[^.;]{0,40}$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"(?:^|[.!?:] )A (?:major|minor) (?!is\b|with\b|and\b|in\b|throughout)[a-z]")


def read_keys(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about the key and the mode in a plain text."""
    found: list[tuple[re.Match[str], KeyValue]] = []
    for match, value in _named(text):
        if not any(m.start() < match.end() and match.start() < m.end() for m, _ in found):
            found.append((match, value))
    spans = [match.span() for match, _ in found]
    rows = in_rows(found, text) if len(found) >= LEAST_IN_A_ROW else []
    yield from (_triad_claim(match, text, value) for match, value in rows)
    for group in _alternatives([pair for pair in found if pair not in rows], text):
        claims = [
            key_claim(match, text, value)
            for match, value in group
            if not _OF_A_CHORD.match(text, match.end()) and not _A_CHORD.search(text, 0, match.start())
        ]
        yield from [either_of(claims)] if len(claims) > 1 else claims
    for pattern, words in ((_MODES, _MODE_WORDS), (_WIDE, ("third",))):
        for match in pattern.finditer(text) if holds(text, words) else ():
            word = next(group for group in match.groups() if group)
            is_minor = bool(_MINOR.search(word)) or word.lower() == "narrow"
            is_of_chord = pattern is _MODES and match[4] and _OF_CHORDS.search(text, 0, match.start())
            if not is_of_chord and not any(a < match.end() and match.start() < b for a, b in spans):
                yield mode_claim(match, text, "minor" if is_minor else "major")


def _alternatives(
    found: list[tuple[re.Match[str], KeyValue]], text: str
) -> Iterator[list[tuple[re.Match[str], KeyValue]]]:
    """Give keys in groups: those that only an `or` parts belong together, as in `either C minor or C major`."""
    group: list[tuple[re.Match[str], KeyValue]] = []
    for match, value in sorted(found, key=lambda pair: pair[0].start()):
        if group and not _OR.fullmatch(text, group[-1][0].end(), match.start(1) if match[1] else match.start()):
            yield group
            group = []
        group.append((match, value))
    if group:
        mode = _OR_MODE.match(text, group[-1][0].end()) if len(group) == 1 else None
        yield [*group, (mode, (group[0][1][0], _mode(mode[1])))] if mode else group


_OR = re.compile(
    r",? (?:or|and/or)(?: (?:its|the|relative|perhaps|maybe|possibly|rather|in|key|of|even))* ?", re.IGNORECASE
)
_OR_MODE = re.compile(r",? or (major|minor)\b", re.IGNORECASE)


def key_label(facts: Facts) -> str:
    """Give the measured key in words; empty where nobody measured it."""
    return facts.key.label if facts.key else ""


def keys_in(text: str) -> list[tuple[int, str]]:
    """Give (pitch class, mode) of every key that a text names with its mode and does not deny; chords are none."""
    read = plain(text)
    return [
        (value[0], value[1])
        for match, value in _named(read)
        if value[1] is not None and not _OF_A_CHORD.match(read, match.end()) and not is_denied(read, *match.span())
    ]


def answer_key(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about the key: `Cm`, `C`, `Eb`, `minor` are claims there."""
    found = list(read_keys(text))
    if not found:
        bare = re.compile(
            r"(?<![\w'])([A-G]|(?<![\w ])[a-g](?=$|[#b]))[ -]?(#|b\b|sharp\b|flat\b)?(m(?:in)?)?(?![\w'#])"
        )
        found = [key_claim(m, text, (_pitch(m[1], m[2]), "minor" if m[3] else None)) for m in bare.finditer(text)]
    if not found:
        found = [
            mode_claim(m, text, "minor" if _MINOR.search(m[0]) else "major")
            for m in re.finditer(
                r"\b(?:major|minor|dur|moll|mayor|menor|maior|majeur|mineur|maggiore|minore)\b", text, re.IGNORECASE
            )
        ]
    if not found:
        latin = re.fullmatch(rf"\W*({'|'.join(_LATIN)})(?: ({_SHARP})| ({_FLAT}))?\W*", text, re.IGNORECASE)
        found = (
            [key_claim(latin, text, (_shifted(_LATIN[latin[1].lower()], latin[2], latin[3]), None))] if latin else []
        )
    yield from found


def _named(text: str) -> Iterator[tuple[re.Match[str], KeyValue]]:
    if holds(text, _KEY_WORDS):
        for match in _ENGLISH.finditer(text):
            articles = _ARTICLE.finditer(text) if match[1] == "A" and not match[3] else ()
            if not any(m.end() > match.end() >= m.start() for m in articles):
                yield match, (_pitch(match[1] or match[2], match[3]), _mode(match[4]))
        for match in (
            _FOREIGN.finditer(text) if holds(text, _FOREIGN_WORDS) or not words_of(text).isdisjoint(_LATIN) else ()
        ):
            if match[1]:
                yield match, (_GERMAN[match[1].lower()], _mode(match[2]))
            else:
                yield match, (_shifted(_LATIN[match[3].lower()], match[4], match[5]), _mode(match[6]))
    for match in _IN_A_KEY.finditer(text) if holds(text, _IN_WORDS) else ():
        kind = match[3] or ""
        yield match, (_pitch(match[1], match[2]), {"": None, "m": "minor", "M": "major"}[kind[:1]])
    for match in _IN_MINOR.finditer(text) if holds(text, (" in ", "either", " or ")) else ():
        if not _CHORDS_BEFORE.search(text, 0, match.start()):
            yield match, (_pitch(match[1], match[2]), "minor")
    for match in _MAJOR_KEY.finditer(text) if holds(text, ("key",)) else ():
        yield match, (_pitch(match[1] or match[4], match[2] or match[5]), "major")


def _mode(word: str) -> str:
    return "minor" if _MINOR.search(word) else "major"


def _shifted(pitch: int, sharp: str | None, flat: str | None) -> int:
    return (pitch + bool(sharp) - bool(flat)) % 12


def _pitch(letter: str, accidental: str | None) -> int:
    shift = {"#": 1, "sharp": 1, "b": -1, "flat": -1}.get((accidental or "").lower(), 0)
    return (PITCH_CLASSES[letter.lower()] + shift) % 12


def key_of(facts: Facts) -> tuple[int, str] | None:
    """Give the measured key, by sound."""
    return parse_key(facts.key.label) if facts.key else None


def relative_of(key: tuple[int, str]) -> tuple[int, str]:
    """Give the relative key: A minor for C major."""
    return ((key[0] + 9) % 12, "minor") if key[1] == "major" else ((key[0] + 3) % 12, "major")


_ON_OR_TO = re.compile(
    r"\b(?:(?:slips?|moves?|goes|turns?|shifts?|passes|flows|stays?|rests?|sits?|lingers?|remains?|dwells?|hovers?|settles?|sinks?|rises?|drops?|steps?|returns?|leans?|swings?|slides?|falls?|opens?|closes?|lands?|is|are|via|through|then|degree of)(?: (?:down|up|back|out|over))? ?(?:on|onto|into|to|via|through|over|upon|at)?|comes to rest on|centers on|with) (?:an? |the )?$",
    re.IGNORECASE,
)
_MODULATES = re.compile(r"\bmodulat\w*|\bkey\b|\bis in\b|\btonal", re.IGNORECASE)


def key_claim(match: re.Match[str], text: str, value: KeyValue, relation: str | None = None) -> SpokenClaim:
    """Claim a key, or where a key and a chord are said alike (`it settles on F major`), one of both."""
    claim = _key_claim(match, text, value, relation)
    before = text[max(0, match.start() - 60) : match.start()].rpartition(". ")[2]
    if claim.kind != "key" or not _ON_OR_TO.search(before) or _MODULATES.search(before + match[0]):
        return claim
    if before.rstrip().lower().endswith((" is", " are")) or _RELATIVE.search(before):
        return claim
    return either_of([claim, _triad_claim(match, text, value)])


def _key_claim(match: re.Match[str], text: str, value: KeyValue, relation: str | None = None) -> SpokenClaim:
    """Claim that the music is in a key, in its relative or parallel, or moves there, as the words before say."""
    before = text[: match.start()]
    related = relation or (found.group(1).lower() if (found := _RELATIVE.search(before)) else None)
    of_relative = _OF_RELATIVE.search(before) is not None
    related = None if _BUT_ITS_RELATIVE.search(before) or _IN_THE_RELATIVE.search(before) else related
    related = "relative" if _SHARES.search(before) else related
    if (edge := _AT_EDGE.match(text, match.end())) is not None and _RETURNS.search(before):
        return _edge_claim(match, text, value, -1 if edge[1].lower() in ("end", "close") else 0, edge[0])
    if (edge := _ON_AN_EDGE.search(before)) is not None:
        return _edge_claim(match, text, value, 0 if edge["first"] else -1)
    if _FOLLOWED.match(text, match.end()) or (
        _IS_A_CHORD.match(text, match.end()) and not _IN_KEY_BEFORE.search(before) and "key" not in match[0].lower()
    ):
        return _triad_claim(match, text, value)
    names_key = "key" in match[0].lower() or _TONALITY.search(before) is not None
    if not names_key and (_HARMONY.search(before) or _FROM_TO.search(before)):
        return _triad_claim(match, text, value)
    degree = _DEGREE_AFTER.match(text, match.end()) or _DEGREE_BEFORE.search(before)
    moves = bool(_MOVES.search(before)) and degree is None

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        if key is None or facts.key is None:
            return NOT_MEASURED
        fact = f"{facts.key.label} measured"
        allowed = [key, relative_of(key)] if of_relative else [key]
        if related == "relative":
            allowed = [relative_of(key)]
        elif related == "parallel":
            allowed = [(key[0], "minor" if key[1] == "major" else "major")]
        if degree is not None:
            # a chord or key is placed by its degree: whether major or minor is the writer's
            return value[0] == (key[0] + _DEGREES[degree[1].lower()]) % 12, fact
        allowed += [k for s in facts.key.changes if (k := parse_key(s.label))]
        holds = any(value[0] == k[0] and value[1] in (None, k[1]) for k in allowed)
        return (None if moves and not holds else holds), fact

    return SpokenClaim("key", match.group(0), test, is_denied(text, *match.span()))


_AT_EDGE = re.compile(r",? at the (?:very )?(end|close|beginning|start)\b", re.IGNORECASE)
_ON_AN_EDGE = re.compile(
    r"\b(?:(?P<first>opens?|begins?|starts?)|ends?|closes?|finish(?:es)?|concludes?|stops?)(?: \w+)? (?:on|with) (?:an? |the )?$",
    re.IGNORECASE,
)
_FOLLOWED = re.compile(
    r" (?:is followed by|gives way to|precedes|after|before|follows|then|leads to|goes to|moves to|resolves to) (?:an? )?[A-G]"
)
_IN_KEY_BEFORE = re.compile(r"\b(?:in|key|tonality|mode)(?: (?:of|is))? $", re.IGNORECASE)
_IS_A_CHORD = re.compile(
    r" (?:is|was)(?: also)? (?:the|its|an?) (?:[a-z]+ ){1,3}(?:chord|triad|harmony)\b|(?:,? (?:which |that )?(?:is|as|being|serves as|acts as|functions as)|,|:)? ?(?:\()?(?:the|its|a|an)? ?(?:minor |major )?(?:(?-i:[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii))\b(?: chord| of\b)?|(?:super|sub)?(?:tonic|dominant|mediant)\b(?: chord| of\b))"
    r"|,[^,.;]{1,28}, (?:is|was) (?:held|heard|sustained|played)\b|,[^,.;]{1,28}, (?:follows|sounds|enters|returns|lasts|appears|precedes|leads|resolves)\b"
    r"|, (?:follows|enters|returns|appears|precedes|leads|resolves|is (?:held|heard|reached))\b"
    r"| (?:(?:is|was) (?:held|heard|sustained|played|reached|introduced)\b|follows|sounds|enters|returns|lasts|appears|precedes|resolves|leads|accompanies|gives way|alternates)\b(?! throughout)",
    re.IGNORECASE,
)
"""Behind `E minor`, what says that it is a chord."""
_RETURNS = re.compile(
    r"\b(?:return\w*|goes|go|come\w*|rests?|settles?|stays?|back|ends?|starts?|lands?|arrives?|resolves?) (?:back )?(?:to|on|in|at) (?:an? )?$",
    re.IGNORECASE,
)


def _edge_claim(match: re.Match[str], text: str, value: KeyValue, place: int, beside: str = "") -> SpokenClaim:
    """Claim that the first or the last chord is a triad: `it returns to A minor at the end`."""

    def test(facts: Facts) -> Held:
        labels = [s.label for s in facts.chords.segments if s.label not in "NX"] if facts.chords else []
        chord = triad_of(labels[place]) if labels else None
        if chord is None:
            return NOT_MEASURED
        fits = chord[0] == value[0] and value[1] in (None, "minor" if chord[1] == "min" else "major")
        return fits, f"{labels[place]} measured there"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()), beside=beside)


def _triad_claim(match: re.Match[str], text: str, value: KeyValue) -> SpokenClaim:
    """Claim that a triad is heard: `the harmony moves from C major to G major`."""

    def test(facts: Facts) -> Held:
        if facts.chords is None:
            return NOT_MEASURED
        heard = {parse_chord(s.label) for s in facts.chords.segments if s.label not in "NX"}
        holds = any(c[0] == value[0] and value[1] in (None, "major" if c[1] == "maj" else "minor") for c in heard if c)
        return holds, f"{', '.join(dict.fromkeys(s.label for s in facts.chords.segments))} measured"

    return SpokenClaim("chords", match.group(0), test, is_denied(text, *match.span()))


def mode_claim(match: re.Match[str], text: str, mode: str) -> SpokenClaim:
    """Claim that the key is a major or a minor one."""

    def test(facts: Facts) -> Held:
        if facts.key is None:
            return NOT_MEASURED
        also = {s.label.split()[1] for s in facts.key.changes}
        return mode == facts.key.mode or mode in also, f"{facts.key.label} measured"

    return SpokenClaim("key", match.group(0), test, is_denied(text, *match.span()))
