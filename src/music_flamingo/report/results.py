"""Evaluation results: scores by family, model and condition, and sample predictions.

Accuracies are shown in percent. An interval is the 95 % bootstrap interval over works that evaluation computed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.records import Prediction, Score
from music_flamingo.scoring.families import COMPOSITES, FAMILIES

MODELS = {"sft": "Fine-tuned", "warmup": "Warm-up", "grpo": "GRPO"}
CONDITIONS = {
    "audio": "the recording itself",
    "shuffled": "another recording",
    "noise": "noise",
    "none": "no audio",
}
CONTROLS = ("shuffled", "none")
"""Those that every model has; charts show them."""

ALL = "all"
"""The score over every family of questions, each counting the same."""
CAPTION = "short_caption"
"""Captions are judged category by category and stand apart."""
TITLES = {ALL: "All questions", CAPTION: "Short caption", "bpm": "Tempo in BPM", "num_chords": "Number of chords"}
NOTES = {
    ALL: "The mean of the above, each kind counting the same.",
    CAPTION: "What one sentence tells right, category by category.",
}
CLEAR_LEAD_POINTS = 20.0
"""A family counts as clearly heard when the model is this far above chance and both of its controls."""


@dataclass(frozen=True)
class Cell:
    """An accuracy in percent, its 95 % interval, and counts."""

    accuracy: float
    low: float
    high: float
    num_items: int
    num_works: int
    unparsed: float

    @property
    def text(self) -> str:
        """The accuracy, in percent."""
        return f"{self.accuracy:.0f}"

    @property
    def interval(self) -> str:
        """The interval, in percent."""
        return f"{self.low:.0f}–{self.high:.0f}"


IntervalRow = tuple[str, str, float | None, Cell | None, Cell | None, Cell | None]
"""Name, tone, chance, then the cells with the recording itself, another recording, none."""


@dataclass(frozen=True)
class FamilyResult:
    """Cells of one family by model and condition, with its chance level."""

    name: str
    title: str
    question: str
    chance: float | None
    """Percent that guessing scores, by the answers that were asked for."""
    cells: dict[tuple[str, str], Cell]
    """(model, condition) -> cell; a pair that was not examined is absent."""

    def cell(self, model: str, condition: str) -> Cell | None:
        """The cell of a model and condition; None where it was not run."""
        return self.cells.get((model, condition))

    def lead(self, model: str) -> float | None:
        """Points above the best of chance and the two controls."""
        with_audio = self.cell(model, "audio")
        others = [c.accuracy for c in (self.cell(model, k) for k in CONTROLS) if c]
        others += [] if self.chance is None else [self.chance]
        return with_audio.accuracy - max(others) if with_audio and others else None

    def row(self, name: str, model: str) -> IntervalRow:
        """The chart row of a model: audio and controls."""
        cells = (self.cell(model, condition) for condition in ("audio", *CONTROLS))
        return (name, model, self.chance, *cells)  # type: ignore[return-value]


@dataclass(frozen=True)
class Results:
    """All families, models and conditions of an evaluation."""

    families: tuple[FamilyResult, ...]
    models: tuple[str, ...]
    conditions: tuple[str, ...]

    @property
    def last_model(self) -> str | None:
        """The model trained last; None without models."""
        return self.models[-1] if self.models else None

    @property
    def kinds(self) -> tuple[FamilyResult, ...]:
        """The families of questions, one by one."""
        return tuple(f for f in self.families if f.name not in (ALL, CAPTION))

    @property
    def heard(self) -> tuple[FamilyResult, ...]:
        """Families in which the last model is clearly above chance and both controls."""
        leads = [(f.lead(self.last_model or ""), f) for f in self.kinds]
        # 70 - 50 may come out as 19.999999999999996: what is 20 points must count as 20 points
        return tuple(f for lead, f in leads if lead is not None and lead >= CLEAR_LEAD_POINTS - 1e-9)

    @property
    def num_works(self) -> int:
        """Largest number of works in a cell."""
        return max((c.num_works for f in self.families for c in f.cells.values()), default=0)

    @property
    def num_answers(self) -> int:
        """Number of graded answers over all families."""
        return sum(c.num_items for f in self.families if f.name != ALL for c in f.cells.values())

    @property
    def headline(self) -> list[IntervalRow]:
        """The last model, family by family."""
        return [f.row(f.title, self.last_model or "") for f in self.families]

    def by_model(self, family: FamilyResult) -> list[IntervalRow]:
        """Chart rows of a family, one a model."""
        return [family.row(MODELS.get(model, model), model) for model in self.models]


def family_title(name: str) -> str:
    """`tempo_class` -> Tempo class."""
    if name in COMPOSITES:
        return COMPOSITES[name].title
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def results(scores: Iterable[Score], chance: Mapping[str, float]) -> Results:
    """Scores arranged for reading: families in the order in which they are defined, models in that of training.

    `chance`: family -> what guessing scores, 0 to 1.
    """
    cells: dict[str, dict[tuple[str, str], Cell]] = {}
    for s in scores:
        cells.setdefault(s.family, {})[s.model, s.condition] = Cell(
            100 * s.accuracy, 100 * s.low, 100 * s.high, s.num_items, s.num_works, 100 * s.unparsed
        )
    pairs = {pair for one in cells.values() for pair in one}
    last = [n for n in (ALL, CAPTION) if n in cells]
    names = _ordered([*FAMILIES], set(cells) - set(last)) + last
    return Results(
        families=tuple(_family(name, chance.get(name), cells[name]) for name in names),
        models=tuple(_ordered([*MODELS], {m for m, _ in pairs})),
        conditions=tuple(c for c in CONDITIONS if c in {c for _, c in pairs}),
    )


def _family(name: str, chance: float | None, cells: dict[tuple[str, str], Cell]) -> FamilyResult:
    question = FAMILIES[name].question if name in FAMILIES else NOTES.get(name, "")
    return FamilyResult(name, family_title(name), question, None if chance is None else 100 * chance, cells)


def _ordered(first: list[str], found: Collection[str]) -> list[str]:
    return [f for f in first if f in found] + sorted(set(found) - set(first))


@dataclass(frozen=True)
class ComparedQuestion:
    """One question about one track, and what each model said when it heard the recording itself."""

    track_id: str
    family: str
    question: str
    reference: str
    answers: dict[str, Prediction]
    """model -> its prediction."""

    def answer(self, model: str) -> Prediction | None:
        """The model's prediction; None where it was not asked."""
        return self.answers.get(model)


