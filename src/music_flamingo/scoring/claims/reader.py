"""Read a text, a question's premise, or an answer in the light of its question."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.asked import (
    answer_event,
    answer_extreme,
    answer_lasts,
    answer_part,
    answer_signature,
    answer_superlative,
    answer_times,
)
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, judge, unmeasured
from music_flamingo.scoring.claims.chord_lists import read_symbols
from music_flamingo.scoring.claims.chord_places import place_in
from music_flamingo.scoring.claims.events import read_events
from music_flamingo.scoring.claims.form import read_form
from music_flamingo.scoring.claims.gates import has_digit
from music_flamingo.scoring.claims.harmony import answer_chord, answer_degree, answer_neighbour, read_chords
from music_flamingo.scoring.claims.heard import by_itself
from music_flamingo.scoring.claims.keys import answer_key, read_keys
from music_flamingo.scoring.claims.lines import answer_lines, answer_words, read_how_often
from music_flamingo.scoring.claims.loudness import answer_dynamics, answer_envelope, answer_texture
from music_flamingo.scoring.claims.meter import answer_meter, read_meter
from music_flamingo.scoring.claims.parts import PART, PartName, a_part, counted_beside, occurs
from music_flamingo.scoring.claims.players import read_players
from music_flamingo.scoring.claims.sung import answer_language, answer_theme, read_sung, without_quotes
from music_flamingo.scoring.claims.tempo import answer_tempo, read_tempo
from music_flamingo.scoring.claims.times import FIGURE, answer_length, count_claim, read_figures, read_times
from music_flamingo.scoring.claims.wording import plain

_READERS = (read_tempo, read_meter, read_keys, read_chords, read_form, read_events, read_times, read_players)
_TOPICS: tuple[tuple[str, str], ...] = (
    ("times", r"how (?:many times|often)\b"),
    ("signature", r"how many (?:sharps|flats|accidentals)\b"),
    ("count", r"how many (?:different |distinct |separate )?(?:(?P<letter>[A-E]) )?(?P<what>bars|measures|downbeats|sections|parts|chords|triads|harmonies|lines|verses|chorus(?:es)?|refrains|bridges)|of how many (?P<other>sections|parts)"),
    ("meter", r"time signature|met(?:er|re)\b|how many (?:beats|pulses|counts)\b[^?]*\b(?:bar|measure)|(?:pulse|beats?|it) (?:is |are )?grouped|conduct|counted\b|\bin [2-9]\?|what time is it in|what (?:\w+ )?rhythm|beats? per (?:bar|measure)|\bbars?\b[^?]*\bbeats?\b|\bbeats?\b[^?]*\bbars?\b|count in\b|\bbars?\b[^?]*\blike\b|\b(?:twos|threes|fours)\b|wie viele schl|bars counted|taktart|welchem takt|tempos tem|compas\b|mesure\b|battuta|compasso"),
    ("theme", r"what (?:are|is|do|does|did) (?:the |these |her |his |its )?(?:words|lyrics?|text|song|singer|verses?|sung|story|being sung|she|he)\b[^?]*\b(?:about|of|say|tell|describe)|(?<!plays the )(?<!play the )\b(?:theme|subject|topic|message|story)\b|lyric_themes"),
    ("language", r"\blanguage\b"),
    ("key", r"third\b[^?]*\bmajor or minor|tonic (?:chord|triad)\b[^?]*\bmajor or minor"),
    ("texture", r"\btexture\b|\b(?:line|melody)\b[^?]*\bor\b[^?]*\b(?:chords?|texture|several)"),
    ("envelope", r"\bnotes?\b[^?]*\b(?:held|hold|sustain\w*|die|decay\w*|fade|attack)\b"),
    ("words", r"(?:which|what|first|last|opening|final|repeated) (?!tempo|italian|musical)(?:\w+ )?(?:words?|line|lyrics?|phrase)\b|\b(?:before|after) the (?:line|words)\b|\b(?:first|last) thing (?:she|he|they|the \w+) (?:sings?|says)|\b(?:second|third|fourth|fifth|sixth) line\b"),
    ("extreme", r"\b(?:loudness|volume|level) peak|\b(?:where|which|what|when)\b[^?]*\b(?:loudest|quietest|softest|climax|peak)\b"),
    ("event", r"\bhow much of\b[^?]*\bwhen\b|(?:^|[,;] )(?:(?:un)?till? when|(?:at|by|until|after) (?:what|which) (?:time|point|moment|second|mark)|(?:from )?when|where (?:do|does|did|is|in|on)\b(?![^?]*\b(?:harmony|chords?) (?:go|move|lead)))\b(?![^?]*\b(?:from|recorded|written)\b)|\bat what (?:time|point|second|moment|mark)\b|\bhow much time\b|\bhow (?:far|many seconds|long) (?:in\b|into\b|before\b|until\b|after\b)"),
    ("lasts", rf"\b(?:how long|how many seconds|length|duration)\b[^?]*\b(?:{PART}|chord|triad|harmony)\b"),
    ("part", r"\b(?:section|part)s? (?:comes|is|stands) (?:second|third|fourth|fifth|sixth)\b|\bsections?\b[^?]*\b(?:most|least) time|\b(?:longest|shortest|longer|shorter) (?:section|part)|\b(?:which|what)\b(?! (?:chord|key|word|line|instrument|harmony))[^?]*\b(?:section|part|portion|verse|chorus)s?\b[^?]*\b(?:opens?|begins?|starts?|first|ends?|closes?|last|finishes|concludes?|contrasting|long\w*|short\w*|after|follows?|before|next|between)|\b(?:open|begin|start|close|end|finish)(?:es|s)? with a[^?]* or |\b(?:section|part)s?\b[^?]*\b(?:once|twice|times)\b|comes first\b|what (?:follows|precedes|comes (?:right |directly )?(?:after|before|between|next))\b|how does (?:the|this) (?:song|piece|music|track) (?:open|begin|start|close|end|finish)\?"),
    ("tempo", r"tempo|bpm|how many (?:beats|pulses)\b[^?]*\bminute|\b(?:slow|fast|quick)\b[^?]*\bor\b[^?]*\b(?:slow|fast|quick|medium|moderate)|beats (?:per|in a|a|go by in a|pass in a|every|each) minute|metronome|how (?:fast|slow|quick)|pace\b|speed|pulse rate|\bthe pulse\b"),
    ("chords", r"\bchords?\b|harmony"),
    ("key", r"\bkey\b|tonality|tonic|ton(?:al)? cent(?:er|re)|key ?note|home (?:note|key|pitch)|feels like home|scale\b|(?:relative|parallel) (?:major|minor)|mayor o menor|maior ou menor|majeur ou mineur|dur oder moll|maggiore o minore|major or (?:a )?minor|minor or (?:a )?major|\bmode\b|tonart|tonalite|tonalita|tonalidade?|tongeschlecht|\bmodo\b"),
    ("form", r"\bform\b|structure|layout|letters"),
    ("dynamics", r"\b(?:loudness|volume|dynamic(?:s|ally)?|louder|softer|quieter|loudest|quietest|level|intensity)\b"),
    ("length", r"how long (?:is|does|was|lasts) (?:the |this )?(?:whole |entire )?(?:piece|song|music|recording|track|clip|excerpt|tune|it)\b(?! (?:hold|stay|sustain))|(?:duration|length) of the (?:piece|song|music|recording|track|clip|excerpt)|what(?:'s| is) (?:its|the) (?:total )?(?:length|duration)\b|how long does (?:it|this) (?:last|take|run)|running time|how many (?:minutes|seconds) (?:long|does|is|of)\b"),
)  # fmt: skip
_TOPIC = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TOPICS]
_COUNTED = dict(_TOPIC)["count"]
_ANSWERS: dict[str, Callable[[str], Iterable[SpokenClaim]]] = {
    "tempo": answer_tempo,
    "meter": answer_meter,
    "key": answer_key,
    "envelope": answer_envelope,
    "texture": answer_texture,
    "language": answer_language,
    "theme": answer_theme,
    "length": answer_length,
    "dynamics": answer_dynamics,
}
_OF_QUESTION = {
    "event": answer_event,
    "lasts": answer_lasts,
    "part": answer_part,
    "words": answer_words,
    "times": answer_times,
    "signature": answer_signature,
    "extreme": answer_extreme,
    "dynamics": answer_superlative,
}
"""Topics whose answers only the question's words explain."""
_POLAR = re.compile(
    r"^(?:\u00bf ?)?(?:hat|ist|sind|gibt|wird|hort|est ce|y a|tiene|hay|esta|es|ha|c'e|tem|is|are|does|do|did|can|could|has|have|was|were|will|would)\b",
    re.IGNORECASE,
)
_INVERTED = re.compile(
    r"^(is|are|was|were|does|do) ((?:the|this|its|it|there)\b(?: (?:piece|song|music|track|recording|tempo|pace|speed|mode|key|tonality|scale|meter|metre|third|beat"
    r"|tones|notes|chords|pulse|loudness|volume|rhythm|texture))?) (.+?)(?:,? (?:yes or no|or not))?\?",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"^\W*(?:nobody|no one|none|nothing|nowhere|neither)\b", re.IGNORECASE)
