"""Notes that qualify an answer, given by `mf ask` and by every route of the server."""

from collections.abc import Sequence

from music_flamingo.scoring.normalise import normalise_answer
from music_flamingo.serving.bundle import TrainedQuestion

UNTRAINED = "the model was not trained on this question"


def notes_on(question: str, status: str, trained: Sequence[TrainedQuestion]) -> tuple[str, ...]:
    """What to tell with the answer: a model never evaluated, a question that it never learned."""
    notes = []
    if status == "unevaluated":
        notes.append("this model was never evaluated: its source knows no truth to ask against.")
    if status == "examined_by_facts":
        notes.append("this model was held against what tools measured, never against a truth.")
    if normalise_answer(question) not in {normalise_answer(t.question or "") for t in trained}:
        known = "; ".join(f"{t.family} ({t.question or 'in several wordings'})" for t in trained) or "none"
        notes.append(f"{UNTRAINED}, so the model's answer is a guess. It was trained on: {known}")
    return tuple(notes)
