"""`mf explain`: print a record's lineage, back to its source file.

What can be checked is checked as it is printed: whether a prompt's file still has the hash that the record carries,
whether the source file still has the hash that was taken in, whether each port was made from the ports that lie
next to it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from music_flamingo.audio.originals import open_original, original_path
from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.manifest import Manifest
from music_flamingo.core.record import QUARANTINED
from music_flamingo.products.lineage import Lineage, LineageRecord, trace
from music_flamingo.prompts import load as load_prompt
from music_flamingo.quality.agreement import rests_on
from music_flamingo.records import Caption, Chain, Example, Facts, Measured, Prediction, TeacherStamp, Track

HASH_LETTERS = 12
LABEL_WIDTH = 12
MAX_QUOTED = 600
"""Characters of a quoted text; what is longer is cut and says so."""
MAX_LISTED = 4
"""Entries of a list that a fact shows."""


def explain(data: Path, wanted: str, with_configs: bool = False) -> str:
    """How the record `wanted` came to be. Raises UnknownIdError with the nearest ids."""
    lineage = trace(data, wanted)
    blocks = [_asked(lineage)]
    if lineage.chain and lineage.example:
        blocks.append(_block(f"question {lineage.example.record.id}", _where(lineage.example), _example(lineage)))
    blocks += _from_the_track(lineage, data)
    blocks.append(_block("stages on the way", "", _stages(lineage, with_configs)))
    return "\n\n".join("\n".join(block) for block in blocks)


def _block(title: str, where: str, lines: Iterator[tuple[str, str]]) -> list[str]:
    """A heading and its lines, `name  value`; a value of several lines is indented under its name."""
    indent = "\n" + " " * (LABEL_WIDTH + 3)
    return [f"{title}{where}", *(f"  {name:{LABEL_WIDTH}} {value.replace(chr(10), indent)}" for name, value in lines)]


def _where(found: LineageRecord) -> str:
    shard = "" if found.shard is None else f" part-{found.shard:05d}"
    return f"  [{found.port}{shard}]"


def _asked(lineage: Lineage) -> list[str]:
    record = lineage.asked.record
    kinds = {Track: "track", Caption: "caption", Example: "question", Chain: "chain", Prediction: "prediction"}
    tell: Mapping[type, Any] = {Caption: _caption, Example: _example, Chain: _chain, Prediction: _prediction}
    lines = [("status", _status(record.status))]
    if type(record) in tell:
        lines += tell[type(record)](lineage)
    else:
        lines += [("made of it", ", ".join(f"{n} {port}" for port, n in lineage.made.items()) or "nothing")]
    return _block(f"{kinds[type(record)]} {record.id}", _where(lineage.asked), iter(lines))


def _status(status: str) -> str:
    return status if status == "ok" else f"rejected: {status.removeprefix(QUARANTINED)}"


def _caption(lineage: Lineage) -> Iterator[tuple[str, str]]:
    caption = lineage.asked.record
    assert isinstance(caption, Caption)
    yield "window", f"{caption.start_s:g} to {caption.end_s:g} s"
    yield "text", _quoted(caption.text)
    yield from _teacher(caption.teacher)


def _example(lineage: Lineage) -> Iterator[tuple[str, str]]:
    assert lineage.example is not None
    example = lineage.example.record
    assert isinstance(example, Example)
    if lineage.chain:
        yield "status", _status(example.status)
    yield "kind", f"{example.skill} / {example.type} / {example.family}, split {example.split}"
    yield "question", _quoted(example.question)
    if example.options:
        yield "options", _quoted(" | ".join(example.options))
    yield "answer", _quoted(example.answer)
    if example.rationale:
        yield "rationale", _quoted(example.rationale)
    for reference in example.references:
        named = f" {_quoted(reference.label)}" if reference.label else ""
        yield "refers to", f"{reference.start_s:g} to {reference.end_s:g} s ({reference.kind}{named})"
    yield from _teacher(example.teacher)
    yield "rests on", ", ".join(rests_on(example.family)) or "no fact that validation checks"


def _chain(lineage: Lineage) -> Iterator[tuple[str, str]]:
    chain = lineage.asked.record
    assert isinstance(chain, Chain)
    yield "chosen for", chain.difficulty.replace("_", " ")
    for step in chain.steps:
        claim = f" ({step.family} = {step.claim}, model's probability {step.confidence:.2f})" if step.family else ""
        before = f"\nrewritten from: {_quoted(step.rewritten_from)}" if step.rewritten_from else ""
        yield f"step {step.verdict}", f"{_quoted(step.text)}{claim}{before}"
    yield from _teacher(chain.teacher)
    judge = lineage.manifests.get(lineage.asked.port)
    if judge and "sft_model" in judge.inputs:
        yield "checked by", f"sft_model {judge.inputs['sft_model'][:HASH_LETTERS]}"


def _prediction(lineage: Lineage) -> Iterator[tuple[str, str]]:
    prediction = lineage.prediction
    assert prediction is not None
    yield "question", _quoted(prediction.question)
    yield "heard", prediction.heard_track_id or "silence"
    yield "said", _quoted(prediction.output)
    yield (
        "answer",
        f"{_quoted(prediction.answer or 'none could be read')} ({'right' if prediction.correct else 'wrong'})",
    )
    yield "reference", _quoted(prediction.reference)
    manifest = lineage.manifests["predictions"]
    port = f"{prediction.model}_model"
    if port in manifest.inputs:
        yield "model", f"{port} {manifest.inputs[port][:HASH_LETTERS]}"


def _teacher(stamp: TeacherStamp) -> Iterator[tuple[str, str]]:
    yield "written by", f"teacher: {stamp.kind}, model {stamp.model}, revision {stamp.revision}"
    yield "prompt", f"{stamp.prompt_id} sha256 {stamp.prompt_sha256[:HASH_LETTERS]} ({_prompt_now(stamp)})"


def _prompt_now(stamp: TeacherStamp) -> str:
    try:
        now = load_prompt(stamp.prompt_id).sha256
    except FileNotFoundError:
        return "the prompt's file is gone"
    if now == stamp.prompt_sha256:
        return "the prompt's file still has this hash"
    return f"CHANGED since: the prompt's file now has {now[:HASH_LETTERS]}"


def _from_the_track(lineage: Lineage, data: Path) -> list[list[str]]:
    track, shard = lineage.track, f" part-{lineage.shard:05d}]"
    blocks = []
    if lineage.captions and not isinstance(lineage.asked.record, Caption | Prediction):
        texts = ((f"{c.start_s:g}-{c.end_s:g} s", _quoted(c.text)) for c in lineage.captions)
        blocks.append(_block(f"captions of {track.id}", f"  [captions{shard}", texts))
    if lineage.facts and not isinstance(lineage.asked.record, Prediction):
        blocks.append(_block(f"facts of {track.id}", f"  [facts{shard}", _facts(lineage.facts)))
    blocks.append(_block(f"track {track.id}", f"  [tracks{shard}", _track(track, data)))
    return blocks


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, fact in facts:
        if isinstance(fact, Measured):
            tool = f"{fact.tool} {fact.tool_version}, confidence {fact.confidence:.2f}"
            others = (f"{o.tool} {o.tool_version} says {o.value}" for o in fact.opinions)
            kept_back = (f"WITHHELD: {e.reason} ({e.fact})" for e in facts.withheld if e.fact.partition(".")[0] == name)
            tool = "; ".join([tool, *map(_quoted, others), *kept_back])
            yield name, f"{_quoted(_value(fact))}   {tool}"
    for problem in facts.problems:
        yield "problem", _quoted(problem)


def _value(fact: Measured) -> str:
    """A fact's own fields in short: `bpm 103.9`; of a list its length and its first entries."""
    parts = []
    for name, value in fact:
        if name in Measured.model_fields or value is None:
            continue
        if isinstance(value, list):
            first = [getattr(v, "label", None) or (f"{v:g}" if isinstance(v, float) else str(v)) for v in value]
            more = " ..." if len(value) > MAX_LISTED else ""
            value = f"{len(value)} [{' '.join(first[:MAX_LISTED])}{more}]"
        parts.append(f"{name} {value}")
    return ", ".join(parts)


