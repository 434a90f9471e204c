"""A complete, tiny run for the report's tests: every port, written through `execute` by stand-in stages.

Twelve short recordings of six pieces, drawn as sine chords, with facts, texts, chains, models' logs and scores. With
`songs_only` it is a folder of songs: no truth, no scores, no chains.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.ports import Folder
from music_flamingo.core.record import Provenance
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import PortType, Stage, StageConfig, execute
from music_flamingo.evaluation.summary import Corpus, Difference, Evaluation, write_evaluation
from music_flamingo.evaluation.thinking import PAIRS, ThinkingDifference, ThinkingResults, ThinkingRow
from music_flamingo.records import (
    Audio,
    Beats,
    Caption,
    Category,
    Chain,
    Chords,
    Dynamics,
    Example,
    Facts,
    Key,
    Loudness,
    Lyrics,
    Prediction,
    Reference,
    Rollout,
    SampledAnswer,
    Score,
    Sections,
    Segment,
    Sound,
    Step,
    TeacherStamp,
    Tempo,
    Track,
    Truth,
)
from music_flamingo.records.prediction import Condition, Drawn
from music_flamingo.scoring.families import FAMILIES

RATE_HZ = 16000
DURATION_S = 6.0
HOSTILE_TITLE = "<script>document.title='owned'</script> & \"quotes\""
WORKS = (
    ("essen/han-0012", "Chinese folk song", "train", "Jasmine"),
    ("ryan/reel-7", "Irish and American dance", "train", HOSTILE_TITLE),
    ("joplin/maple-leaf", "Ragtime", "test", "Maple Leaf Rag"),
    ("bach/bwv66.6", "European art music", "test", "Christ ist erstanden"),
    ("haydn/op33-2", "European art music", "dev", None),
    ("essen/han-0101", "Chinese folk song", "train", "Crescent Moon"),
)
CHORDS = (("C:maj", (262, 330, 392)), ("F:maj", (262, 349, 440)), ("G:7", (247, 294, 349)), ("A:min", (262, 330, 440)))
TEACHER = TeacherStamp(kind="scripted", model="rules", revision="1", prompt_id="qa", prompt_sha256="0" * 64)
CHECKED = ("tempo_class", "drums", "mode", "meter")


class Nothing(StageConfig):
    seed: int


def make_run(data: Path, *, songs_only: bool = False) -> Path:
    """Write every input port of the report into `data`."""
    tracks = [_track(w, p) for w in range(len(WORKS)) for p in range(2)] + [_unreadable()]
    good = [t for t in tracks if t.is_ok]
    truths = [] if songs_only else [_truth(t) for t in good]
    facts = [_facts(t) for t in good]
    skills = [e for t in good for e in _examples(t)]
    rejects = [
        skills[0].model_copy(update={"id": f"{skills[0].track_id}/r0", "question": "Which?"}).quarantined("too_short")
    ]
    chains = [] if songs_only else [_chain(t) for t in good if t.split == "train"]
    dropped = [c.model_copy(update={"id": f"{c.id}/x"}).quarantined("too_many_wrong_steps") for c in chains[:1]]
    predictions = [] if songs_only else [p for t in good if t.split == "test" for p in _predictions(t)]
    scores = [] if songs_only else _scores()

    def stage(name: str, inputs: dict[str, PortType], outputs: dict[str, PortType], write: Callable[..., None]) -> None:
        made = Stage(name, Nothing, inputs, outputs, _runner(write, set(outputs)))
        execute(made, '{"seed": 1}', {n: data / n for n in inputs}, {n: data / n for n in outputs})

    shards = {t.id: k // 5 for k, t in enumerate(tracks)}

    def tables(**records: list[Any]) -> Callable[..., None]:
        """What is made from a track lies in the shard of the track's number."""

        def write(**ports: Any) -> None:
            for name, rows in records.items():
                for index in sorted(set(shards.values())):
                    ports[name].write(index, [r for r in rows if shards[getattr(r, "track_id", r.id)] == index])

        return write

    stage("ingest", {}, {"tracks": Track, "truth": Truth}, tables(tracks=tracks, truth=truths))
    stage("facts", {"tracks": Track}, {"facts": Facts}, tables(facts=facts))
    seen = {"tracks": Track, "facts": Facts}
    stage("captions", seen, {"captions": Caption}, tables(captions=[_caption(t) for t in good]))
    stage("synthesize", {**seen, "captions": Caption}, {"candidates": Example}, tables(candidates=[*skills, *rejects]))
    stage(
        "validate",
        {"candidates": Example, **seen},
        {"skills": Example, "rejects": Example, "data_docs": Folder},
        lambda skills_rows=skills, **ports: (
            tables(skills=skills_rows, rejects=rejects)(**ports),
            write_atomic(ports["data_docs"].root / "index.html", "<p>expectations</p>"),
        ),
    )
    stage(
        "backbone",
        {"skills": Example},
        {"backbone_model": Folder},
        lambda backbone_model: _log(backbone_model.root, "backbone"),
    )
    stage("sft", {"skills": Example}, {"sft_model": Folder}, lambda sft_model: _log(sft_model.root, "sft"))
    stage(
        "reason",
        {"skills": Example, "sft_model": Folder},
        {"think": Chain, "think_rejects": Chain},
        tables(think=chains, think_rejects=dropped),
    )
    stage("warmup", {"think": Chain}, {"warmup_model": Folder}, lambda warmup_model: _log(warmup_model.root, "warmup"))
    stage("grpo", {"think": Chain}, {"grpo_model": Folder}, lambda grpo_model: _log(grpo_model.root, "grpo"))

    def examine(predictions: Any, scores: Any, rows: tuple[list[Any], list[Any]] = (predictions, scores)) -> None:
        predictions.write_all(rows[0], 50)
        scores.write(0, rows[1])
        write_evaluation(scores.root, _evaluation(songs_only))

    stage("evaluate", {"truth": Truth}, {"predictions": Prediction, "scores": Score}, examine)
    stage("release", {"scores": Score}, {"release": Folder}, lambda release: _release(release.root))
    return data


