"""Read a text, a question's premise, or an answer in the light of its question."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from music_flamingo.scoring.claims.alternatives import answer_alternatives
from music_flamingo.scoring.claims.asked import (
    answer_event,
    answer_extreme,
    answer_lasts,
    answer_part,
    answer_times,
)
from music_flamingo.scoring.claims.base import SpokenClaim, unmeasured
from music_flamingo.scoring.claims.chord_lengths import answer_chord_length
from music_flamingo.scoring.claims.chord_places import place_in
from music_flamingo.scoring.claims.degrees import answer_numeral, read_degrees
from music_flamingo.scoring.claims.derived import answer_difference
from music_flamingo.scoring.claims.events import read_events
from music_flamingo.scoring.claims.figures import read_figures
from music_flamingo.scoring.claims.form import read_form
from music_flamingo.scoring.claims.gates import has_digit, words_of
from music_flamingo.scoring.claims.harmony import answer_chord, answer_degree, answer_neighbour, degree_in
from music_flamingo.scoring.claims.heard import by_itself
from music_flamingo.scoring.claims.keys import answer_key
from music_flamingo.scoring.claims.lines import answer_lines, answer_words, sung_times
from music_flamingo.scoring.claims.loudness import answer_dynamics, answer_envelope, answer_superlative, answer_texture
from music_flamingo.scoring.claims.meter import answer_meter, is_meter
from music_flamingo.scoring.claims.parts import PART, PartName, a_part, counted_beside, occurs
from music_flamingo.scoring.claims.polar import ABSENT, NO, OF_WHO, POLAR, TRUE_OR_FALSE, YES, asked_of, refused
from music_flamingo.scoring.claims.qualities import answer_function, answer_quality
from music_flamingo.scoring.claims.rates import answer_rate
from music_flamingo.scoring.claims.relations import RELATION, read_relations
from music_flamingo.scoring.claims.restated import restated
from music_flamingo.scoring.claims.rewording import reworded
from music_flamingo.scoring.claims.signatures import answer_signature
from music_flamingo.scoring.claims.sung import answer_language, answer_theme, without_quotes
from music_flamingo.scoring.claims.tempo import answer_tempo
from music_flamingo.scoring.claims.texts import known_claims, read_claims
from music_flamingo.scoring.claims.times import FIGURE, answer_length, count_claim
from music_flamingo.scoring.claims.topics import COUNTED, topic_of
from music_flamingo.scoring.claims.wording import NUMBER, plain

_ANSWERS: dict[str, Callable[[str], Iterable[SpokenClaim]]] = {
    "tempo": answer_tempo,
    "meter": answer_meter,
    "key": answer_key,
    "envelope": answer_envelope,
    "thickness": answer_texture,
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
_OFFERS = re.compile(r"\b(?:or|whether)\b|: [^?,]+, [^?]+\?")
"""What a question only offers, it does not take for granted."""
_NOBODY = re.compile(r"^\W*(?:nobody|no one|none|nothing|nowhere|neither)\b", re.IGNORECASE)
_WITH_OR_WITHOUT = re.compile(r"\bwith or without ([\w ]+)", re.IGNORECASE)
_WITH = re.compile(r"^\W*(with|without)\b", re.IGNORECASE)
_APART_FROM = re.compile(
    r"\b(?:apart from|besides|other than|except|in addition to|what else|accompan\w+)\b", re.IGNORECASE
)
_COUNTED_BESIDE = re.compile(
    rf"\b(?:sections|parts)\b[^?]*\b(?P<side>before|after|precedes?|follow) (?:the |an? )?{a_part()}", re.IGNORECASE
)
_DISTINCT = re.compile(r"\b(?:distinct|different|unique)\b", re.IGNORECASE)
_IN_SECONDS = re.compile(r"\bseconds\b", re.IGNORECASE)
_IN_MINUTES = re.compile(r"\bhow many minutes\b", re.IGNORECASE)
_ONLY_A_NUMBER = re.compile(r"[a-z ]{0,24}\d+(?:\.\d+)?(?: and a half)?", re.IGNORECASE)
_IS_HEARD_THERE = re.compile(r"\b(?:hear|heard|playing|plays|sounds|are we|do we have)\b", re.IGNORECASE)
_CHORD_LASTS = re.compile(
    r"\b(?:chord|harmony|triad)\b[^?]*?\b(?:lasts|is held|is sustained|sounds|stays)\b(?: for| only| just| about| exactly)* (?P<time>\d[\w :.]*)",
    re.IGNORECASE,
)
_OF_TIMES = frozenset(("length", "lasts", "part"))
"""Topics under which a time is not read by itself."""
_OF_A_KIND = re.compile(
    r"\bwhat (?:kind|sort|type|style|form) of ((?:\w+ )?(?:guitar|bass|voice|singer|vocals|piano|organ|drums?|song|music|key|mode|chord|met(?:er|re)|ballad|tempo|pulse|texture))\b",
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
_PRONOUN = re.compile(r"\W*(she|he|her|him)(?: (?:does|did|is|sings))?\W*", re.IGNORECASE)
SHORT_WORDS = 4
"""Of an answer that only its question's noun completes."""
_RELATION = re.compile(r"\b(relative|parallel|shares?)\b(?! the (?:melody|tune))", re.IGNORECASE)
_RELATES = re.compile(r"\brelat(?:e|es|ed|ion|ionship)\b", re.IGNORECASE)
_IN_A_KEY = re.compile(r"\b(?:in|key|modulat\w*|piece|song|track) (?:of |to )?[A-G]\b|\bkey\b")
_SHARES = re.compile(r"\bshares?\b", re.IGNORECASE)