_YES, _NO = (
    re.compile(
        r"^\W*(?:(?:yes|true|si|ja|oui|sim|correct|indeed)\b|(?:there|it|they|she|he) (?:is|are|does|do|has)\W*$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"^\W*(?:(?:no|false|nein|non|incorrect)\b(?! \w+)|(?:there|it|they|she|he) (?:is|are|does|do|has)(?:n't| not)\b\W*$|(?:no(?:t| one|body)|none|neither|never|hardly|barely|scarcely)\b)",
        re.IGNORECASE,
    ),
)
_WITH_OR_WITHOUT = re.compile(r"\bwith or without ([\w ]+)", re.IGNORECASE)
_WITH = re.compile(r"^\W*(with|without)\b", re.IGNORECASE)
_APART_FROM = re.compile(
    r"\b(?:apart from|besides|other than|except|in addition to|what else|accompan\w+)\b", re.IGNORECASE
)
_OF_WHO = frozenset(("voice", "lyrics", "drums", "instruments"))
_GRANTED = re.compile(r"\b(?:the|these|its|all|both) (?:two|three|four|five|six|seven|eight|\d+) \w+", re.IGNORECASE)
"""`the two parts` are taken for granted, not asked for."""
_COUNTED_BESIDE = re.compile(
    rf"\b(?:sections|parts)\b[^?]*\b(?P<side>before|after|precedes?|follow) (?:the |an? )?{a_part()}", re.IGNORECASE
)
_OF_TIMES = frozenset(("length", "lasts", "part"))
"""Topics under which a time is not read by itself."""
_OF_A_KIND = re.compile(
    r"\bwhat (?:kind|sort|type|style|form) of ((?:\w+ )?(?:guitar|bass|voice|singer|vocals|piano|organ|drums?|song|music|key|mode|chord|met(?:er|re)|ballad|tempo|pulse|texture))\b",
    re.IGNORECASE,
)
_IS_OF_A_KIND = re.compile(
    r"^(?:is|are) the (bass|guitars?|piano|organ|violin) (?:an? )?(electric|acoustic|upright|grand|double|distorted)\b",
    re.IGNORECASE,
)
_EITHER = re.compile(r"^(?:is|are) the (\w+) (?:an? )?\w+ or (?:an? )?\w+\W*$", re.IGNORECASE)
_A_KIND_OF_ONE = re.compile(r"\b(electric|acoustic|upright|grand|double|distorted|classical) one\b", re.IGNORECASE)
_HAPPENS = re.compile(
    r"\b(?:what (?:happens|changes|enters|begins|starts)|(?:which|what) (?:section|part)\b[^?]*?)\s(?P<at>(?:at|after|around|about|from) [^?]*?(?:\d|second|minute)[^?]*|(?:a|one|two|three|half a|\d+) minutes? (?:in|into)\b[^?]*)",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"\b(?:begins?|starts?|enters?|returns?|comes|arrives?|ends?|stops?|sets in)\b", re.IGNORECASE)
MOST_WORDS_OF_AN_EVENT = 9
_PRONOUN = re.compile(r"\W*(she|he|her|him)\W*", re.IGNORECASE)
SHORT_WORDS = 4
"""Of an answer that only its question's noun completes."""
_ABSENT = re.compile(
    r"\b(?:absent|missing|lacking|silent|left out|not (?:in the \w+|heard|playing|present|used|included|part of))\b",
    re.IGNORECASE,
)
_RELATION = re.compile(r"\b(relative|parallel|shares?)\b(?! the (?:melody|tune))", re.IGNORECASE)
_RELATES = re.compile(r"\brelat(?:e|es|ed|ion|ionship)\b", re.IGNORECASE)
_IN_A_KEY = re.compile(r"\b(?:in|key|modulat\w*|piece|song|track) (?:of |to )?[A-G]\b|\bkey\b")
_SHARES = re.compile(r"\bshares?\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.:/])(\d+)(?![\w/%]|[.:]\d)")


@lru_cache(maxsize=65536)
def read_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read every claim of a text; what it quotes are words of a song."""
    claims, bare = _known_claims(text), without_quotes(plain(text))
    symbols = read_symbols(bare, " ".join(claim.said for claim in claims))
    return (*claims, *symbols, *read_figures(bare, claims))


@lru_cache(maxsize=1024)
def _known_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read the claims of a text but for figures that nothing accounts for: a question may say what they count."""
    quoted = plain(text)
    bare = without_quotes(quoted)
    claims = [claim for read in _READERS for claim in read(bare)]
    return (*claims, *read_sung(bare, quoted), *read_how_often(quoted))


@lru_cache(maxsize=16384)
def topic_of(question: str) -> str | None:
    """Name what a question asks for, by its wording: `tempo`, `meter`, `key`, `chords`, `count`, `form`."""
    text = plain(question)
    return next((name for name, pattern in _TOPIC if pattern.search(text)), None)


def grants_nothing(answer: str) -> bool:
    """Whether an answer denies what its question takes for granted: `Who sings? - Nobody`."""
    return _NOBODY.match(answer) is not None


@lru_cache(maxsize=16384)
def read_premises(question: str) -> tuple[SpokenClaim, ...]:
    """Read what a question takes for granted; a yes-or-no question and one between alternatives grant nothing."""
    if _POLAR.match(plain(question)) or re.search(r"\b(?:or|whether)\b", question):
        return tuple(c for c in read_claims(question) if c.is_place)
    if topic_of(question) in ("event", "chords", "lasts") and not _IN_A_KEY.search(question):
        return tuple(c for c in read_claims(question) if c.kind != "key")
    if _RELATES.search(question) or (_SHARES.search(question) and topic_of(question) == "key"):
        return tuple(c for c in read_claims(question) if c.kind != "key")
    return read_claims(question)


@lru_cache(maxsize=65536)
def read_answer(question: str, answer: str) -> tuple[SpokenClaim, ...]:
    """Read the claims of an answer in the light of its question."""
    claims = tuple(_in_context(question, answer))
    return (*claims, *read_figures(without_quotes(plain(answer)), claims))


def _in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    found = list(_all_in_context(question, answer))
    # a line that was sung may fill in what nothing else answers
    yield from found or answer_lines(question, plain(answer))


def _all_in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    polar = bool(_POLAR.match(plain(question)))
    if polar and (_YES.match(answer) or _NO.match(answer)):
        yield from _asked(question) if _YES.match(answer) else _refused(_asked(question))
    if (choice := _WITH_OR_WITHOUT.search(question)) and (word := _WITH.match(answer)):
        yield from (c.turned(word[1].lower() != "with") for c in _known_claims(choice[1]))
    if not polar and grants_nothing(answer):
        apart = _APART_FROM.search(question)
        asked = [c for c in _known_claims(question) if not c.is_place and c.kind in _OF_WHO]
        yield from _refused([] if apart else asked)
        if apart:
            yield SpokenClaim("instruments", answer, by_itself)
    topic, text = topic_of(question), plain(answer)
    if topic == "key" and (relation := _RELATION.search(question)):
        yield from _known_claims(f"{relation[1] if relation[1].lower() == 'parallel' else 'relative'} {answer}")
        return
    own = _own_claims(question, answer, topic, polar)
    yield from own
    yield from _completed(question, answer)
    if topic in _OF_QUESTION:
        yield from _OF_QUESTION[topic](plain(question), text)
    if topic == "count" and not any(c.kind in ("count", "meter") for c in own):
        yield from _counted(question, text)
    elif topic in _ANSWERS and not any(
        c.kind == topic and (topic != "tempo" or has_digit(c.said) or not has_digit(text)) for c in own
    ):
        yield from _ANSWERS[topic](text)
    elif topic == "form" and not any(c.kind == "form" for c in own):
        yield from read_form(f"{text} form")


def _own_claims(question: str, answer: str, topic: str | None, polar: bool) -> list[SpokenClaim]:
    """Read what an answer says by itself, but for words that its question gives another meaning."""
    text = plain(answer)
    own = [
        c
        for c in _known_claims(answer)
        if (topic != "language" or c.kind != "origin") and (topic not in _OF_TIMES or c.kind != "time")
    ]
    if topic == "chords":
        own = [*(c for c in own if c.kind != "chords"), *answer_chord(text, place_in(plain(question)))]
        # `Eb, Bb and C minor` names chords, `a cadence in C minor` a key
        own = [c for c in own if c.kind != "key" or re.search(rf"\b(?:in|key of|key is|of) {re.escape(c.said)}", text)]
        own += [*answer_degree(plain(question), text), *answer_neighbour(plain(question), text)]
    if not polar and _ABSENT.search(question):
        own = [c if c.denied else c.turned(True) for c in own]
    return own


def _completed(question: str, answer: str) -> Iterator[SpokenClaim]:
    """Read a short answer with the noun of its question: `What kind of guitar? - Acoustic`."""
    if (either := _EITHER.match(question)) and len(answer.split()) < SHORT_WORDS:
        yield from _known_claims(f"{answer.rstrip('. ')} {either[1]}")
    if one := _A_KIND_OF_ONE.search(answer):
        nouns = [c.said for c in _known_claims(question) if c.kind == "instruments"]
        yield from _known_claims(f"{one[1]} {nouns[-1]}") if nouns else ()
    if (happens := _HAPPENS.search(question)) and len(answer.split()) < MOST_WORDS_OF_AN_EVENT:
        thing = answer.rstrip(". ")
        yield from read_events(
            plain(f"{thing} {happens['at']}") if _BEGINS.search(thing) else plain(f"{thing} begins {happens['at']}")
        )
    if (kind := _OF_A_KIND.search(question)) and len(answer.split()) < SHORT_WORDS:
        yield from (c for c in _known_claims(f"{answer.rstrip('. ')} {kind[1]}") if c.kind != FIGURE)
    if pronoun := _PRONOUN.fullmatch(answer):
        yield from read_claims("she sings" if pronoun[1].lower() in ("she", "her") else "he sings")


def _refused(asked: list[SpokenClaim]) -> Iterator[SpokenClaim]:
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


def _asked(question: str) -> list[SpokenClaim]:
    """Read what a yes-or-no question asks: `Is the mode minor?` asks whether the mode is minor."""
    asked = [
        c for c in _known_claims(question) if not c.is_place and not (c.kind == "count" and _GRANTED.search(question))
    ]
    if (kind := _IS_OF_A_KIND.match(question)) is not None:
        asked = [c for c in asked if c.kind != "instruments"] + list(_known_claims(f"{kind[2]} {kind[1]}"))
    if _ABSENT.search(question):
        return [c.turned(True) for c in asked]
    inverted = _INVERTED.match(question)
    if not asked and inverted:
        asked = [c for c in read_claims("{1} {0} {2}.".format(*inverted.groups())) if not c.is_place]
    return asked


def _counted(question: str, text: str) -> Iterator[SpokenClaim]:
    found = _COUNTED.search(plain(question))
    number = _NUMBER.search(text)
    if found is None or number is None:
        yield unmeasured("count", text)
    elif beside := _COUNTED_BESIDE.search(plain(question)):
        yield SpokenClaim(
            "count", text, counted_beside(PartName.of(beside.groupdict()), beside["side"], int(number[1]))
        )
    elif found["letter"]:
        yield SpokenClaim("count", text, occurs(PartName("section", found["letter"].upper()), int(number[1])))
    else:
        yield count_claim(text, found["what"] or found["other"], int(number[1]))