def _runner(write: Callable[..., Any], outputs: set[str]) -> Callable[..., dict[str, Any]]:
    def run(config: Nothing, **ports: Any) -> dict[str, Any]:
        told = write(**{name: port for name, port in ports.items() if name in outputs})
        return told if isinstance(told, dict) else {"seed": config.seed, "seconds": {"longest": DURATION_S}}

    return run


def _rng(text: str) -> np.random.Generator:
    return np.random.default_rng(int(sha256_bytes(text.encode())[:8], 16))


def _sound(seed_text: str) -> np.ndarray:
    """Four chords of 1.5 s, dying away beat by beat."""
    time_s = np.arange(int(DURATION_S * RATE_HZ)) / RATE_HZ
    wave = np.zeros_like(time_s)
    for index, (_, pitches) in enumerate(CHORDS):
        inside = (time_s >= 1.5 * index) & (time_s < 1.5 * (index + 1))
        wave[inside] = sum(np.sin(2 * np.pi * f * time_s[inside]) for f in pitches) / 4
    wave *= np.exp(-3 * (time_s % 0.5)) * (0.55 + 0.4 * np.sin(time_s / DURATION_S * np.pi))
    return (wave + 0.004 * _rng(seed_text).standard_normal(len(wave))).astype(np.float32)


def _track(work: int, performance: int) -> Track:
    work_id, tradition, split, title = WORKS[work]
    identity = f"{work_id}#{performance}"
    return Track(
        id=identity,
        work_id=work_id,
        split=split,
        title=title,
        artist=None,
        tradition=tradition,
        language=None,
        lyrics="</p><img src=x onerror=alert(1)>" if work == 1 else None,
        uri=f"score:{work_id}?performance={performance}",
        original=f"{work}-{performance}.flac",
        source_sha256=sha256_bytes(identity.encode()),
        audio_sha256=sha256_bytes(identity.encode()),
        duration_s=DURATION_S,
        original_rate_hz=44100,
        num_channels=1,
        loudness=Loudness(
            integrated_lufs=-18.2, range_lu=3.0, peak_dbfs=-2.0, silence_fraction=0.0, clipped_fraction=0.0
        ),
        fingerprint=[1, 2],
        audio=Audio(bytes=encode_flac(_sound(identity)), path=f"{work}-{performance}.flac"),
        provenance=Provenance(made_by="ingest", tool="scores", tool_version="1", seed=1),
    )