def grants_nothing(answer: str) -> bool:
    """Whether an answer denies what its question takes for granted: `Who sings? - Nobody`."""
    return _NOBODY.match(answer) is not None


@lru_cache(maxsize=16384)
def read_premises(question: str) -> tuple[SpokenClaim, ...]:
    """Read what a question takes for granted; a yes-or-no question and one between alternatives grant nothing."""
    return tuple(claim for claim in _premises(question) if claim.kind != RELATION)


def _premises(question: str) -> tuple[SpokenClaim, ...]:
    if POLAR.match(plain(question)) or _OFFERS.search(question) or ABSENT.search(question):
        return tuple(c for c in read_claims(question) if c.is_place)
    if topic_of(question) in ("event", "chords", "lasts") and not _IN_A_KEY.search(question):
        return tuple(c for c in read_claims(question) if c.kind != "key")
    if _RELATES.search(question) or (_SHARES.search(question) and topic_of(question) == "key"):
        return tuple(c for c in read_claims(question) if c.kind != "key")
    return read_claims(question)


@lru_cache(maxsize=65536)
def read_answer(question: str, answer: str, alone: bool = False) -> tuple[SpokenClaim, ...]:
    """Read the claims of an answer in the light of its question; `alone`: never as one statement with it."""
    claims = tuple(_in_context(question, answer, alone))
    text = without_quotes(plain(answer))
    relations = read_relations(text, claims) if len(text.split()) >= SHORT_WORDS else ()
    return (*claims, *read_figures(text, claims), *relations)


def _in_context(question: str, answer: str, alone: bool) -> Iterator[SpokenClaim]:
    if (asked := reworded(plain(question))) != plain(question):
        question = asked
    found = list(_all_in_context(question, answer))
    if not alone and all(claim.is_place for claim in found):
        found += _read_together(question, answer)
    # a line that was sung may fill in what nothing else answers
    yield from found or answer_lines(question, plain(answer))


def _read_together(question: str, answer: str) -> list[SpokenClaim]:
    """Read question and answer as one statement; the claims of the question alone are no answer."""
    words = words_of(plain(answer))
    for statement in restated(plain(question), plain(answer)):
        found = [
            c
            for c in known_claims(statement)
            if not c.is_place and not _ONE_PART.fullmatch(c.said) and not words.isdisjoint(words_of(c.said))
        ]
        if found:
            return [replace(claim, is_guess=True) for claim in found]
    return list(answer_meter(plain(answer)) if is_meter(plain(answer)) else answer_numeral(plain(answer)))


