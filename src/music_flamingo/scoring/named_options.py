"""The options of a question and the words, letters and numbers that mean them."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

from music_flamingo.scoring.languages import english_of
from music_flamingo.scoring.mentions import OptionMentions
from music_flamingo.scoring.normalise import EDGES, lettered_option, normalise_answer, parse_key, same_answer
from music_flamingo.scoring.options import RANKS
from music_flamingo.scoring.statements import MARK, clauses_of, denied_after, stances, stated_one
from music_flamingo.scoring.wrappings import plain_answer

_FILLER = (
    r"well|hmm+|ok|okay|so|sure|yes|certainly|thus|hence|therefore|(?:it )?must be|it's|it is|likely"
    r"|most likely|probably|definitely|clearly|i think|i'd say|i believe"
)
_CALLED = (
    r"(?:(?:the|la|le|el|il|a|die)\s+)?(?:option|choice|answer|letter|opción|opcion|opção|opzione|lettre|lettera|letra"
    r"|buchstabe|antwort|вариант|选项|選項|選択肢)\s*[:#]?\s*"
)
_LETTER = re.compile(
    rf"(?:(?:{_FILLER})[,.]?\s+)*[\[(<{{\"'#]*\s*(?:{_CALLED})?[\[(<{{\"']*\s*(?P<letter>[A-Za-z])"
    r"(?:选项|選項|项|項)?\s*[\])>}\"']*[.,:;!…]*(?:\s*\(?\d{1,3} ?%[^)]*\)?)?[.!]*(?:\s*(?:✓|✔))?",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\s*[\[(<]\s*([A-Z])\s*[\])>][.:,]?\s*")
_IN_FRONT = re.compile(r"[\[(<{]*(?:option\s+)?([A-Z])(?:[\])>}]+[.:,]?\s*|\s*[.:]\s*|,\s+|\s*[-–—=|]\s*)(?=\S)")
_BARE_IN_FRONT = re.compile(
    r"(?:[Oo]ption |[Cc]hoice |[Aa]nswer )?([A-Z])\s+(?=because\b|since\b|as\b|is\b|ist\b|est\b|es\b|fits\b|matches\b"
    r"|seems\b|-|\()"
)
_RULED = re.compile(
    rf"(?:{_CALLED})?[\[(（\"'“]*([A-Z])(?![A-Za-z0-9_])[\])）\"'”]*(?!['’]| (?:flat|sharp|major|minor"
    rf"|is the (?:tonic|root|key))\b)"
)
ONLY_LETTERS = re.compile(r"(?:[A-Z]\b[\s,;/&.]*(?:(?:and|or|und|oder|et|ou|y|o)\b\s*)?)+", re.IGNORECASE)
_MENTIONED_LETTER = re.compile(
    r"(?<![\w#♯♭'’/&-])(?P<open>(?:\b(?:[Oo]ptions?|[Cc]hoices?|[Aa]nswers?"
    r"|[Ll]etters?)\s+)?\(?)(?P<letter>[A-Z])(?P<close>\)?)"
    r"(?![\w#♯♭'’&]|[-/:]\w|\s*(?:flat|sharp|major|minor|maj|min|dorian|phrygian|lydian|mixolydian|aeolian|string"
    r"|chord|note)\b)"
)
_NO_LETTER_BEFORE = re.compile(r"(?:\b(?:key of|keys? of|notes?|chords?|tonic|in|on|string|root|pitch|to|from"
    r"|section|part|vitamin)\s)$",
                               re.IGNORECASE)  # fmt: skip
_AFTER_A = re.compile(
    r"\s*(?:[,.;:)/&]|$|(?:is|isn't|was|can|can't|cannot|could|fits?|doesn't|does|seems|matches|has|and|or|too)\b)"
)

_JOINT = re.compile(r"\s*(?:[-–—=|:/]|\t)\s*|\s+")
_RANK = re.compile(rf"(?:the )?({'|'.join(RANKS)})(?: (?:option|choice|answer|one))?", re.IGNORECASE)
_COUNTED = re.compile(
    r"(?:(?:option|choice|answer|number|no\.?|nr\.?|#)\s*#?(\d{1,2})"
    r"|(?:the )?(\d{1,2})(?:st|nd|rd|th)(?: (?:option|choice|answer|one))?)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\(?(\d{1,2})[.):]?\s+(.+)", re.DOTALL)
_LEAD = re.compile(r"^(?:it(?:'s| is)|this is|that is|the|an?|its|probably|definitely|clearly|likely|option|is|well)"
                   r"\s+",
                   re.IGNORECASE)  # fmt: skip
_JOINING = re.compile(
    r"\b(?:or|and|maybe|perhaps|possibly|also|no|wait|actually|then|rather|hmm|it is|it's|i mean|the answer is"
    r"|und|oder"
    r"|as well as|plus|with|not sure|either|both|the|an|a|could be|might be|sorry|correction|instead)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w#/]+")
_NOTE = re.compile(r"[A-Z][#b♯♭]?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_SENTENCES = re.compile(r"[.;!\n]")
_SIGN = re.compile("[\ue000-\ue019]")
_CAPITAL = re.compile(r"(?<!\w)[A-Z](?!\w)")
_SAID_AGAIN = re.compile(r"[,/\n]|\bno wait\b")
LETTERED = re.compile(r"(?:^|[\s,;])\(?([A-Z])(?:\)|\.(?=\s|[A-Z])|:)")


class OptionNames:
    """The options of a question and the words that mean them."""

    def __init__(self, options: tuple[str, ...], aliases: tuple[tuple[str, str], ...], lettered: bool) -> None:
        self.options, self._aliases, self._lettered = options, dict(aliases), lettered
        self._marked = ("", "")

    @cached_property
    def _has_numbers(self) -> bool:
        return any(re.search(r"\d", normalise_answer(option)) for option in self.options)

    @cached_property
    def by_words(self) -> dict[str, int]:
        """Normalised words -> place: of options, aliases, and both in other languages."""
        found: dict[str, int] = {}
        for place, option in enumerate(self.options):
            found.setdefault(_words(option), place)
        for alias, option in self._aliases.items():
            if option in self.options:
                found.setdefault(_words(alias), self.options.index(option))
        if not self._figures:
            return self._with_foreign(found)
        for figure, place in self._figures.items():
            if not figure[-1].isdecimal():
                found.setdefault(figure, place)
        if "bpm" in "".join(self._figures):
            found |= {f"{figure} beats per minute": p for figure, p in self._figures.items() if figure[-1].isdecimal()}
        return self._with_foreign(found)

    @staticmethod
    def _with_foreign(found: dict[str, int]) -> dict[str, int]:
        for foreign, english in english_of(tuple(found)):
            found.setdefault(foreign, found[english])
        return found

    @cached_property
    def _mentions(self) -> OptionMentions:
        return OptionMentions(self.by_words)

    @staticmethod
    @lru_cache(maxsize=256)
    def of(options: tuple[str, ...], aliases: tuple[tuple[str, str], ...], lettered: bool) -> "OptionNames":
        """The names of these options, kept from one answer to the next."""
        return OptionNames(options, aliases, lettered)

    def is_option(self, words: str) -> int | None:
        """The option that the words are, and nothing else."""
        if label := _BRACKETED.fullmatch(words):
            return self.letter(label.group(1))
        bare = words.strip(EDGES)
        if len(bare) == 1 and not self._all_letters and (place := self.letter(bare)) is not None:
            return place
        wanted = self._aliases.get(normalise_answer(words), words) if self._aliases else words
        alike = self._same_as(wanted)
        if self._lettered and len(alike) != 1 and (option := lettered_option(wanted, self.options)) is not None:
            return self.options.index(option)
        if len({self.options[place] for place in alike}) == 1:
            return alike[0]
        return self._by_sign(words.strip())

    @cached_property
    def _all_letters(self) -> bool:
        """Whether every option is a note or a letter (`G`, `D`, `A#`): an answer that is one is no label then."""
        return all(len(option) < 3 and _NOTE.fullmatch(option) for option in self.options)

    @cached_property
    def _ranks(self) -> bool:
        """Whether options are ranks themselves (`The second one`)."""
        return any(re.search(rf"\b(?:{'|'.join(RANKS)})\b", option, re.IGNORECASE) for option in self.options)

    @cached_property
    def _by_normal(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, option in enumerate(self.options):
            found.setdefault(normalise_answer(option), []).append(place)
        return found

    def _same_as(self, words: str) -> list[int]:
        """Places of the options that say the same (normalise.same_answer)."""
        if parse_key(words) is not None:
            return [place for place, option in enumerate(self.options) if same_answer(words, option)]
        return self._by_normal.get(normalise_answer(words), [])

    def _by_sign(self, words: str) -> int | None:
        if letter := _LETTER.fullmatch(words):
            said = letter["letter"]
            own = self._by_normal.get(said.lower()) if self._all_letters else None
            return own[0] if own else self.letter(said)
        bare = words.strip(" .,:;!()[]\"'")
        if (place := self.by_words.get(_words(bare))) is not None:
            return place
        if (rank := _RANK.fullmatch(bare)) and not self._ranks:
            return self._at(RANKS.index(rank.group(1).lower()))
        if (counted := _COUNTED.fullmatch(bare)) and not self._has_numbers:
            return self._at(int(counted.group(1) or counted.group(2)) - 1)
        if self._figures and (place := self._figures.get(bare.replace(" ", "").lower())) is not None:
            return place
        if bare.isdecimal() and not self._has_numbers and len(bare) < 3:
            return self._at(int(bare) - 1)
        if (words.startswith("(") or words[:1].isdecimal()) and (numbered := _NUMBERED.fullmatch(words)):
            return self.by_words.get(_words(numbered.group(2)))
        return self._joined(bare)

    @cached_property
    def _figures(self) -> dict[str, int]:
        """Figures without the unit that all options share (`120` of `120 BPM`), and with it, unspaced."""
        if not all(option.strip()[:1].isdecimal() for option in self.options):
            return {}
        split = [re.fullmatch(r"(\d+(?:\.\d+)?)\s*([^\W\d_]+)", option.strip()) for option in self.options]
        if len({match.group(2).lower() for match in split if match}) != 1 or not all(split):
            return {}
        unit = next(match.group(2).lower() for match in split if match)
        named = {match.group(1): place for place, match in enumerate(split) if match}
        return named | {f"{figure}{unit}": place for figure, place in named.items()}

    def _joined(self, bare: str) -> int | None:
        """Letter and words that agree (`B = Cello`, `Cello (B)`), or one option said several times."""
        for left, right in ((bare[:1], bare[1:]), (bare[-1:], bare[:-1])):
            rest = right.strip(" \t\n.,:;!()[]<>{}\"'-–—=|/")
            place = self.letter(left) if rest != right and left.isascii() and left.isalpha() else None
            if place is not None and self.by_words.get(_words(rest)) == place:
                return place
        if bare.startswith(("Option ", "option ")):
            return self._joined(bare[7:])
        said = _SAID_AGAIN.split(bare) if _SAID_AGAIN.search(bare) else [bare]
        parts = {self.by_words.get(_words(part)) for part in said if part.strip()}
        return parts.pop() if len(parts) == 1 else None

    def letter(self, letter: str) -> int | None:
        """The place of the option with this letter; None beyond the options, or where they have none."""
        return self._at(ord(letter.upper()) - ord("A"))

    def _at(self, place: int) -> int | None:
        # of equal options the first is meant
        return self.options.index(self.options[place]) if self._lettered and 0 <= place < len(self.options) else None

    def on_line(self, line: str) -> int | None:
        """The one option that a line names by its words."""
        named = {int(m.group(1)) for m in MARK.finditer(self.with_marks(plain_answer(line)))}
        return named.pop() if len(named) == 1 and not _is_yes_or_no(self.options, min(named, default=0)) else None

    def with_letters(self, plain: str) -> str:
        """The text with marks, and letters that name an option replaced too: not notes, keys or the article."""
        shown = plain
        if _MENTIONED_LETTER.search(plain) and not self._are_letters:
            shown = _MENTIONED_LETTER.sub(self._letter_sign, plain)
        marked = self.with_marks(shown)
        return marked if marked.isascii() else _SIGN.sub(lambda m: f"\x01{ord(m.group()) - 0xE000}\x02", marked)

    @cached_property
    def _are_letters(self) -> bool:
        return any(_CAPITAL.search(option) or parse_key(option) for option in self.options)

    def _letter_sign(self, found: re.Match[str]) -> str:
        letter, text = found["letter"], found.string
        place, explicit = self.letter(letter), bool(found["open"].strip())
        after = text[found.end() :]
        article = letter in "AI" and not (found["open"] and found["close"]) and not _AFTER_A.match(after)
        if place is None or (letter == "I" and not explicit) or (article and not (explicit and letter == "A")):
            return found.group()
        if article and re.match(r"\s+[a-z]", after) and "ption" not in found["open"]:
            return found.group()
        if not explicit and _NO_LETTER_BEFORE.search(text[: found.start()]):
            return found.group()
        return f" {chr(0xE000 + place)} "

    def with_marks(self, plain: str) -> str:
        """The text with every mention of an option, whole words and the longest first, replaced by its mark."""
        if self._marked[0] != plain:  # one text is often asked for twice
            self._marked = plain, self._mentions.replaced(plain, "\x01{}\x02")
        return self._marked[1]

    def _opens_with_option(self, plain: str) -> bool:
        return self._mentions.may_open(plain) and MARK.match(self.with_marks(plain)) is not None

    def head(self, plain: str, ruled: bool = False) -> int | None:
        """The option that a text opens with, where nothing after takes it back.

        `ruled`: a letter alone may be followed by any words, for the text says that it is the answer.
        """
        return place if (place := self.is_option(plain)) is not None else self.opening(plain, ruled)

    def opening(self, plain: str, ruled: bool = False) -> int | None:
        """The same of a text that is no option itself."""
        if (place := self._letter_in_front(plain, ruled)) is not None:
            return place
        clauses = clauses_of(plain)
        first = _LEAD.sub("", _LEAD.sub("", clauses[0])) if clauses else ""
        if first not in ("", plain) and first[-1] != "?" and (place := self.is_option(first)) is not None:
            longer = MARK.match(_LEAD.sub("", _LEAD.sub("", self.with_marks(plain))))
            place = int(longer.group(1)) if longer else place  # `Bbm` of `Bbm(add9)`
            return place if not self._taken_back(plain[len(clauses[0]) :], place) else None
        return stated_one(self.with_marks(_first_sentence(plain)), False) if ruled else None

    def _letter_in_front(self, plain: str, ruled: bool) -> int | None:
        found = _IN_FRONT.match(plain) or _BARE_IN_FRONT.match(plain)
        if found is None and ruled:
            found = _RULED.match(plain)
            if found and found.group(1) in "AI" and re.match(r"\s+[a-z]", plain[found.end() :]):
                found = None  # `A cello`, `I hear`
        place = self.letter(found.group(1)) if found else None
        if found is None or place is None or ONLY_LETTERS.fullmatch(plain):
            return None
        if self._opens_with_option(plain):
            return None  # `E-piano is it` opens with an option, not with a letter
        rest = plain[found.end() :].lstrip(" ,.:;-–—=|()[]")
        if found.re is not _IN_FRONT and denied_after(rest):
            return None
        return None if self._other_first(rest, place) or self._taken_back(rest, place) else place

    def contradicts(self, plain: str) -> bool:
        """True where a text opens with one option's letter and another's words."""
        found = _IN_FRONT.match(plain)
        place = self.letter(found.group(1)) if found else None
        if found is None or place is None or self._opens_with_option(plain):
            return False
        return self._other_first(plain[found.end() :], place)

    def _other_first(self, rest: str, place: int) -> bool:
        """True where the words after the letter are another option (`(A) Piano` of B)."""
        marks = self.with_marks(_first_sentence(rest))
        opening = MARK.match(_LEAD.sub("", _LEAD.sub("", marks)).lstrip("\"'( "))
        if opening:
            return int(opening.group(1)) != place
        first = clauses_of(marks)[:1]
        named = {p for p, how in stances(first[0]).items() if "states" in how} if first else set()
        return bool(named) and place not in named and len(first[0].split()) <= 8 and not _reasons(marks)

    def _taken_back(self, rest: str, place: int) -> bool:
        """True where a later sentence is another option, or `or`, `no`, `wait` and another one."""
        if not rest.strip():
            return False
        if (other := _LETTER.fullmatch(rest.strip(" ,;.&\n"))) and self.letter(other["letter"]) not in (None, place):
            return True
        if not _is_yes_or_no(self.options, place):
            for sentence in _SENTENCES.split(self.with_marks(rest)):
                others = [m for m in MARK.finditer(sentence) if int(m.group(1)) != place]
                left = _JOINING.sub("", MARK.sub("", sentence)).strip(" ,:?\"'-–—")
                if others and not left and not sentence.rstrip().endswith("?"):
                    return True
        others = [m for m in LETTERED.finditer(rest) if self.letter(m.group(1)) not in (None, place)]
        return any(not re.search(r"\b(?:not|unlike|than|instead of|nor)\s*$", rest[: m.start()], re.I) for m in others)


def _reasons(text: str) -> bool:
    return re.match(r"(?:since|because|as|for|given|it has|it is the)\b", text, re.IGNORECASE) is not None


def _is_yes_or_no(options: Sequence[str], place: int) -> bool:
    return normalise_answer(options[place]) in ("yes", "no", "true", "false")


def _first_sentence(plain: str) -> str:
    return _SENTENCE_END.split(plain, maxsplit=1)[0]


@lru_cache(maxsize=4096)
def _words(text: str) -> str:
    """Normalised words with single spaces, punctuation between them gone."""
    normal = normalise_answer(text.replace("_", " ").replace("&", " and "))
    return normal if normal.replace(" ", "").isalnum() else " ".join(_WORD.findall(normal))