def _unreadable() -> Track:
    good = _track(0, 0)
    empty = {"audio": None, "duration_s": None, "loudness": None, "audio_sha256": None, "fingerprint": []}
    return good.model_copy(update={"id": "broken.mp3", "work_id": "broken", "title": None, **empty}).quarantined(
        "undecodable"
    )


def _facts(track: Track) -> Facts:
    rng = _rng(track.id)
    tool = {"tool": "madmom", "tool_version": "0.17", "confidence": round(float(rng.uniform(0.4, 0.99)), 3)}
    chords = [Segment(start_s=1.5 * i, end_s=1.5 * (i + 1), label=label) for i, (label, _) in enumerate(CHORDS)]
    halves = [Segment(start_s=0, end_s=3, label="A"), Segment(start_s=3, end_s=6, label="B")]
    return Facts(
        id=track.id,
        work_id=track.work_id,
        duration_s=DURATION_S,
        tempo=Tempo(bpm=round(float(rng.uniform(70, 170)), 1), **tool),
        beats=Beats(
            beats_s=[0.5 * i for i in range(12)], positions=[1 + i % 3 for i in range(12)], beats_per_bar=3, **tool
        ),
        key=Key(
            tonic=("C", "F#", "Bb", "A")[int(rng.integers(4))], mode=("major", "minor")[int(rng.integers(2))], **tool
        ),
        chords=Chords(segments=chords, **tool),
        sections=Sections(segments=halves, **tool),
        dynamics=Dynamics(range_db=7.4, trend="steady", **tool),
        sound=Sound(has_drums=bool(rng.integers(2)), texture="chords", lead_envelope="decaying", **tool),
        lyrics=Lyrics(available=False, lines=[], language=None, **tool),
        problems=[] if track.id != WORKS[4][0] + "#0" else ["sections: too short"],
    )


def _truth(track: Track) -> Truth:
    facts = _facts(track)
    assert facts.tempo and facts.beats and facts.chords and facts.sections
    return Truth(
        id=track.id,
        work_id=track.work_id,
        tempo_bpm=facts.tempo.bpm * (2 if track.id.endswith("#1") else 1.01),
        beats_s=facts.beats.beats_s,
        downbeats_s=facts.beats.downbeats_s,
        meter="3/4",
        beats_per_bar=3,
        key="Gb minor",
        chords=facts.chords.segments,
        sections=facts.sections.segments,
        instruments=["Acoustic Grand Piano", "Violin"],
        lead_family="piano",
        lead_envelope="decaying",
        has_drums=True,
        texture="chords",
    )


def _caption(track: Track) -> Caption:
    text = "A steady piece in three, its chords struck and left to die away; the second half returns to the first."
    return Caption(id=f"{track.id}/0", track_id=track.id, start_s=0, end_s=DURATION_S, text=text, teacher=TEACHER)


def _examples(track: Track) -> list[Example]:
    shared = {"track_id": track.id, "work_id": track.work_id, "split": track.split, "teacher": TEACHER}
    questions = [
        Example(
            id=f"{track.id}/{family.name}",
            skill=family.skill,
            type=family.type,
            family=family.name,
            question=family.question,
            options=list(family.options),
            answer=family.options[0],
            rationale="The beats come evenly, three to the bar, and each chord is struck on the first.",
            references=[Reference(kind="bars", start_s=1.5, end_s=3.0, label="bar 2")],
            structured=[],
            **shared,
        )
        for family in FAMILIES.values()
    ]
    structured = [Category(name="bpm", values=["120"]), Category(name="key", values=["C major", "C"])]
    rich = _caption(track).text + " The harmony moves from tonic to subdominant and back by way of the dominant."
    blank = {"question": "Describe this music.", "options": [], "rationale": "", "references": []}
    caption = Example(
        id=f"{track.id}/rich",
        skill="caption",
        type="caption",
        family="rich_caption",
        answer=rich,
        structured=structured,
        **blank,
        **shared,
    )
    return [*questions, caption]