def _all_in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    if (stated := TRUE_OR_FALSE.match(plain(question))) is not None and (YES.match(answer) or NO.match(answer)):
        said = [c for c in read_claims(stated[1] or stated[2]) if not c.is_place]
        yield from said if YES.match(answer) else refused(said)
        return
    polar = bool(POLAR.match(plain(question))) and not (_PRONOUN.fullmatch(answer) and " or " in question)
    if polar and (YES.match(answer) or NO.match(answer)):
        yield from asked_of(question) if YES.match(answer) else _corrected(refused(asked_of(question)), answer)
    if (choice := _WITH_OR_WITHOUT.search(question)) and (word := _WITH.match(answer)):
        yield from (c.turned(word[1].lower() != "with") for c in known_claims(choice[1]))
    if not polar and grants_nothing(answer):
        apart = _APART_FROM.search(question)
        denied = [c for c in known_claims(question) if not c.is_place and c.kind in OF_WHO]
        yield from refused([] if apart else denied)
        if apart:
            yield SpokenClaim("instruments", answer, by_itself)
    topic, text = topic_of(question), plain(answer)
    if topic == "words" and _OF_HARMONY.search(question):
        topic = "chords"
    if topic == "key" and (relation := _RELATION.search(question)):
        yield from known_claims(f"{relation[1] if relation[1].lower() == 'parallel' else 'relative'} {answer}")
        return
    asked = plain(question)
    readers = (answer_alternatives, answer_chord_length, answer_quality, answer_function, answer_rate)
    if of_its_kind := [claim for read in readers for claim in read(asked, text)]:
        yield from of_its_kind
        return
    if topic in ("key", "chords") and _asks_degree(question) and (on_degree := _of_degree(question, answer)):
        yield from on_degree
        return
    own = _own_claims(question, answer, topic, polar)
    differences = list(answer_difference(asked, text))
    yield from (c for c in own if not (differences and c.kind == "count" and c.said in differences[0].said))
    yield from _completed(question, answer)
    if differences:
        yield from differences
        return
    if topic in _OF_QUESTION:
        yield from _OF_QUESTION[topic](plain(question), text)
    if topic == "count" and not any(c.kind in ("count", "meter") for c in own):
        yield from _counted(question, text)
    elif topic == "length" and _IN_SECONDS.search(question) and NUMBER.fullmatch(text.strip(" .")):
        yield from (replace(c, said=text) for c in answer_length(f"{text.strip(' .')} seconds"))
    elif topic == "length" and _IN_MINUTES.search(question) and _ONLY_A_NUMBER.fullmatch(text.strip(" .")):
        yield from (replace(c, said=text) for c in answer_length(f"{text.strip(' .')} minutes"))
    elif topic in _ANSWERS and not any(
        c.kind == topic and (topic != "tempo" or has_digit(c.said) or not has_digit(text)) for c in own
    ):
        yield from _ANSWERS[topic](text)
    elif topic == "form" and not any(c.kind == "form" for c in own):
        yield from read_form(f"{text} form")


_OF_HARMONY = re.compile(r"\b(?:harmony|chords?|triads?)\b[^?]*\b(?:lines?|words?|lyrics?|phrase)\b", re.IGNORECASE)
"""`Which chord lies under the second line?` asks for a chord, and no words."""


def _corrected(denied: Iterable[SpokenClaim], answer: str) -> Iterator[SpokenClaim]:
    """Give what a `no` denies; where the answer goes on and says what is there instead, that is what must be borne out."""
    instead = {c.kind for c in known_claims(answer) if not c.is_place and not c.denied}
    yield from (replace(claim, is_guess=True) if claim.kind in instead else claim for claim in denied)


_DEGREE_ASKED = re.compile(
    r"\b(?-i:[b#]?(?:VII|VI|IV|V|III|II|vii|vi|iv|v|iii|ii)) chord\b|\b(?:degree|function|role|numeral|(?:first|second|third|fourth|fifth|sixth|seventh) (?:scale )?(?:note|step|tone))\b",
    re.IGNORECASE,
)


