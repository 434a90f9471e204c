"""Read and write the wording of published conversations: questions, options, the request to think, thoughts, answers.

Options stand as `(A) jazz` in the words of the question. A request to think follows the question; where it does, the
answer has think tags, or (Audio Flamingo 3) begins with a thought and comes to the answer at its end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from music_flamingo.scoring.choices import parse_choice
from music_flamingo.scoring.normalise import match_option

THINK_REQUEST = "Output the thinking process in <think> </think> and final answer in <answer> </answer>."
"""As Music Flamingo's think variant is asked (its model card)."""
CHOICE_REQUEST = "Choose one among the following options:"
"""As AF-Think and AudioSkills write it."""
SOUND = "<sound>"

_PLACE_OF_SOUND = re.compile(r"\s*<(?:sound|audio|speech|music)(?:-\d+)?>\s*")
_THINK_REQUESTS = re.compile(
    r"\s*(?:please think and reason about the input (?:audio|music|sound|speech) before you respond\.?"
    r"|output the thinking process in <think>\s*</think> and (?:the )?final answer in <answer>\s*</answer>\.?)\s*",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\(([A-Z])\)\s*")
_CHOICE_REQUEST = re.compile(
    r"(?:^|(?<=[.?!:\n]))\s*(?:please )?(?:choose|select|pick)\b[^.?!\n]{0,80}[:.]?\s*$", re.IGNORECASE
)
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*(.*)", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>\s*", re.DOTALL)


@dataclass(frozen=True)
class SpokenTurn:
    """One question and its answer; `thinking` is None where the answer comes without a thought."""

    question: str
    options: tuple[str, ...]
    answer: str
    thinking: str | None = None


class UnreadableTurnError(ValueError):
    """A turn that says no question or no answer. The message is the reason."""


def read_turn(asked: str, said: str) -> SpokenTurn:
    """A turn from its two texts. Raises UnreadableTurnError."""
    words = _PLACE_OF_SOUND.sub("\n", asked).strip()
    wants_thought = bool(_THINK_REQUESTS.search(words))
    words = _THINK_REQUESTS.sub(" ", words).strip()
    question, options = read_options(words)
    thinking, answer = _read_answer(said.strip(), options, wants_thought)
    if options:
        named = match_option(answer, options)
        if named is None:
            question, options = words, ()
        else:
            answer = named
    if not question or not answer:
        raise UnreadableTurnError("no_question" if not question else "no_answer")
    return SpokenTurn(question, options, answer, thinking)


def read_options(words: str) -> tuple[str, tuple[str, ...]]:
    """(question without its options, options); the whole text and none where no `(A) ... (B) ...` ends it."""
    marks = list(_LETTER.finditer(words))
    start = next((i for i, mark in enumerate(marks) if mark.group(1) == "A"), None)
    if start is None:
        return words, ()
    marks = marks[start:]
    if len(marks) < 2 or [m.group(1) for m in marks] != [chr(ord("A") + i) for i in range(len(marks))]:
        return words, ()
    ends = [mark.start() for mark in marks[1:]] + [len(words)]
    options = tuple(words[m.end() : end].strip().rstrip(",;").strip() for m, end in zip(marks, ends, strict=True))
    # a list within a sentence ends with its full stop, which is no part of the last option
    if options[-1].endswith(".") and not any(option.endswith(".") for option in options[:-1]):
        options = (*options[:-1], options[-1][:-1].strip())
    question = _CHOICE_REQUEST.sub("", words[: marks[0].start()].rstrip()).strip()
    if not question or "" in options or len(set(options)) < len(options):
        return words, ()
    return question, options


def _read_answer(said: str, options: Sequence[str], wants_thought: bool) -> tuple[str | None, str]:
    if match := _THOUGHT.fullmatch(said):
        thinking, rest = match.group(1).strip(), match.group(2)
        tagged = _ANSWER.fullmatch(rest)
        return thinking or None, (tagged.group(1) if tagged else rest).strip()
    if tagged := _ANSWER.fullmatch(said):
        return None, tagged.group(1).strip()
    if not wants_thought or not options or match_option(said, options) is not None:
        return None, said
    place = parse_choice(said, options)
    if place is None:
        raise UnreadableTurnError("thought_without_answer")
    return said, options[place]


def written_question(turn: SpokenTurn, *, think: bool, sound: str = SOUND) -> str:
    """The human's text: the place of the sound, the question, its options, and the request to think."""
    lines = [sound, turn.question] if sound else [turn.question]
    if turn.options:
        lines.append(CHOICE_REQUEST)
        lines += [f"({chr(ord('A') + i)}) {option}" for i, option in enumerate(turn.options)]
    return "\n".join([*lines, *([THINK_REQUEST] if think else [])])


def written_answer(turn: SpokenTurn) -> str:
    """The model's text: `(B) option` or the answer; with a thought both in tags."""
    answer = turn.answer
    if turn.options:
        answer = f"({chr(ord('A') + turn.options.index(turn.answer))}) {turn.answer}"
    return answer if turn.thinking is None else f"<think>{turn.thinking}</think><answer>{answer}</answer>"
