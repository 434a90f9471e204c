"""What an answer itself marks as its choice: `[[B]]`, a box, a field of JSON, tags, what follows `the answer is`.

English, and the words that stand for `answer` in some twenty languages. An announcement that is taken back on the spot
(`the wrong answer is`, `if it were lower, the answer would be`) is none.
"""

import ast
import json
import re
from typing import Any

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_DOUBLE = re.compile(r"\[\[\s*([^\[\]]{1,200}?)\s*\]\]")
_TAGGED = re.compile(
    r"<(final_?answer|ans|answer_choice|choice|option|response|result|selected)>(.*?)</\1>", re.IGNORECASE | re.DOTALL
)
_NAMED = (
    r"(?:(?:final|correct|right|best|my|the|selected|chosen|predicted|most likely|likely|only) )*"
    r"(?:answer|choice|option|guess|selection|response|prediction|conclusion|(?<=correct )one|(?<=right )one"
    r"|(?<=best )one)"
)
_VERB = (
    r"(?: (?:is|are|was|would be|should be|must be|will be|has to be|can only be|appears to be|seems to be"
    r"|to this question is)(?:,? (?:therefore|thus|hence|clearly|definitely|indeed|most likely|most probably|probably"
    r"|likely|then|actually|simply|also|really))*,?)"
)
_FILLERS = (
    r"(?: (?:ist|lautet|wäre|est|serait|es|sería|è|é|seria|sarebbe|är|er|to|jest|là|adalah|correcta|correcte|corretta"
    r"|correta|giusta|certa|exacta|exacte|richtige|juiste|правильный|верный|верна|это"
    r"|la|le|el|il|a|o|die|der|das|lettre|letra|lettera|option|opción|opção|opzione|buchstabe|вариант))*"
)
_ANNOUNCED = re.compile(
    rf"\b{_NAMED}(?: (?:here|letter|then))?(?:{_VERB} ?:?|\s*[:=→]|\s+[-–—])\s*"
    rf"|\b{_NAMED} (?=\(?[A-Za-z]\)?\s*[.,;:!]?\s*$)"
    r"|\bI(?: would|'d|'ll| will| am going to| have to| must)? (?:choose|pick|select|go with|say|chose|vote for"
    r"|settle on|answer)(?: for)?\s*:?\s+"
    r"|\b(?:let's go|let us go|(?:I'm |I am )?going) (?:with|for)\s+"
    r"|^(?:so the |the )?(?:final|ans|solution|result|output|verdict|correct|selected|decision)\s*[:=]\s*"
    r"|(?:=>|→|⇒)\s*"
    r"|\b(?:that |this |which )?(?:leaves|leaving)(?: us)?(?: with)?(?: only| just)?\s+"
    r"|\b(?:that|this|which) makes it\s+"
    r"|(?:^|(?<=[.,;:] ))(?:and )?(?:so|therefore|thus|hence|consequently)\b[,:]? (?:it(?:'s| is| must be"
    r"| has to be) )?"
    r"(?=(?:the |an? |option |choice )?\(?\w)"
    r"|\b(?:antwort|lösung|réponse|respuesta|risposta|resposta|ответ|odpowiedź|antwoord|svar|vastaus|cevap|jawaban"
    rf"|đáp án){_FILLERS}\s*:?\s+"
    r"|(?:答案|答え|回答|解答|正解|选择|選擇|我选|我選|选项|選項|選択肢|정답|답|الإجابة|उत्तर|คำตอบ)(?:选项)?\s*"
    r"(?:是|为|為|应该是|應該是|应为|は|が|은|는|이|가|คือ|है|هي|[:：])*\s*"
    r"|(?<![不没未別别])[选選](?=\s*[(（\"“]?[A-Z])",
    re.IGNORECASE | re.MULTILINE,
)
# parts of words: without one of them there is no announcement
_ANNOUNCING = (
    *(
        "ans",
        "choi",
        "choo",
        "chos",
        "option",
        "guess",
        "select",
        "resp",
        "predict",
        "conc",
        "conseq",
        " one",
        "pick",
        "go with",
        "say",
        "vote for",
    ),
    *("settle", "going", "let's go", "let us go", "final", "so", "result", "output", "verdict", "correct", "decision"),
    *("=>", "leav", "makes it", "therefore", "thus", "hence", "antwo", "risposta", "svar", "vastaus", "cevap"),
    "jawaban",
)
_ANNOUNCING_ABROAD = (
    *("→", "⇒", "lös", "répons", "ответ", "odpowied", "đáp", "答", "解", "选", "選", "답", "الإجابة", "उत्तर", "คำตอบ"),
)
_ODD_CASE = re.compile("[İıſK\u1c80-\u1c88]")
_TAKEN_BACK = re.compile(
    r"(?:\b(?:wrong|incorrect|worst|false|impossible|unlikely|least likely|not(?: the| an?| my)?|isn't(?: the)?"
    r"|no|never"
    r"|неправильный|falsche|mauvaise|错误的?|不正确的?)\s*|\bnot )$",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^(?:final |correct )?answer\.?\n(.+)", re.IGNORECASE | re.MULTILINE)
_CONDITION = re.compile(r"\b(?:if|were|had|unless|should)\b", re.IGNORECASE)
_FORCED = re.compile(r"\b(?:if|when|as) (?:i |you )?(?:had to|have to|must|were to|was to|forced|asked|pressed"
    r"|am to)\b",
                     re.IGNORECASE)  # fmt: skip
_FIELDS = ("answer", "final_answer", "finalanswer", "correct_answer", "choice", "option", "letter", "text", "value",
           "prediction", "response", "selected", "selected_option", "result", "label", "name")  # fmt: skip
_OBJECT = re.compile(r"\{[^{}]*\}", re.DOTALL)
_FENCE = re.compile(r"^```\w*\s*\n?|\n?\s*```$")


def marked(answer: str, plain: str) -> list[str]:
    """What the answer marks as its choice, the last mark of each kind first tried: brackets, boxes, JSON, tags, words.

    `plain`: the answer without marks. Announcements come as the rest of their line, or as the next line where nothing
    follows.
    """
    found = [m.group(1) for m in _DOUBLE.finditer(answer)][::-1] if "[[" in answer else []
    found += [m.group(1) for m in _BOXED.finditer(answer)][::-1] if "\\" in answer else []
    found += _objects(answer) if "{" in answer else []
    found += [m.group(2) for m in _TAGGED.finditer(answer)][::-1] if "</" in answer else []
    return found + announced(plain)


def announced(plain: str) -> list[str]:
    """What follows `the answer is`, `Answer:` and the like, the last first."""
    found: list[str] = []
    if not _announces(plain):
        return found
    for match in reversed(list(_ANNOUNCED.finditer(plain))):
        if _taken_back(plain[: match.start()]):
            continue
        rest = plain[match.end() :].lstrip(" \n:")
        if words := rest.split("\n")[0].strip():
            found.append(words)
    heading = _HEADING.search(plain) if "\n" in plain else None
    return found + ([heading.group(1)] if heading else [])


def _announces(plain: str) -> bool:
    """False where no announcement can be: the long pattern is tried on the rest alone."""
    low = plain.lower()
    for part in _ANNOUNCING:
        if part in low:
            return True
    if plain.isascii():
        return False
    return any(part in low for part in _ANNOUNCING_ABROAD) or _ODD_CASE.search(plain) is not None


def _taken_back(before: str) -> bool:
    sentence = re.split(r"[.!?;\n]\s*", before)[-1]
    if _TAKEN_BACK.search(before[-40:]):
        return True
    return _CONDITION.search(sentence) is not None and _FORCED.search(sentence) is None


def json_fields(answer: str) -> dict[str, Any] | list[Any] | None:
    """The object or list that an answer is and nothing else, in a fence or not; None for anything else."""
    text = _FENCE.sub("", answer.strip()).strip()
    if not (text.startswith(("{", "[")) and text.endswith(("}", "]"))):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, dict) or (isinstance(value, list) and _is_data(value)) else None
    return None


def _is_data(value: list[Any]) -> bool:
    # `[B]` is a letter in brackets, `[{"answer": ..}]` and `["B"]` are data
    return bool(value) and all(isinstance(part, dict | str) for part in value)


def named_values(fields: Any, names: tuple[str, ...] = _FIELDS) -> list[str]:
    """The values of the fields that hold an answer, texts before numbers; of a list, of its only member.

    Empty where an answer has several members.
    """
    if isinstance(fields, list):
        return named_values(fields[0], names) if len(fields) == 1 else []
    if not isinstance(fields, dict):
        return [str(fields)] if isinstance(fields, str | int) and not isinstance(fields, bool) else []
    known = {str(name).lower().replace(" ", "_"): value for name, value in fields.items()}
    found = [value for name in names if name in known for value in named_values(known[name], names)]
    if not found and len(known) == 1:
        found = named_values(next(iter(known.values())), names)
    return sorted(found, key=str.isdecimal)


def _objects(answer: str) -> list[str]:
    values = []
    for text in reversed(_OBJECT.findall(answer)):
        try:
            fields = json.loads(text)
        except ValueError:
            continue
        if isinstance(fields, dict):
            values += named_values(fields)
    return values
