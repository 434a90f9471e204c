"""Claims about what is sung: in which language, about what, and in which words."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.heard import voice_of_a_kind
from music_flamingo.scoring.claims.names import LANGUAGES
from music_flamingo.scoring.claims.parts import PartName, a_part
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

_LANGUAGE = "|".join(LANGUAGES)
_IN_LANGUAGE = re.compile(
    rf"\b(?:(?:in|into|to|language is|language:) (?P<a>{_LANGUAGE})(?! (?:terms?|notation|naming|names?|spelling|style|manner|fashion|tradition|guitar|folk|music|tempo))"
    rf"|(?P<b>{_LANGUAGE})(?: language)? (?:lyrics?|vocals?|words|language|text|singing|verses?|speaking|chorus|singers?))\b",
    re.IGNORECASE,
)
_TO_NAME = re.compile(r"\b(?:name|call(?:ed)?|term|say|written out|known)\b[^.;]{0,30}$", re.IGNORECASE)
_BARE_LANGUAGE = re.compile(rf"\b(?P<a>{_LANGUAGE})\b", re.IGNORECASE)
_LANGUAGE_WORDS = tuple(LANGUAGES)
_QUOTE = re.compile(r'"([^"]{3,})"|(?<![\w])\'([^\']{8,})\'(?!\w)')
_OF_A_SONG = re.compile(
    r"\b(?:words?|lines?|lyrics?|text|sings?|sung|sang|singing|phrases?|refrain|begins?|opens?|ends?|repeat\w*) ?(?:is|are|of|with|on|here|:|,)* ?$",
    re.IGNORECASE,
)
_OF_WORDS = r"(?:lyrics?|words|text|verses?|refrain|singers?|vocalists?|she|he|sings?|sung|singing|sang|narrator|lines)"
_OF_SONG = r"(?:songs?|chorus(?:es)?|story|voice|track|ballad)"
_ABOUT = re.compile(
    rf"(?:\b{_OF_WORDS}\b[^.;?]{{0,30}}?\b(?:evokes?|narrat\w+|reflects? on|explor(?:es?|ing)|describ(?:es?|ing)|cent(?:er|re)s? (?:on|around)|deals? with|mentions?|recount\w*)"
    rf"|\b(?:{_OF_WORDS}|{_OF_SONG})\b[^.;?]{{0,30}}?\b(?:about(?! (?:\d|half|a (?:minute|third|quarter|second|half)))|tells? (?:of|the story)|speaks? (?:of|about)|celebrat(?:es?|ing)|mourn(?:s|ing)?|laments?|long(?:s|ing) for|yearn(?:s|ing)? for|praises?)"
    r"|\b(?:sings?|sung|sang|singing|lyrics|words|themes|(?:songs?|story|tales?)(?= of (?!(?:about |around |roughly )?(?:\d|moderate|fast|slow|medium|this|that|the|its|such|low|high)))) of(?! (?:the (?:song|piece|text|verse|chorus|words|lyrics|lines?)\b|words|text|lyrics|songs?|verses?|\d)))"
    r" (?P<theme>[^.,;?!]+?)(?=[.,;?!]|$| (?:is|are|was|in which|that|which|who|with|over|sung|played|while|and (?:a|the|has|is)|in [A-G])\b)",
    re.IGNORECASE,
)
_AND_THEME = re.compile(
    r",? and ((?:an?|the) (?!(?:\w+ )?(?:guitars?|drums?|piano|band|voice|singer|chorus|music|tempo|beat|bass|song|melody|key|verse|volume)\b)[^.,;?!]+?)(?=[.,;?!]|$| (?:over|while|with|sung|played|in [A-G])\b)",
    re.IGNORECASE,
)
_ASKS = re.compile(r"(?:what|which|who|where)\b", re.IGNORECASE)
_ABOUT_WORDS = (
    "about", "mention", " of ", "tell", "speak", "describ", "recount", "deal", "center", "centre", "celebrat", "mourn", "lament", "evoke", "narrat",
    "longs", "longing", "yearn", "praise", "reflect", "explor",
)  # fmt: skip
_SINGS = (
    "lyric",
    "word",
    "text",
    "song",
    "verse",
    "chorus",
    "refrain",
    "sing",
    "vocal",
    "voice",
    "she",
    "he ",
    "sung",
    "sang",
    "theme",
    "story",
    "narrator",
    "line",
)
_CONTENT = re.compile(r"[a-z']{4,}")
_NO_CONTENT = frozenset(
    [
        "this",
        "that",
        "with",
        "from",
        "into",
        "over",
        "under",
        "their",
        "there",
        "they",
        "them",
        "what",
        "when",
        "which",
        "about",
        "song",
        "songs",
        "music",
        "piece",
        "while",
        "than",
        "very",
        "much",
        "some",
        "sort",
        "kind",
        "being",
        "been",
        "have",
        "has",
        "is",
        "are",
        "the",
        "and",
        "story",
        "theme",
        "themes",
        "lyrics",
        "words",
        "text",
        "line",
        "lines",
    ]
)


def read_sung(text: str, quoted: str) -> Iterator[SpokenClaim]:
    """Read claims in a plain text without its quotes, and the quotes of the plain text with them."""
    if holds(text, _LANGUAGE_WORDS):
        for match in _IN_LANGUAGE.finditer(text):
            if not _TO_NAME.search(text, 0, match.start()):
                yield _language(match, text)
    if holds(text, _ABOUT_WORDS) and holds(text, _SINGS):
        for match in _ABOUT.finditer(text):
            if text[match.end() :].startswith("?") and _ASKS.match(text):
                continue  # `What does the lyric mention?`
            yield _theme(match["theme"], is_denied(text, *match.span("theme")))
            if (other := _AND_THEME.match(text, match.end())) is not None:
                yield _theme(other[1], False)
    if '"' in quoted or "'" in quoted:
        for match in _QUOTE.finditer(quoted):
            said = (match[1] or match[2]).strip(" .,;:!?'\u2026")
            if " " in said:
                nth = _NTH_LINE.search(quoted, max(0, match.start() - 80), match.start())
                test = (
                    _is_sung(said, _edge_of(quoted, *match.span()))
                    if nth is None
                    else _is_nth(said, ORDINALS[nth[1].lower()] - 1)
                )
                beside = nth[0] if nth else ""
                yield SpokenClaim("lyrics", said, test, is_denied(quoted, *match.span()), beside=beside)
                if (part := _IN_A_PART.match(quoted, match.end())) is not None:
                    yield SpokenClaim("lyrics", part[0].strip('"'), _is_sung_in(said, PartName.of(part.groupdict())))


_FIRST, _LAST = (
    r"opens?|opening|begins?|beginning|starts?|starting",
    r"ends?|ending|closes?|closing|concludes?|finish(?:es)?",
)
_EDGE_BEFORE = re.compile(
    rf"\b(?:(?P<first>{_FIRST})|{_LAST}) (?:with|on|by singing)(?: (?:the|her|his|words?|lines?|lyrics?|phrase|a|sung))*:? ?,?$|\b(?:(?P<first2>first|opening|initial)|last|final|closing) (?:line|words?|lyrics?|phrase)(?: (?:of|in) (?:the|this) (?:song|text|lyrics?|piece|track))?(?: (?:that )?(?:she|he|they|the \w+) sings?| sung| heard)?(?: (?:is|are|being|go|goes|runs?)|:|,) ?$",
    re.IGNORECASE,
)
_EDGE_AFTER = re.compile(
    rf'["\']? (?:is sung first|is sung last|(?:(?P<first>{_FIRST})|{_LAST}) (?:the|this|it|everything)\b|(?:is|are|being|as) the (?:(?P<first2>first|opening|initial)|last|final|closing) (?:line|words?|lyrics?|phrase)\b)',
    re.IGNORECASE,
)
_NTH_LINE = re.compile(
    rf"\b({'|'.join([*ORDINALS][1:])}) (?:line|phrase)(?: (?:of|in) (?:the|this|her|his) \w+)?(?: (?:that )?(?:she|he|they|the \w+) sings?| sung| heard)?(?: (?:is|being|goes|runs|reads)|:|,) ?$",
    re.IGNORECASE,
)
_IN_A_PART = re.compile(
    rf'["\']?,? (?:(?:which|that) )?(?:(?:is|are|was)(?: first| only)? )?(?:heard|sung|comes?|appears?|occurs?|falls?|belongs?|found|stands?|lies)(?: only| first| again)? (?:in|during|to|at) (?:the |an? )?{a_part()}',
    re.IGNORECASE,
)
_OF_A_PART = re.compile(r"\b(?:chorus|verse|refrain|bridge|section|stanza|hook|outro|intro)\b", re.IGNORECASE)


def _edge_of(text: str, start: int, end: int) -> bool | None:
    """Tell whether a quote is said to be sung first (True) or last; None where it may be sung anywhere."""
    before, after = text[max(0, start - 80) : start], text[end : end + 50]
    found = _EDGE_BEFORE.search(before) or _EDGE_AFTER.match(after)
    if found is None or _OF_A_PART.search(before.rpartition(". ")[2] + after.partition(".")[0]):
        return None
    return bool(found["first"] or found["first2"] or "sung first" in found[0])


def answer_language(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about the language: a bare name is a claim there."""
    yield from (_language(match, text) for match in _BARE_LANGUAGE.finditer(text))


