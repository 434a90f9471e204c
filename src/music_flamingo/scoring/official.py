"""The published scorers of multiple-choice benchmarks, reproduced exactly, errors included.

Each is written here from the rules of the scorer that its benchmark publishes, so that a number can be compared with
published ones. Where a rule surprises, its docstring says so. The honest twin of each is scoring/choices.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")

MUCHOMUSIC_PREFIX = "The correct answer is:"
MUCHOMUSIC_LETTERS = "ABCD"

RUL_LETTERS = "ABCDE"
_RUL_BRACKETS = re.compile(r"\[\[([A-E])\]\]")
_RUL_PHRASE = re.compile(
    r"(?:answer is|chose|choose|select|guess is|I choose|I select|I guess) ([A-E])\b", re.IGNORECASE
)

MMAU_PRO_CRITERIA = ("correctness", "relevance", "completeness", "clarity")
MMAU_PRO_DEFAULT = 3.0
"""What a criterion counts that the judge did not name."""


def mmau_right(output: str, reference: str, options: Sequence[str]) -> bool:
    """MMAU (evaluation.py, v05.15.25) and MMAR, which took it over: sets of lower-case words.

    Right when every word of the reference occurs and no word that only wrong options have. A letter alone is wrong,
    and so is reasoning that names the other options; the order of words counts for nothing.
    """
    said, wanted = _words(output), _words(reference)
    if not said:
        return False
    wrong: set[str] = set()
    for option in options:
        words = _words(option)
        if words != wanted:
            wrong |= words - wanted
    return wanted <= said and not said & wrong


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def muchomusic_choice(output: str, options: Sequence[str]) -> int | None:
    """MuChoMusic (scoring.py): the place of the chosen option, None for no answer.

    What follows the last `The correct answer is:` counts. If exactly one of the capitals A to D occurs in it, anywhere,
    that one is taken: `Blues` chooses B, `Answer: B` has an A and a B and goes on to the options' texts. Then the first
    option whose lower-case text lies inside the output is taken, even if others do too.
    """
    text = output.split(MUCHOMUSIC_PREFIX)[-1].strip()
    letters = set(MUCHOMUSIC_LETTERS) & set(text)
    if len(letters) == 1:
        return MUCHOMUSIC_LETTERS.index(letters.pop())
    low = text.lower().strip()
    return next((i for i, option in enumerate(options) if option.lower().strip() in low), None)


def rul_letter(output: str, options: Sequence[str]) -> str | None:
    """RUL-MuchoMusic (its example evaluation): the chosen letter, None for no answer.

    The last `[[X]]`; else the last letter after a phrase such as `answer is`, in any case, so that `choose a song`
    chooses A; else the first of A to E that stands as `option X`, `Option X` or `(X)`; else the first option whose
    text lies inside the output.
    """
    if found := _RUL_BRACKETS.findall(output):
        return str(found[-1])
    if found := _RUL_PHRASE.findall(output):
        return str(found[-1]).upper()
    for letter in RUL_LETTERS:
        if f"option {letter}" in output or f"Option {letter}" in output or f"({letter})" in output:
            return letter
    low = output.lower()
    lettered = zip(RUL_LETTERS, options, strict=False)
    return next((letter for letter, option in lettered if option and option.lower() in low), None)


def rul_choice(output: str, options: Sequence[str]) -> str:
    """The option behind the chosen letter; empty for no answer, or a letter beyond the options."""
    letter = rul_letter(output, options)
    place = -1 if letter is None else RUL_LETTERS.index(letter)
    return options[place] if 0 <= place < len(options) else ""


def rul_right(output: str, reference: str, options: Sequence[str]) -> bool:
    """Whether the option behind the chosen letter has the reference's text; a letter beyond the options is wrong."""
    return rul_choice(output, options) == reference


def mmau_pro_nearest(similarities: Sequence[float]) -> int:
    """MMAU-Pro, closed questions: the option whose embedding is nearest to the output's, so that anything answers."""
    return max(range(len(similarities)), key=lambda i: similarities[i])


def mmau_pro_judged(reply: str) -> dict[str, float]:
    """MMAU-Pro, open questions: the judge's criteria and `overall`, 1 to 5, read from `CORRECTNESS: 4 - ...`.

    A criterion that is not found counts 3. An overall of 3, found or not, gives way to the mean of the criteria.
    """
    scores = {name: _after(name, r"\d+", reply) for name in MMAU_PRO_CRITERIA}
    overall = _after("overall", r"\d+(?:\.\d+)?", reply)
    if overall == MMAU_PRO_DEFAULT:
        overall = sum(scores.values()) / len(scores)
    return {**scores, "overall": overall}


def _after(name: str, number: str, reply: str) -> float:
    found = re.search(rf"{name}:\s*({number})", reply, re.IGNORECASE)
    return float(found.group(1)) if found else MMAU_PRO_DEFAULT
