"""Write the model card: intended use, limits, training, and the whole results table."""

from collections.abc import Mapping, Sequence

from music_flamingo.core.licences import Licence, listed
from music_flamingo.evaluation.summary import Corpus, Evaluation
from music_flamingo.evaluation.tables import difference_lines, markdown_table
from music_flamingo.evaluation.thinking_tables import INTRODUCTION, thinking_table
from music_flamingo.records import Score


def model_card(
    name: str,
    status: str,
    reasons: Sequence[str],
    scores: Sequence[Score],
    evaluation: Evaluation,
    questions: Mapping[str, str],
    teacher: str,
    licences: Sequence[Licence],
    max_audio_s: float,
) -> str:
    """Markdown. Its first line says whether the model was released, refused, or never evaluated."""
    is_rendered = bool(scores) and evaluation.graded_by == "truth"
    return "\n".join(
        [
            _first_line(name, status),
            "",
            f"# {name}",
            "",
            *(f"- Refused: {reason}." for reason in reasons),
            *([""] if reasons else []),
            "A MusicFlamingo model (transformers' own class) trained on a catalogue's own facts: fine-tuning, a "
            "warm-up on chains of thought, then GRPO. It answers questions about music, thinking aloud first.",
            "",
            "## What it hears, against the truth"
            if evaluation.graded_by == "truth"
            else "## What it hears, by tools' facts",
            "",
            *_results(scores, evaluation),
            "",
            *_thinking(evaluation),
            "## What it was trained on",
            "",
            *_training(evaluation.corpus, questions, teacher, is_examined=bool(scores), is_rendered=is_rendered),
            "",
            "## Known limits",
            "",
            f"- It listens to {max_audio_s:g} s: the middle of a longer recording. What sounds outside is not heard.",
            "- It learned the questions above, in those words. To any other question its answer is a guess.",
            "- Its thoughts are learned sentences; each claim in them can be wrong even where the answer is right.",
            *(
                ["- Rendered scores are cleaner than recordings: expect less on real performances."]
                if is_rendered
                else []
            ),
            "",
            "## Licences of what the labels come from",
            "",
            *listed(licences),
            "",
        ]
    )


def _first_line(name: str, status: str) -> str:
    told = {
        "released": f"> {name} passed the gate: with the music it answers better than without, on held-out pieces.",
        "examined_by_facts": f"> **Examined by facts**: the source of {name} knows no truth. On recordings that nobody "
        "trained on it agrees with what tools measured better than without the music. Tools err: this is no accuracy.",
        "unevaluated": f"> **Not evaluated**: the source of {name} knows no truth to ask against. Nothing is promised.",
        "refused": f"> **Refused**: {name} did not pass the gate. This folder holds no weights.",
    }
    return told[status]


def _results(scores: Sequence[Score], evaluation: Evaluation) -> list[str]:
    if not scores:
        return [f"Nothing was examined: {evaluation.note}."]
    answered = (
        "Balanced accuracy in percent on held-out pieces [95 % interval, resampling works]. Questions are answered by "
        "the scores themselves, not by the tools that made the training labels. "
    )
    if evaluation.graded_by == "facts":
        answered = (
            "**Agreement with tools, not accuracy**: in percent, balanced over answers, on held-out recordings [95 % "
            "interval, resampling works]. What tools measured and trusted there stands for a truth that nobody has. "
        )
    return [
        f"{answered}`other audio` plays another work, "
        "`silence` plays nothing: there a model can only guess. `all` is the mean over the families of questions above "
        "it; captions are judged category by category.",
        "",
        *markdown_table(scores, evaluation.chance).splitlines(),
        "",
        *(f"- {line}" for line in difference_lines(evaluation.differences, "grpo")),
    ]


def _thinking(evaluation: Evaluation) -> list[str]:
    if evaluation.thinking is None:
        return []
    return [
        "## Does thinking pay, does GRPO pay?",
        "",
        INTRODUCTION,
        "",
        *thinking_table(evaluation.thinking).splitlines(),
        "",
    ]


def _training(
    corpus: Corpus, questions: Mapping[str, str], teacher: str, *, is_examined: bool, is_rendered: bool
) -> list[str]:
    apart = "other works were held out" if is_examined else "others were set apart, by artist, title and sound"
    traditions = ", ".join(f"{name} {count}" for name, count in corpus.works_by_tradition.items())
    return [
        f"- Recordings: {corpus.train_tracks} of {corpus.train_works} works; {corpus.test_tracks} of "
        f"{corpus.test_works} {apart}.",
        f"- Works by tradition (all splits): {traditions or 'unknown'}.",
        f"- Words by teacher: {teacher}. " + _who(teacher),
        "- Labels: measured on the audio by MIR tools" + (", never taken from the truth." if is_rendered else "."),
        *(f"- Question family `{family}`: {question}" for family, question in questions.items()),
    ]


def _who(teacher: str) -> str:
    if teacher == "scripted":
        return "Rules of music theory wrote every question, caption and chain; no language model did."
    return "Its texts were checked by rules against the measured facts."