def answer_theme(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question what the words are about."""
    yield _theme(text, False)


def said_claim(said: str, is_first: bool | None) -> SpokenClaim:
    """Claim that words are sung: first, last, or (None) anywhere."""
    return SpokenClaim("lyrics", said, _is_sung(said, is_first))


def lines_of(facts: Facts) -> list[str]:
    """Give the lines sung, in small letters, without marks."""
    return [_bare(line.label) for line in facts.lyrics.lines] if facts.lyrics and facts.lyrics.available else []


def without_quotes(text: str) -> str:
    """Give a plain text whose quotes are emptied: what they hold are words of a song."""
    if '"' not in text and "'" not in text:
        return text
    return _QUOTE.sub(lambda match: '""' if _is_of_a_song(match) else match[0], text)


def _is_of_a_song(match: re.Match[str]) -> bool:
    said = match[1] or match[2]
    return " " in said.strip() or _OF_A_SONG.search(match.string, 0, match.start()) is not None


def _language(match: re.Match[str], text: str) -> SpokenClaim:
    groups = match.groupdict()
    name = (groups["a"] or groups.get("b") or "").lower()

    def test(facts: Facts) -> Held:
        if facts.lyrics is None or not facts.lyrics.available or facts.lyrics.language is None:
            return voice_of_a_kind(facts)
        return facts.lyrics.language.startswith(LANGUAGES[name]), f"words in {facts.lyrics.language} measured"

    return SpokenClaim("lyrics", match[0], test, is_denied(text, *match.span()))


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _text_of(facts: Facts) -> str:
    lines = facts.lyrics.lines if facts.lyrics and facts.lyrics.available else []
    return _bare(" ".join(line.label for line in lines))


def _is_sung(said: str, is_first: bool | None = None) -> Callable[[Facts], Held]:
    wanted = _bare(said)

    def test(facts: Facts) -> Held:
        sung = _text_of(facts)
        if not sung:
            return voice_of_a_kind(facts)
        if is_first is not None:
            return sung.startswith(f"{wanted} ") if is_first else sung.endswith(
                f" {wanted}"
            ), "other words measured there"
        return f" {wanted} " in f" {sung} ", "other words measured"

    return test


def _is_sung_in(said: str, part: PartName) -> Callable[[Facts], Held]:
    """Whether a line with such words sounds while a part lasts."""
    wanted = _bare(said)

    def test(facts: Facts) -> Held:
        lines = facts.lyrics.lines if facts.lyrics and facts.lyrics.available else []
        spans = part.spans(facts) if part.is_known else None
        if not lines or not spans:
            return NOT_MEASURED
        sung = [line for line in lines if wanted in _bare(line.label)]
        fits = any(min(a.end_s, b.end_s) - max(a.start_s, b.start_s) > 1.0 for a in sung for b in spans)
        return fits, ", ".join(f"{a.start_s:.1f} to {a.end_s:.1f}" for a in sung) + " s measured"

    return test


def _is_nth(said: str, place: int) -> Callable[[Facts], Held]:
    wanted = _bare(said)

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        if not lines:
            return voice_of_a_kind(facts)
        return place < len(lines) and wanted in lines[place], "other words measured there"

    return test


def _theme(theme: str, denied: bool) -> SpokenClaim:
    content = {word for word in _CONTENT.findall(theme.lower()) if word not in _NO_CONTENT}

    def test(facts: Facts) -> Held:
        sung = _text_of(facts)
        if not sung:
            return voice_of_a_kind(facts)
        # what the words are about is said in words of theirs, or a reader's guess
        return (True, "such words measured") if content and all(w[:5] in sung for w in content) else NOT_MEASURED

    return SpokenClaim("lyrics", theme, test, denied)