def _chain(track: Track) -> Chain:
    family = FAMILIES["meter"]
    steps = [
        Step(
            text="The accents fall on every third beat.",
            family="meter",
            claim="triple",
            verdict="right",
            confidence=0.91,
            rewritten_from=None,
        ),
        Step(
            text="Drums are heard.",
            family="drums",
            claim="yes",
            verdict="wrong",
            confidence=0.22,
            rewritten_from="No drums are heard.",
        ),
        Step(
            text="So the bar holds three beats.",
            family="",
            claim="",
            verdict="unchecked",
            confidence=0.0,
            rewritten_from=None,
        ),
    ]
    if track.id.endswith("#1"):
        steps = [s.model_copy(update={"rewritten_from": None}) for s in steps[::2]]
    return Chain(
        id=f"{track.id}/meter/chain",
        example_id=f"{track.id}/meter",
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        family="meter",
        question=family.question,
        options=list(family.options),
        answer="triple",
        steps=steps,
        thinking=" ".join(s.text for s in steps),
        difficulty="model_missed" if track.id.endswith("#0") else "teacher_choice",
        teacher=TEACHER,
    )


def _predictions(track: Track) -> list[Prediction]:
    made = []
    for name in CHECKED:
        family = FAMILIES[name]
        for model in ("sft", "warmup", "grpo"):
            for condition in ("audio", "shuffled", "none"):
                answer = family.options[int(_rng(f"{track.id}{name}{model}{condition}").integers(len(family.options)))]
                made.append(
                    Prediction(
                        id=f"{model}/{condition}/{name}/{track.id}",
                        model=model,
                        condition=condition,
                        track_id=track.id,
                        work_id=track.work_id,
                        family=name,
                        question=family.question,
                        options=list(family.options),
                        reference=family.options[0],
                        output=answer if model == "sft" else f"<think>It is {answer}.</think><answer>{answer}</answer>",
                        answer=answer,
                        correct=answer == family.options[0],
                    )
                )
    return made


def _scores() -> list[Score]:
    levels = {
        "tempo_class": (0.72, 0.33),
        "drums": (0.96, 0.5),
        "mode": (0.55, 0.5),
        "meter": (0.81, 0.52),
        "all": (0.76, 0.46),
    }
    made = []
    for step, model in enumerate(("sft", "warmup", "grpo")):
        for family, (hears, control) in levels.items():
            for condition in ("audio", "shuffled", "none"):
                value = (
                    hears - 0.05 + 0.03 * step if condition == "audio" else control - 0.04 * (condition == "shuffled")
                )
                made.append(
                    Score(
                        id=f"{model}/{condition}/{family}",
                        model=model,
                        condition=condition,
                        family=family,
                        num_items=60,
                        num_works=24,
                        accuracy=value,
                        low=value - 0.09,
                        high=min(1.0, value + 0.08),
                        unparsed=0.01,
                    )
                )
    return made


def _evaluation(songs_only: bool) -> Evaluation:
    corpus = Corpus(train_tracks=6, train_works=3, test_tracks=4, test_works=2, works_by_tradition={"Ragtime": 1})
    if songs_only:
        return Evaluation(note="no truth: evaluation skipped", chance={}, differences=[], corpus=corpus)
    chance = {"tempo_class": 1 / 3, "drums": 0.5, "mode": 0.5, "meter": 0.5, "all": 0.46}
    pairs = [("grpo", "grpo", "shuffled", 0.38), ("grpo", "grpo", "none", 0.33), ("grpo", "warmup", "audio", 0.03)]
    differences = [
        Difference(model=m, minus_model=o, minus_condition=c, family="all", difference=d, low=d - 0.06, high=d + 0.06)
        for m, o, c, d in pairs
    ]
    return Evaluation(note="", chance=chance, differences=differences, corpus=corpus, thinking=thinking())