def _asks_degree(question: str) -> bool:
    return degree_in(question) not in (None, "tonic") or _DEGREE_ASKED.search(question) is not None


def _of_degree(question: str, answer: str) -> list[SpokenClaim]:
    """Read the answer to `What is the dominant of this key?`: a degree of the key, and no key of the music."""
    statements = restated(plain(question), plain(answer))
    return next((found for s in statements if (found := list(read_degrees(s)))), [])


_ONE_PART = re.compile(rf"(?:{PART})", re.IGNORECASE)
"""A part's name by itself answers nothing: that there is one."""


def _own_claims(question: str, answer: str, topic: str | None, polar: bool) -> list[SpokenClaim]:
    """Read what an answer says by itself, but for words that its question gives another meaning."""
    text = plain(answer)
    own = [
        c
        for c in known_claims(answer)
        if (topic != "language" or c.kind != "origin") and (topic not in _OF_TIMES or c.kind != "time")
    ]
    own = [replace(c, is_place=True) if c.kind == "form" and _ONE_PART.fullmatch(c.said) else c for c in own]
    if topic == "chords":
        own = [*(c for c in own if c.kind != "chords"), *answer_chord(text, place_in(plain(question)))]
        # `Eb, Bb and C minor` names chords, `a cadence in C minor` a key
        own = [c for c in own if c.kind != "key" or re.search(rf"\b(?:in|key of|key is|of) {re.escape(c.said)}", text)]
        own += [] if NO.match(answer) else answer_degree(plain(question), text)
        own += [*answer_neighbour(plain(question), text)]
    elif topic != "key" and place_in(plain(question)) in (0, -1) and any(c.kind == "chords" for c in own):
        own = [*(c for c in own if c.kind != "chords"), *answer_chord(text, place_in(plain(question)))]
    if not polar and ABSENT.search(question):
        own = [c if c.denied else c.turned(True) for c in own]
    return own


def _completed(question: str, answer: str) -> Iterator[SpokenClaim]:
    """Read a short answer with the noun of its question: `What kind of guitar? - Acoustic`."""
    if (either := _EITHER.match(question)) and len(answer.split()) < SHORT_WORDS:
        yield from known_claims(f"{answer.rstrip('. ')} {either[1]}")
    if one := _A_KIND_OF_ONE.search(answer):
        nouns = [c.said for c in known_claims(question) if c.kind == "instruments"]
        yield from known_claims(f"{one[1]} {nouns[-1]}") if nouns else ()
    if (lasts := _CHORD_LASTS.search(plain(question))) and len(answer.split()) < SHORT_WORDS:
        yield from read_events(plain(f"{answer.rstrip('. ')} lasts {lasts['time']}"))
    if (
        (happens := _HAPPENS.search(question))
        and not _IS_HEARD_THERE.search(question)
        and len(answer.split()) < MOST_WORDS_OF_AN_EVENT
    ):
        thing = answer.rstrip(". ")
        yield from read_events(
            plain(f"{thing} {happens['at']}") if _BEGINS.search(thing) else plain(f"{thing} begins {happens['at']}")
        )
    if (begins := _CHORD_BEGINS.search(question)) and len(answer.split()) < SHORT_WORDS:
        yield from read_events(plain(f"{answer.rstrip('. ')} begins {begins['at']}"))
    if (kind := _OF_A_KIND.search(question)) and len(answer.split()) < SHORT_WORDS:
        yield from (c for c in known_claims(f"{answer.rstrip('. ')} {kind[1]}") if c.kind != FIGURE)
    if pronoun := _PRONOUN.fullmatch(answer):
        yield from read_claims("she sings" if pronoun[1].lower() in ("she", "her") else "he sings")


def _counted(question: str, text: str) -> Iterator[SpokenClaim]:
    found = COUNTED.search(plain(question))
    number = NUMBER.search(text)
    quoted = re.search(r'"([^"]{3,})"', plain(question))
    if found is None or number is None:
        yield unmeasured("count", text)
    elif quoted is not None and (found["what"] or "").lower() == "lines":
        yield SpokenClaim("count", text, sung_times(quoted[1], int(number[1])))
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
