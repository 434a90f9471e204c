"""Read a text, a question's premise, or an answer in the light of its question."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
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
from music_flamingo.scoring.claims.degrees import read_degrees
from music_flamingo.scoring.claims.derived import answer_difference, read_derived
from music_flamingo.scoring.claims.events import read_events
from music_flamingo.scoring.claims.form import read_form
from music_flamingo.scoring.claims.gates import has_digit, words_of
from music_flamingo.scoring.claims.harmony import answer_chord, answer_degree, answer_neighbour, degree_in, read_chords
from music_flamingo.scoring.claims.heard import by_itself, negated
from music_flamingo.scoring.claims.keys import answer_key, read_keys
from music_flamingo.scoring.claims.lines import answer_lines, answer_words, read_how_often
from music_flamingo.scoring.claims.loudness import answer_dynamics, answer_envelope, answer_texture
from music_flamingo.scoring.claims.meter import answer_meter, is_meter, read_meter
from music_flamingo.scoring.claims.parts import PartName, a_part, counted_beside, occurs
from music_flamingo.scoring.claims.players import read_players
from music_flamingo.scoring.claims.restated import restated
from music_flamingo.scoring.claims.sounding import read_sounding
from music_flamingo.scoring.claims.sung import answer_language, answer_theme, read_sung, without_quotes
from music_flamingo.scoring.claims.tempo import answer_tempo, read_tempo
from music_flamingo.scoring.claims.times import FIGURE, answer_length, count_claim, read_figures, read_times
from music_flamingo.scoring.claims.topics import COUNTED, topic_of
from music_flamingo.scoring.claims.wording import plain

_READERS = (
    read_tempo,
    read_meter,
    read_keys,
    read_degrees,
    read_chords,
    read_form,
    read_events,
    read_sounding,
    read_derived,
    read_times,
    read_players,
)
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
_TRUE_OR_FALSE = re.compile(
    r"^(?:true or false:? ?|is (?:it|this) (?:true|correct|right)(?: that|:)? )(.+?)\??$|^(.+?)[,:;.?]? ?(?:is (?:this|that|it) )?(?:true or false|right or wrong|correct or (?:not|incorrect|wrong)|true|correct|right)\??$",
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
_SUBJECT = re.compile(
    r"^(?:is|are|does|do|did|has|have|was|were|can) the ([\w ]+?) (?!in\b|on\b|of\b|and\b|or\b)[a-z]", re.IGNORECASE
)
_ACCOMPANIED = re.compile(
    r"\b(?:accompanied|supported|backed|joined|doubled)(?: by (?:any |some )?(?:other )?(?:instruments?|players?|anything(?: else)?|others|someone|something))?\W*$",
    re.IGNORECASE,
)
"""`Is the flute accompanied?` asks whether it is heard alone."""
_OF_WHO = frozenset(("voice", "lyrics", "drums", "instruments"))
_GRANTED = re.compile(r"\b(?:the|these|its|all|both) (?:two|three|four|five|six|seven|eight|\d+) \w+", re.IGNORECASE)
"""`the two parts` are taken for granted, not asked for."""
_COUNTED_BESIDE = re.compile(
    rf"\b(?:sections|parts)\b[^?]*\b(?P<side>before|after|precedes?|follow) (?:the |an? )?{a_part()}", re.IGNORECASE
)
_DISTINCT = re.compile(r"\b(?:distinct|different|unique)\b", re.IGNORECASE)
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
_EITHER = re.compile(
    r"^(?:is|are|does|do) the (\w+)(?: sound| played| seem)? (?:an? )?\w+ or (?:an? )?\w+\W*$", re.IGNORECASE
)
_A_KIND_OF_ONE = re.compile(r"\b(electric|acoustic|upright|grand|double|distorted|classical) one\b", re.IGNORECASE)
_HAPPENS = re.compile(
    r"\b(?:what (?:happens|changes|enters|begins|starts)|(?:which|what) (?:section|part)\b[^?]*?)\s(?P<at>(?:at|after|around|about|from) [^?]*?(?:\d|second|minute)[^?]*|(?:a|one|two|three|half a|\d+) minutes? (?:in|into)\b[^?]*)",
    re.IGNORECASE,
)
_CHORD_BEGINS = re.compile(
    r"\b(?:chord|harmony|triad)\b[^?]*?\b(?:enters?|begins?|starts?|arrives?|comes in|appears?|is (?:reached|introduced)|sets in|takes over)\b (?P<at>(?:at|after|around|about) [^?]+)",
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
    if all(claim.is_place for claim in found):
        found += _read_together(question, answer)
    # a line that was sung may fill in what nothing else answers
    yield from found or answer_lines(question, plain(answer))


def _read_together(question: str, answer: str) -> list[SpokenClaim]:
    """Read question and answer as one statement; the claims of the question alone are no answer."""
    words = words_of(plain(answer))
    for statement in restated(plain(question), plain(answer)):
        found = [c for c in _known_claims(statement) if not c.is_place and not words.isdisjoint(words_of(c.said))]
        if found:
            return [replace(claim, is_guess=True) for claim in found]
    return list(answer_meter(plain(answer))) if is_meter(plain(answer)) else []


def _all_in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    if (stated := _TRUE_OR_FALSE.match(plain(question))) is not None and (_YES.match(answer) or _NO.match(answer)):
        asked = [c for c in read_claims(stated[1] or stated[2]) if not c.is_place]
        yield from asked if _YES.match(answer) else _refused(asked)
        return
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
    if (
        topic in ("key", "chords")
        and degree_in(question) not in (None, "tonic")
        and (on_degree := _of_degree(question, answer))
    ):
        yield from on_degree
        return
    own = _own_claims(question, answer, topic, polar)
    yield from own
    yield from _completed(question, answer)
    yield from answer_difference(plain(question), text)
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


def _of_degree(question: str, answer: str) -> list[SpokenClaim]:
    """Read the answer to `What is the dominant of this key?`: a degree of the key, and no key of the music."""
    statements = restated(plain(question), plain(answer))
    return next((found for s in statements if (found := list(read_degrees(s)))), [])


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
    if (begins := _CHORD_BEGINS.search(question)) and len(answer.split()) < SHORT_WORDS:
        yield from read_events(plain(f"{answer.rstrip('. ')} begins {begins['at']}"))
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
    if (subject := _SUBJECT.match(question)) is not None:
        rest = [c for c in asked if not (c.kind in _OF_WHO and c.said.lower() == subject[1].lower())]
        asked = rest or asked
        if _ACCOMPANIED.search(question):
            return [c for c in rest if c.kind not in _OF_WHO] + [SpokenClaim("sound", question, negated(by_itself))]
    inverted = _INVERTED.match(question)
    if not asked and inverted:
        asked = [c for c in read_claims("{1} {0} {2}.".format(*inverted.groups())) if not c.is_place]
    return asked


def _counted(question: str, text: str) -> Iterator[SpokenClaim]:
    found = COUNTED.search(plain(question))
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
        what = found["what"] or found["other"]
        is_distinct = what.lower() == "lines" and _DISTINCT.search(question) is not None
        yield count_claim(text, f"distinct {what}" if is_distinct else what, int(number[1]))
