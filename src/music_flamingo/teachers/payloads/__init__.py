"""What a teacher is given and what it must give back: one payload and one reply for each use, as JSON by schema.

Payloads carry facts that code has measured; texts from outside (lyrics, titles) sit in fields of their own. A reply
that does not fit its schema is not a reply.
"""

from music_flamingo.teachers.payloads.captions import (
    CAPTION_CHARACTERS,
    TITLE_CHARACTERS,
    SongPayload,
    StructuredPayload,
    StructuredReply,
    TextReply,
    WindowPayload,
    WindowText,
)
from music_flamingo.teachers.payloads.chains import (
    ChainPayload,
    ChainStyle,
    PlainStep,
    RewritePayload,
    RewriteReply,
    SplitPayload,
    StepsReply,
    TimedChainPayload,
)
from music_flamingo.teachers.payloads.facts import (
    LINE_CHARACTERS,
    LYRICS_CHARACTERS,
    SHORTEST_CHORD_S,
    Closed,
    SongFacts,
    TrackPayload,
    closed_questions,
    cut,
    shown_lines,
)
from music_flamingo.teachers.payloads.judging import GuessPayload, GuessReply, JudgePayload, JudgeReply
from music_flamingo.teachers.payloads.questions import (
    DifficultyPayload,
    DifficultyReply,
    DistractorsPayload,
    DistractorsReply,
    QuestionsReply,
    StatedClaim,
    StatedQuestion,
    StatedQuestionsReply,
    WrittenQuestion,
)

__all__ = [
    "CAPTION_CHARACTERS",
    "LINE_CHARACTERS",
    "LYRICS_CHARACTERS",
    "SHORTEST_CHORD_S",
    "TITLE_CHARACTERS",
    "ChainPayload",
    "ChainStyle",
    "Closed",
    "DifficultyPayload",
    "DifficultyReply",
    "DistractorsPayload",
    "DistractorsReply",
    "GuessPayload",
    "GuessReply",
    "JudgePayload",
    "JudgeReply",
    "PlainStep",
    "QuestionsReply",
    "RewritePayload",
    "RewriteReply",
    "SongFacts",
    "SongPayload",
    "SplitPayload",
    "StatedClaim",
    "StatedQuestion",
    "StatedQuestionsReply",
    "StepsReply",
    "StructuredPayload",
    "StructuredReply",
    "TextReply",
    "TimedChainPayload",
    "TrackPayload",
    "WindowPayload",
    "WindowText",
    "WrittenQuestion",
    "closed_questions",
    "cut",
    "shown_lines",
]