def _track(track: Track, data: Path) -> Iterator[tuple[str, str]]:
    if track.status != "ok":
        yield "status", _status(track.status)
    named = [v for v in (track.title, track.artist, track.tradition, track.language) if v]
    yield "named", _quoted(" / ".join(named)) or "nothing"
    yield "work", f"{track.work_id}, split {track.split}"
    made = track.provenance
    seed = "" if made.seed is None else f", seed {made.seed}"
    yield "made by", f"{made.made_by}, {made.tool} {made.tool_version}{seed}"
    if made.parents:
        yield "parents", ", ".join(made.parents)
    yield "source", _quoted(track.uri)
    yield "original", _quoted(track.original or "none")
    yield "sha256", f"{track.source_sha256 or 'none'} ({_original_now(track, data)})"
    if track.audio_sha256:
        yield "decoded", f"16 kHz samples sha256 {track.audio_sha256[:HASH_LETTERS]}, {track.duration_s:g} s"


def _original_now(track: Track, data: Path) -> str:
    try:
        open_original(track, data / "originals")
    except MissingInputError:
        return "the file is not here: not verified"
    except CorruptDataError:
        return f"DIFFERS: {original_path(track, data / 'originals')} holds other bytes now"
    return "verified: the file still has these bytes"


def _stages(lineage: Lineage, with_configs: bool) -> Iterator[tuple[str, str]]:
    for port in _way(lineage.asked.port, lineage.manifests):
        manifest = lineage.manifests[port]
        config = f", config {sha256_json(manifest.config)[:HASH_LETTERS]}"
        told = f"{port} {manifest.digest[:HASH_LETTERS]}, key {manifest.key[:HASH_LETTERS]}{config}"
        others = [p for p, d in manifest.inputs.items() if p in lineage.manifests and lineage.manifests[p].digest != d]
        if others:
            told += f"\nmade from ANOTHER version of {', '.join(others)} than lies here"
        if with_configs:
            told += "\n" + yaml.safe_dump(manifest.config, sort_keys=False, allow_unicode=True).rstrip()
        yield manifest.stage, told


def _way(port: str, manifests: Mapping[str, Manifest]) -> list[str]:
    """The port and all it was made from, sources first."""
    way: list[str] = []

    def visit(name: str) -> None:
        if name in manifests and name not in way:
            for parent in manifests[name].inputs:
                visit(parent)
            way.append(name)

    visit(port)
    return way


def _quoted(text: str) -> str:
    """Untrusted text on one line, without control characters that a terminal would obey."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= MAX_QUOTED else f"{shown[:MAX_QUOTED]} ... ({len(shown)} characters)"
