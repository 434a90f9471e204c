"""What an answer is wrapped in: thoughts, tags, marks of Markdown, LaTeX and JSON, the scraps of a chat template.

`final_answer` gives the words that answer, `plain_answer` the same without marks, and `marked` what a model itself
marked as its answer: `[[B]]`, a box, a field of JSON, what follows `the answer is`, in several languages.
"""

import json
import re
import unicodedata

from music_flamingo.scoring.extract import ANSWER, END_ANSWER, END_THINK, THINK, extract_answer

_THOUGHTS = re.compile(r"<(/?)(?:think|thinking|thought|thoughts|reasoning|reason)>", re.IGNORECASE)
_ANSWER_TAGS = re.compile(r"<(/?)answer>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|p|br|span|div|code|response|output|result|final|choice|option|s)\s*/?>")
_TEMPLATE = re.compile(r"<\|[^|<>]*\|>|</?s>|<end_of_turn>|<start_of_turn>|\[/?INST\]|<eos>|<bos>|<pad>")
_ROLES = frozenset({"assistant", "model", "user", "system", "assistant:", "model:"})
_MARKS = re.compile(r"[*`$~]+|^[ \t]*(?:#{1,6}|>|[•‣◦▪●–—+-])[ \t]+", re.MULTILINE)
_BOX = re.compile(r"\\(?:boxed|fbox|text|mathrm|mathbf|textbf|mathit)\s*\{([^{}]*)\}")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_DOUBLE = re.compile(r"\[\[\s*([^\[\]]{1,200}?)\s*\]\]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
_CONTROLS = dict.fromkeys((*range(10), *range(11, 32), 127), " ")
_NAMED = (
    r"(?:(?:final|correct|right|best|my|the|selected|chosen|predicted|most likely|likely) )*"
    r"(?:answer|choice|option|guess|selection|response|prediction|conclusion)"
)
_VERB = (
    r"(?: (?:is|are|was|would be|should be|must be|will be|has to be|appears to be|seems to be|to this question is))"
)
_ANNOUNCED = re.compile(
    rf"\b{_NAMED}(?: (?:here|letter|then))?(?:{_VERB} ?:?|\s*[:=→]|\s+[-–—])\s*"
    rf"|\b{_NAMED} (?=\(?[A-Za-z]\)?\s*[.,;:!]?\s*$)"
    r"|\bI(?: would|'d|'ll| will| am going to| have to| must)? (?:choose|pick|select|go with|say|chose|vote for"
    r"|settle on)(?: for)?\s*:?\s+"
    r"|\b(?:antwort|lösung|réponse|respuesta|risposta|resposta|ответ|odpowiedź|antwoord|svar|vastaus|cevap|jawaban)"
    r"(?: (?:ist|lautet|est|es|è|é|correcta|correcte|corretta|richtige|is|är|er|to|jest))*\s*:?\s+"
    r"|(?:答案|答え|回答|解答|正解|选择|選擇|我选|我選|选项|選項|정답|답)(?:选项)?\s*(?:是|为|為|应该是|應該是|は|은|는|:)*\s*",
    re.IGNORECASE | re.MULTILINE,
)
_FIELDS = ("answer", "final_answer", "choice", "option", "prediction", "response", "selected", "result", "label")
_OBJECT = re.compile(r"\{[^{}]*\}", re.DOTALL)


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
    text = answer if answer.isascii() else unicodedata.normalize("NFKC", answer).translate(_QUOTES)
    if "<" in text or "[" in text:
        text = _TEMPLATE.sub(" ", _TAG.sub(" ", text))
    for _ in range(2 if "\\" in text else 0):
        text = _BOX.sub(r" \1 ", text)
    text = _MARKS.sub("", text).replace("_", " ")
    text = text.translate(_CONTROLS) if text.isascii() else _without_signs(text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return "\n".join(line for line in lines if line and line.lower() not in _ROLES)


def _without_signs(text: str) -> str:
    kept = "".join(" " if unicodedata.category(c) in ("So", "Cf", "Cc", "Co") and c != "\n" else c for c in text)
    return kept.replace("。", ". ").replace("、", ", ")


def marked(answer: str, plain: str) -> list[str]:
    """What the answer marks as its choice, the last mark of each kind first tried: brackets, boxes, JSON, words.

    `plain`: the answer without marks. Announcements come as the rest of their line, or as the next line where nothing
    follows.
    """
    found = [m.group(1) for m in _DOUBLE.finditer(answer)][::-1] if "[[" in answer else []
    found += [m.group(1) for m in _BOXED.finditer(answer)][::-1] if "\\" in answer else []
    return found + (_of_json(answer) if "{" in answer else []) + announced(plain)


def announced(plain: str) -> list[str]:
    """What follows `the answer is`, `Answer:` and the like, the last first."""
    found = []
    ends = [m.end() for m in _ANNOUNCED.finditer(plain)]
    for end in reversed(ends):
        rest = plain[end:].lstrip(" \n:")
        if words := rest.split("\n")[0].strip():
            found.append(words)
    heading = re.search(r"^(?:final |correct )?answer\.?\n(.+)", plain, re.IGNORECASE | re.MULTILINE)
    return found + ([heading.group(1)] if heading else [])


def _of_json(answer: str) -> list[str]:
    values = []
    for text in reversed(_OBJECT.findall(answer)):
        try:
            fields = json.loads(text)
        except ValueError:
            continue
        if isinstance(fields, dict):
            named = {str(name).lower().replace(" ", "_"): value for name, value in fields.items()}
            values += [str(named[name]) for name in _FIELDS if isinstance(named.get(name), str | int)]
    return values