def asked(predictions: Iterable[Prediction]) -> list[ComparedQuestion]:
    """Predictions with the true audio, gathered by track and question."""
    found: dict[tuple[str, str, str, str], ComparedQuestion] = {}
    for p in predictions:
        if p.condition == "audio" and p.is_ok and p.drawn == "greedy" and p.model in MODELS:
            key = (p.family, p.track_id, p.question, p.reference)
            found.setdefault(key, ComparedQuestion(p.track_id, p.family, p.question, p.reference, {})).answers[
                p.model
            ] = p
    return list(found.values())


def to_look_at(
    every: list[ComparedQuestion], model: str, prefer: Collection[str], per_family: int, seed: int
) -> dict[str, list[ComparedQuestion]]:
    """For each family up to `per_family` questions, half of them wrong by `model` where it has erred so often.

    Tracks in `prefer` (those with a listening page) come first, then the order is the seed's.
    """

    def order(one: ComparedQuestion) -> tuple[bool, str]:
        return one.track_id not in prefer, sha256_bytes(
            f"{seed}:{one.track_id}:{one.question}:{one.reference}".encode()
        )

    chosen: dict[str, list[ComparedQuestion]] = {}
    for family in _ordered([*FAMILIES, *COMPOSITES], {a.family for a in every}):
        ranked = sorted((a for a in every if a.family == family and a.answer(model)), key=order)
        wrong = [a for a in ranked if not a.answers[model].correct]
        right = [a for a in ranked if a.answers[model].correct]
        num_wrong = min(len(wrong), max(per_family // 2, per_family - len(right)))
        if ranked:
            chosen[family] = wrong[:num_wrong] + right[: per_family - num_wrong]
    return chosen
