"""What an answer is wrapped in: thoughts, tags, marks of Markdown, LaTeX and JSON, the scraps of a chat template.

`final_answer` gives the words that answer, `plain_answer` the same without marks.
"""

import re
import unicodedata

from music_flamingo.scoring.extract import ANSWER, END_ANSWER, END_THINK, THINK, extract_answer

_THOUGHTS = re.compile(r"<(/?)(?:think|thinking|thought|thoughts|reasoning|reason)>", re.IGNORECASE)
_ANSWER_TAGS = re.compile(r"<(/?)answer>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|p|br|span|div|code|response|output|result|final|choice|option|s"
    r"|(?i:final_?answer|ans|answer_choice|selected|letter))\s*/?>|\[/?(?:ANSWER|FINAL|ANS)\]"
)
_TEMPLATE = re.compile(r"<\|[^|<>]*\|>|</?s>|<end_of_turn>|<start_of_turn>|\[/?INST\]|<eos>|<bos>|<pad>")
_ROLES = frozenset({"assistant", "model", "user", "system", "assistant:", "model:"})
_MARKS = re.compile(r"[*`$~]+|^[ \t]*(?:#{1,6}|>|[•‣◦▪●–—+-])[ \t]+", re.MULTILINE)
_ANY_MARK = re.compile(r"[*`$~#>•‣◦▪●–—+-]")
_BOX = re.compile(r"\\(?:boxed|fbox|text|mathrm|mathbf|textbf|mathit)\s*\{([^{}]*)\}")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
_SQUARED = {0x1F170 + i: chr(ord("A") + i) for i in range(26)}
_CONTROLS = dict.fromkeys((*range(10), *range(11, 32), 127), " ")


def without_thoughts(output: str) -> str:
    """What an output says after its thoughts, tags of an answer aside; empty where it breaks off while thinking."""
    text = _THOUGHTS.sub(lambda m: f"<{m.group(1)}think>", output).strip()
    while text.endswith(END_THINK) and text.count(END_THINK) > 1:
        text = text.removesuffix(END_THINK).rstrip()
    if END_THINK in text:
        text = text.rpartition(END_THINK)[2]
    elif THINK in text:
        text = text.partition(THINK)[0]
    answered = extract_answer(text) if ANSWER in text else None
    return (answered or _ANSWER_TAGS.sub("", text)).strip() if ANSWER in text or END_ANSWER in text else text.strip()


def final_answer(output: str) -> str | None:
    """The words that answer: inside the answer tags, after the thoughts, or all; None when there are none."""
    if "<" not in output:
        return output.strip() or None
    text = _THOUGHTS.sub(lambda m: f"<{m.group(1)}think>", output).strip()
    text = _ANSWER_TAGS.sub(lambda m: f"<{m.group(1)}answer>", text)
    while text.endswith(END_THINK) and text.count(END_THINK) > 1:
        text = text.removesuffix(END_THINK).rstrip()
    if ANSWER not in text and END_ANSWER not in text and text.count(END_THINK) == 1:
        before, _, after = text.partition(END_THINK)
        return (after.strip() or None) if before.count(THINK) <= 1 else None
    return extract_answer(text)


def plain_answer(answer: str) -> str:
    """An answer without marks: NFKC; tags, Markdown, emoji and chat roles on lines of their own are dropped."""
    text = answer if answer.isascii() else unicodedata.normalize("NFKC", answer).translate(_QUOTES | _SQUARED)
    if "<" in text or "[" in text:
        text = _TEMPLATE.sub(" ", _TAG.sub(" ", text))
    for _ in range(2 if "\\" in text else 0):
        text = _BOX.sub(r" \1 ", text)
    if _ANY_MARK.search(text):
        text = _MARKS.sub("", text)
    text = text.replace("_", " ")
    if not text.isascii():
        text = _without_signs(text)
    elif not text.isprintable():
        text = text.translate(_CONTROLS)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return "\n".join(line for line in lines if line and line.lower() not in _ROLES)


def _without_signs(text: str) -> str:
    return text.translate(_SPACED)


class _SpacedSigns(dict[int, str]):
    """Code point -> itself, or a space for emoji, controls and private characters; learnt as they are met."""

    def __missing__(self, code: int) -> str:
        sign = unicodedata.category(chr(code)) in ("So", "Cf", "Cc", "Co")
        self[code] = " " if sign else chr(code)
        return self[code]


_SPACED = _SpacedSigns({ord("\n"): "\n", ord("。"): ". ", ord("、"): ", "})
