"""Clauses of an answer: which of them state something, and which deny it, doubt it, ask it or refuse to answer.

Read after the names of options were replaced by marks, so that no word of an option is taken for a denial.
"""

import re
from typing import Literal

Stance = Literal["states", "concludes", "concedes", "denies", "doubts"]
"""`concludes`: says that this is the answer. `concedes`: what was thought before, or holds although another is."""

MARK = re.compile(r"\x01(\d+)\x02")
"""An option by its place, in a text whose mentions of options were replaced."""

_CLAUSE = re.compile(
    r"(?<=[.!?;:\n])\s+|\n|;(?!\s)|,\s+|\s+-{1,2}\s+|\s*[–—]\s*|\(|\)"
    r"|(?<![Aa]nything)\s+(?=(?:but|because|since|although|though|while|whereas|however|rather than|instead of"
    r"|as opposed to|unlike"
    r"|except|over the|and not"
    r"|(?<!\bis )(?<!\bwas )(?<!\bare )(?<!\bbe )not (?:the|a)|而不是|不是|sondern|sino|plutôt)\b)",
    re.IGNORECASE,
)
_MAY_END = re.compile(r"[.!?;:\n,()-]")
_OPENING_A_CLAUSE = (
    *("but", "because", "since", "though", "while", "whereas", "however", "rather", "instead", "as opposed", "unlike"),
    *("except", "over the", "not", "sondern", "sino"),
)
_DENIAL_BEFORE = re.compile(
    r"\b(?:not|no|neither|nor|never|without|cannot|can ?not|rather than|instead of|as opposed to|except|unlike|hardly"
    r"|barely|scarcely|seldom|nothing|none|unable|impossible|unlikely|least likely|anything but|far from|wrong answer"
    r"|fail(?:s|ed)? to|absen(?:t|ce)|lacks?|lacking|missing|incorrect"
    r"|rules? out|ruled out|exclud\w+|eliminat\w+|reject\w*|discard\w*|dismiss\w*|isnt|arent|wasnt|dont|doesnt|didnt"
    r"|cant|wont|couldnt|wouldnt|aint|kein\w*|nicht|ningun\w*|pas|sin|ni|aucun\w*|не|ни|нет|não|nao|nem|non"
    r"|geen|niet)\b"
    r"|n't\b|不是|没有|並非|并非|非|不像|排除",
    re.IGNORECASE,
)
_DENIAL_AFTER = re.compile(
    r"^\W*(?:\w+\s+){0,3}?(?:(?:is|are|was|were|does|do|did|can|could|would|will|has|have|seems?|sounds?)\b[^,]*?)?"
    r"(?:\b(?:not|never|hardly|barely|absent|missing|lacking|wrong|incorrect|false|unlikely|impossible|ruled out"
    r"|excluded|eliminated|rejected|discarded|dismissed|isnt|arent|wasnt|doesnt|cannot|nowhere|inaudible"
    r"|out of the question)\b|\w*n't\b|不对|不是|ist es nicht|n'est pas)"
    r"|^.{0,6}?(?:ではな|じゃな|ではあり|でない|가 아니|이 아니|은 아니|는 아니|아닙|아니|不对|不正确|错|間違"
    r"|正しくない|可以排除|被排除)",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:could|might|may|perhaps|maybe|possibly|either|or|whether|if|doubt\w*|unsure|uncertain|refus\w+|declin\w+"
    r"|sorry|unclear|wonder\w*|guess(?:ing)? between|hard to (?:say|tell)|difficult to (?:say|tell)"
    r"|options? (?:are|is"
    r"|include)|choices? (?:are|include)|choose from|choosing between|questions?|asks?|asked|asking|compar(?:e"
    r"|ed|ing)"
    r"|to (?:confirm|verify|check|know|determine|decide)|need(?:s|ed)? to|oder|ou|oppure|entre|или|может)\b"
    r"|还是|或者|可能|是否|もしくは|または|かもしれ",
    re.IGNORECASE,
)
_DOUBT_AFTER = re.compile(
    r"^\W*(?:or|oder|ou|或|или)\b|^\W*(?:would|could|might|may"
    r"|should)\s+(?!be the|fit|match|make|seem)"
    r"|^\s*(?:かもしれ|일 수도)",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^\W*(?:fits?|matches|is (?:the |a |clearly |therefore |thus )*(?:correct|right|best|better|answer|match"
    r"|most likely"
    r"|more likely|most probable|likeliest|only one)|seems (?:right|best|correct|most likely|more likely)|it is\b"
    r"|remains|is left)",
    re.IGNORECASE,
)
_JOINED = re.compile(r"^\W*(?:and|or|plus|with|as well as|&|/|,|und|et|y|e|и|和|と)?\W*\x01", re.IGNORECASE)
_CONCEDES = re.compile(
    r"^(?:and |but )?(?:although|though|even though|while|whereas|despite|unlike|compared (?:to|with)|at first"
    r"|initially)\b|\b(?:at first|initially|originally)\b|\bI (?:\w+ )?(?:thought|assumed|believed"
    r"|guessed) (?:it|this|that)"
    r"|\bmy (?:first|initial) (?:guess|thought|impression|estimate)",
    re.IGNORECASE,
)
_CONTRAST = re.compile(r"^(?:but|however|yet|still|nevertheless|aber|mais|pero|но|但)\b", re.IGNORECASE)
_CONTINUES = re.compile(
    r"^(?:(?:and|or|nor|the|an?|und|oder|et|ou|y|o|options?|[,&/.:;]|\s)|\x01\d+\x02)+$", re.IGNORECASE
)
_HEADING_THAT_DENIES = re.compile(
    r"(?:the )?(?:wrong|incorrect|not|least likely|unlikely|ruled out|eliminated|excluded|false"
    r"|bad)\b[^:\x01]{0,20}:",
    re.IGNORECASE,
)
_ONLY = re.compile(r"\bonly (?:the |an? |option )?$", re.IGNORECASE)
_SUPPOSED = re.compile(r"(?:and |but )?(?:if|were|had|unless|suppos\w+)\b", re.IGNORECASE)
_FORCED = re.compile(r"(?:if|when|were) (?:i |you )?(?:had to|have to|must|were to|to|was to|forced|asked"
    r"|pressed|am to)\b",
                     re.IGNORECASE)  # fmt: skip
_WOULD = re.compile(r"\b(?:would|might|could)\b", re.IGNORECASE)
_NOT_THE_ASKED = re.compile(r"\x01(\d+)\x02\s*\?\s*(?=(?:no|nope|nein|non|not)\b)", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:sorry|refuse\w*|declin\w+|(?:un|not )able to|incapable|impossible to|can(?:not|'t|t| not)"
    r" (?:answer|determine"
    r"|tell|say|identify|hear (?:the|any|this) (?:audio|recording|music|sound|clip)|listen|process|play|decide|know)"
    r"|(?:do|does|did)(?:n't|nt| not) (?:know|hear (?:the|any) (?:audio|recording|music))|no idea"
    r"|none of (?:the|these)"
    r"|no (?:audio|answer|recording)|as an ai|(?:more|further|additional|insufficient"
    r"|not enough) (?:information|context"
    r"|detail)|(?:please|could you) (?:provide|upload|share)|weiß (?:es )?nicht|kann (?:\w+ )?nicht|leider"
    r"|ne (?:peux|sais|puis) pas|désolée?|no (?:puedo|sé)|lo siento|não (?:posso|sei|consigo)|non (?:posso|so)"
    r"|не (?:могу|знаю)|извините|к сожалению)\b"
    r"|无法|不能判断|不知道|不确定|听不(?:到|出|清)|抱歉|对不起|できません|わかりません|分かりません|알 수 없"
    r"|할 수 없|모르|죄송",
    re.IGNORECASE,
)


def clauses_of(text: str) -> list[str]:
    """Clauses in order, each with the mark that ends it."""
    if _is_one_clause(text):
        return [text.strip()]
    return [clause for part in _CLAUSE.split(text) if (clause := (part or "").strip())]


def _is_one_clause(text: str) -> bool:
    """True for plain words without anything that may end a clause; False says nothing."""
    words = text.strip()
    if not words or not text.isascii() or _MAY_END.search(words, 0, len(words) - (words[-1] in ".!?:")):
        return False
    low = words.lower()
    return not any(word in low for word in _OPENING_A_CLAUSE)


def refuses(text: str) -> bool:
    """True where a text says that it will not, or cannot, answer."""
    return _REFUSAL.search(text) is not None


def denied_after(text: str) -> bool:
    """True where the words after an option deny it (`is wrong because ...`)."""
    return _DENIAL_AFTER.search(MARK.split(clauses_of(text)[0])[0]) is not None if clauses_of(text) else False


def stances(text: str) -> dict[int, set[Stance]]:
    """Place of each mentioned option -> how the clauses that mention it stand to it."""
    found: dict[int, set[Stance]] = {}
    before: Stance | None = None
    supposed = False
    for clause in clauses_of(_NOT_THE_ASKED.sub("not \x01\\1\x02. ", text) if "?" in text else text):
        if _CONTRAST.search(clause):
            _concede_doubts(found)
        for mention in MARK.finditer(clause):
            stance = _stance(clause, mention)
            if stance in ("states", "doubts") and before == "denies" and _CONTINUES.match(clause):
                stance = "denies"
            if stance == "states" and supposed and _WOULD.search(clause):
                stance = "doubts"
            before = stance
            found.setdefault(int(mention.group(1)), set()).add(stance)
        supposed = supposed or (_SUPPOSED.match(clause) is not None and _FORCED.match(clause) is None)
        if clause[-1] in ".!?:;":
            before = "denies" if _HEADING_THAT_DENIES.fullmatch(clause) else None
            supposed = False
    return found


def _concede_doubts(found: dict[int, set[Stance]]) -> None:
    for how in found.values():
        if "doubts" in how:
            how.discard("doubts")
            how.add("concedes")


def _stance(clause: str, mention: re.Match[str]) -> Stance:
    before, after = clause[: mention.start()], clause[mention.end() :]
    if not before.strip() and not after.strip(" .,;:!)"):
        return "states"
    if clause.endswith("?") or _DOUBT.search(before) or _DOUBT_AFTER.match(after):
        return "denies" if _DENIAL_BEFORE.search(before) and not clause.endswith("?") else "doubts"
    # what follows the last mention concerns that one; `without high notes` concerns neither
    beyond = MARK.split(after)[0]
    if _DENIAL_BEFORE.search(before) or _DENIAL_AFTER.search(beyond):
        return "denies"
    if _CONCEDES.search(before):
        return "concedes"
    if _CONCLUDES.match(beyond) or _ONLY.search(before):
        return "concludes"
    return "states"


def stated_one(text: str, refusals_count: bool) -> int | None:
    """The one option that a text with marks states or concludes; None where it states several, or doubts others."""
    found = stances(text)
    concluded = [place for place, how in found.items() if "concludes" in how and "denies" not in how]
    stated = [place for place, how in found.items() if how & {"states", "concludes"}]
    conceded = [place for place, how in found.items() if "concedes" in how]
    doubted = {place for place, how in found.items() if "doubts" in how}
    chosen = concluded if len(concluded) == 1 else stated or conceded
    if len(chosen) != 1 or (refusals_count and refuses(text)):
        return None
    if doubted - set(stated) and not concluded:
        return None
    return chosen[0] if "denies" not in found[chosen[0]] else None


def joined_with_another(text: str, end: int) -> bool:
    """True where another option follows at once: `a violin and a cello` names none of the two."""
    return _JOINED.match(text[end:]) is not None
