"""Question and answer as one statement: `Which chord opens it?` and `C major` say `C major opens it`.

What no rule of `asked` and `reader` explains is read as if a caption said it, so that whatever is understood in
statements is understood in answers.
"""

import re
from collections.abc import Iterator

_POLITE = re.compile(
    r"^(?:(?:please|now|so|and|well|listening (?:closely|carefully|to [^,]+)|in (?:this|the) (?:clip|song|piece|track|recording|excerpt|music)|as (?:you|we) hear|from what you hear|by ear"
    r"|based on [^,]+|according to [^,]+|judging (?:by|from) [^,]+|for [^,]{3,30}|of all [^,]+|among [^,]+|once [^,]+|after listening[^,]*|musically|harmonically|rhythmically|formally|dynamically|roughly|approximately|overall),? )+"
    r"|^(?:(?:can|could|would|will) you (?:please )?(?:tell(?: me)?|say|identify|name|describe|estimate|specify|determine|give|hear) |(?:please )?(?:tell me|identify|name|state|describe|specify|determine|estimate|give|find|indicate) (?:me )?|do you (?:know|hear) (?=wh|how)|i(?:'d| would) like to know )(?:if |whether )?",
    re.IGNORECASE,
)
_BE = r"(?:is|are|was|were)"
_DO = r"(?:does|do|did|can|could|would|will|should|might)"
_WHAT_IS = re.compile(rf"^(?:what|which|who)(?:'s| {_BE}) (?P<thing>[^?]+)", re.IGNORECASE)
_WHAT_DOES = re.compile(rf"^(?:which|what) (?P<noun>[\w #]+?) {_DO} (?P<who>[^?]+)", re.IGNORECASE)
_WHICH = re.compile(
    r"^(?:which|what|who|whose)(?: of (?:these|the following)[^?]*?)?(?: (?P<noun>[\w #]+?))?? (?P<rest>(?!does\b|do\b|did\b)(?:is|are|was|were|has|have|[a-z]+s|[a-z]+ed|come|sound|make up|sing|play|accompany|carry|open|close|begin|end|start)\b[^?]*)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    rf"^(?:how many|what number of) (?P<things>[\w #-]+?)(?: (?P<rest>(?:{_BE}|{_DO}|can|has|have|make|form|sound|occur|appear|come|lie|stand|fit|go|pass|fill|belong)\b[^?]*))?$",
    re.IGNORECASE,
)
_WHEN = re.compile(
    rf"^(?:(?:at|by|until|from|after|around) )?(?:when|where|(?:what|which) (?:time|point|second|moment|minute|mark|timestamp|position)(?: in [^?]*?)?)(?: [^?]{{0,30}}?)?? (?P<do>{_DO}|{_BE}) (?P<rest>[^?]+)",
    re.IGNORECASE,
)
_HOW_LONG = re.compile(
    rf"^(?:for )?how (?:long|many seconds|much time)(?: long)? (?:{_DO}|{_BE}) (?P<thing>[^?]+?)(?: (?:last|take|go on|sound|run|continue|long|hold|held|sustained|stay)\b[^?]*)?$",
    re.IGNORECASE,
)
_HOW = re.compile(
    rf"^(?:how|in what way|in which way|to what extent) (?:{_DO}|{_BE}) (?:you (?:\w+ ){{0,2}}?)?(?P<thing>[^?]+?)(?: (?:change|evolve|develop|behave|move|feel|sound|progress|vary|go|unfold|look|seem|end|shift)\w*\b(?P<over>[^?]*))?$",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"^(?:(?:it is|it's|that is|that's|this is|they are|i (?:would say|think|hear|believe)|i'd say|the answer is|probably|roughly speaking|clearly|definitely) )+",
    re.IGNORECASE,
)
_AND_WHEN = re.compile(r"\band (?:when|at (?:what|which) (?:time|point|second))\b", re.IGNORECASE)
_THING_AT = re.compile(r"(.+?),? ((?:at|after|around|from|on) [^,]*\d[^,]*)", re.IGNORECASE)
_BETWEEN = re.compile(
    r"^(?:between|from|over|during|at|in) (?:what|which) (?:times?|seconds?|timestamps?|span|period|stretch|range|interval|two times)[^?]*? (?:does|do|did|can|is|are|could|will) (?P<thing>[^?]+?)(?: (?:be )?(?:heard|last|sound|play|run|extend|found|present|sung|go|occur|appear)\b[^?]*)?$",
    re.IGNORECASE,
)
_HOW_EDGE = re.compile(
    r"^how (?:does|do|did) (?P<thing>[^?,]+?) (?P<verb>begin|start|open|close|finish|conclude|end)\b", re.IGNORECASE
)
_WHAT_IT_IS = re.compile(rf"^(?:what|which|who) (?P<thing>(?:the|its|this) [^?]+?) {_BE}$", re.IGNORECASE)
_SIDES = re.compile(
    r"(?P<thing>[^?]+?) (?:above|over|faster than|more than|longer than|below|under|slower than|less than|shorter than) or (?:above|over|faster than|more than|longer than|below|under|slower than|less than|shorter than) (?P<rest>\d[^?]*)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"(?:(?:yes|no|well|indeed),? )?(?:it|they|this|that|he|she) (?=\w)", re.IGNORECASE)
_SUBJECT = re.compile(
    r"\b(?:the|its|this) ((?:\w+ )?(?:harmony|chords?|tempo|pace|volume|loudness|dynamics?|level|key|meter|rhythm|beat|pulse|section|verse|chorus|bridge|intro|outro|singer|voice|melody|notes?|tones?|form|song|piece|music|track)(?: (?-i:[A-E])\b)?)(?!\w)",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"(?:is|are|does|do|did|has|have|was|were|can)\b", re.IGNORECASE)
MOST_WORDS = 14
"""Of an answer that is put into its question; a longer one is a statement of its own."""


def restated(question: str, answer: str) -> Iterator[str]:
    """Give statements that say what a question and its answer say together, both plain texts; none for yes and no."""
    asked, said = _bare_question(question), _ANSWER.sub("", answer.strip().rstrip(".!"))
    if not said or len(said.split()) > MOST_WORDS:
        return
    if (pronoun := _PRONOUN.match(answer.strip())) is not None and (subject := _SUBJECT.search(asked)) is not None:
        yield f"The {subject[1]} {answer.strip()[pronoun.end() :]}"
    if (aux := _ALTERNATIVE.match(asked)) is not None:
        yield from _of_alternatives(asked[aux.end() :].strip(), aux[0].lower(), said)
        return
    if _AND_WHEN.search(asked) and (two := _THING_AT.fullmatch(said)) is not None:
        yield f"{two[1]} begins {two[2]}"
    if (span := _BETWEEN.match(asked)) is not None:
        yield f"{span['thing']} is heard {said}"
    if (many := _HOW_MANY.match(asked)) is not None:
        yield f"There are {said} {many['things']}"
    elif (long := _HOW_LONG.match(asked)) is not None:
        yield f"{long['thing']} lasts {said}"
    elif (when := _WHEN.match(asked)) is not None:
        yield f"{when['rest']} {_at(said)}" if _is_verbal(when["rest"]) else f"{when['rest']} is {_at(said)}"
        yield f"{_inflected(when['rest'])} {_at(said)}"
    elif (told := _WHAT_IT_IS.match(asked)) is not None:
        yield f"{told['thing']} is {said}"
    elif (thing := _WHAT_IS.match(asked)) is not None:
        yield f"{thing['thing']} is {said}"
        yield f"{said} is {thing['thing']}"
    elif (does := _WHAT_DOES.match(asked)) is not None:
        yield f"The {does['noun']} is {said}"
        yield f"{_inflected(does['who'])} {said}"
    elif (which := _WHICH.match(asked)) is not None:
        yield f"{said} {which['rest']}"
        yield f"The {which['noun'] or 'music'} {said} {which['rest']}"
    elif (edge := _HOW_EDGE.match(asked)) is not None:
        yield f"{edge['thing']} {edge['verb']}s {said}"
    elif (how := _HOW.match(asked)) is not None:
        yield f"{how['thing']} is {said}"
        yield f"{how['thing']} {said}"


def _bare_question(question: str) -> str:
    asked = question.strip().rstrip("? ")
    while (shorter := _POLITE.sub("", asked)) != asked:
        asked = shorter
    return asked


def _of_alternatives(asked: str, aux: str, said: str) -> Iterator[str]:
    """`Is the signature made of sharps or flats? - Flats` -> `the signature is made of Flats`."""
    if (sides := _SIDES.match(asked)) is not None:
        yield f"{sides['thing']} is {said} {sides['rest']}"
        return
    first, joint, second = asked.partition(" or ")
    words, number = first.rstrip(",").split(), len(second.split())
    if not joint or number >= len(words):
        return
    thing = " ".join(words[:-number])
    yield f"{_inflected(thing)} {said}" if aux in ("does", "do", "did") else f"{thing} is {said}"
    yield f"{thing} {said}"


def _at(said: str) -> str:
    return (
        said
        if re.match(r"(?:at|after|in|around|about|from|near|on|during|before|by|until)\b", said, re.IGNORECASE)
        else f"at {said}"
    )


def _is_verbal(rest: str) -> bool:
    return re.search(r"\b\w+(?:s|ed)\b$", rest) is not None


_VERB = re.compile(
    r"\b(begin|start|enter|end|stop|finish|arrive|return|come|appear|change|kick|drop|last|set|join|close|conclude|leave|sound|give way|move|resolve|occur|happen|first|play|sing|open|repeat|reach|fade|build|grow|lie|stand|fall|sit|stay|take|go|fill|occupy|cover|span|lead|follow|run)\b",
    re.IGNORECASE,
)


def _inflected(rest: str) -> str:
    """`the first chorus kick in` -> `the first chorus kicks in`: a statement's verb has its s."""
    return (
        _VERB.sub(lambda m: f"{m[1]}es" if m[1].lower().endswith(("ch", "sh", "go")) else f"{m[1]}s", rest, count=1)
        if "first" not in rest[:9].lower()
        else _VERB.sub(lambda m: m[1] if m[1].lower() == "first" else f"{m[1]}s", rest, count=2)
    )