def thinking() -> ThinkingResults:
    """An exam of composite questions: thinking gains clearly, GRPO does greedy and not sampled."""
    levels = {"direct": 0.50, "warmup": 0.66, "longer": 0.69, "grpo": 0.72, "joined": 0.76}
    chains = {"warmup": (0.7, 0.6), "longer": (0.8, 0.7), "grpo": (0.9, 0.85)}

    def row(model: str, condition: Condition, drawn: Drawn, value: float) -> ThinkingRow:
        whole, faithful = chains.get(model, (None, None))
        span = {"accuracy": value, "low": value - 0.04, "high": value + 0.04, "whole": whole, "faithful": faithful}
        counts = {"num_items": 720, "num_works": 123}
        return ThinkingRow(model=model, condition=condition, drawn=drawn, family="all", **span, **counts)

    rows = [row(model, "audio", "greedy", value) for model, value in levels.items()]
    rows += [row(model, "audio", "sampled", value - 0.06) for model, value in levels.items() if model != "joined"]
    rows += [row("grpo", "shuffled", "greedy", 0.45)]
    gained = [
        ThinkingDifference(model=model, minus_model=minus, drawn=drawn, difference=d, low=d - 0.03, high=d + 0.03)
        for drawn in ("greedy", "sampled")
        for model, minus in PAIRS
        for d in [(levels[model] - levels[minus]) * (1.0 if drawn == "greedy" else 0.4)]
    ]
    return ThinkingResults(rows=rows, differences=gained)


def _log(root: Path, model: str) -> dict[str, Any]:
    rng = _rng(model)
    rows: list[Mapping[str, float | int]] = []
    for step in range(1, 81):
        loss = 2.2 * np.exp(-step / 25) + 0.3 + 0.08 * rng.standard_normal()
        row = {"step": step, "loss": loss, "learning_rate": 1e-3}
        if model == "backbone" and step % 20 == 0:
            row |= {"wer_asr": 1.0 - step / 100, "wer_asr_other_audio": 1.0}
        if model == "grpo":
            row |= {
                "reward": 1.1 + 0.006 * step + 0.1 * rng.standard_normal(),
                "reward_format": 0.98,
                "reward_accuracy": 0.5 + 0.004 * step + 0.08 * rng.standard_normal(),
                "kl": 0.0004 * step,
                "entropy": 0.4 - 0.002 * step,
            }
        rows.append({k: round(float(v), 6) if k != "step" else v for k, v in row.items()})
    write_atomic(root / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    if model == "grpo":
        write_atomic(root / "rollouts.jsonl", "".join(_rollout(step).model_dump_json() + "\n" for step in (1, 40, 80)))
    write_atomic(root / "model/processor_config.json", '{"max_audio_len": 4}')
    return {"steps": 80, "families": {"meter": {"triple": 6}}, "left_out": {"mode": "one answer only"}}


def _rollout(step: int) -> Rollout:
    """One answer is right, one wrong, one as long as answers get, with markup in it."""
    texts = {"<think>It sways.</think><answer>triple</answer>": 2.0, "duple": 0.0, "<b>" * 2000: 1.0}
    answers = [
        SampledAnswer(text=t, num_tokens=9, format=r / 2, accuracy=r / 2, structured=None, reward=r, advantage=r - 1)
        for t, r in texts.items()
    ]
    about = {"example_id": "a/meter", "track_id": "a", "family": "meter", "question": "Duple or triple?"}
    return Rollout(id=f"{step}/a/meter", step=step, reference="triple", answers=answers, **about)


def _release(root: Path) -> dict[str, Any]:
    write_atomic(root / "README.md", "Released: tiny.\n\n# tiny\n\nA card with <b>markup</b>.\n")
    write_atomic(root / "SHA256SUMS", "0" * 64 + "  README.md\n")
    return {"status": "released", "reasons": [], "margins": {"drums": 0.47}}
