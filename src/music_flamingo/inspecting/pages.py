"""Render a batch as text for a terminal or as one self-contained HTML page."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from music_flamingo.core.shards import write_atomic
from music_flamingo.inspecting.batch import Batch, InspectedSample, TokenRun
from music_flamingo.inspecting.look import InspectedBatch

WIDTH = 110
LINE_BREAK = "⏎"


def as_text(seen: InspectedBatch, limit: int) -> str:
    """The counts, what is wrong, and the first `limit` samples."""
    batch = seen.batch
    lines = [*summary(batch), *batch.notes, ""]
    lines += [f"WRONG: {wrong}" for wrong in seen.mistakes] or ["Nothing wrong was found."]
    lines += ["", "⟦words·weight⟧ are trained on, all others only read; ♪ stands for the sound's tokens."]
    for number, sample in enumerate(batch.samples[:limit], start=1):
        lines += ["", *_sample_lines(number, sample, batch)]
    if limit < len(batch.samples):
        lines += ["", f"... and {len(batch.samples) - limit} samples more: --limit {len(batch.samples)}"]
    return "\n".join(lines)


def write_page(path: Path, seen: InspectedBatch, limit: int) -> None:
    """Write the page of a batch with at most `limit` samples."""
    environment = Environment(
        loader=PackageLoader("music_flamingo.inspecting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    page = environment.get_template("batch.html.j2")
    shown = seen.batch.samples[:limit]
    write_atomic(path, page.render(seen=seen, batch=seen.batch, shown=shown, summary=summary, sound=sound_text))


def summary(batch: Batch) -> list[str]:
    """What the batch is, in two or three sentences."""
    count, total = len(batch.samples), batch.num_tokens
    form = "in one row, none seeing another" if batch.is_packed else f"in rows of {total // count} tokens"
    audio, taught, padding = batch.count("audio"), batch.count("taught"), batch.num_padding
    return [
        f"{batch.stage}, step {batch.step} of {batch.num_steps}: {count} samples {form}",
        f"{total:,} tokens: {audio:,} of sound ({batch.num_windows} windows of the encoder), {taught:,} trained on, "
        f"{total - audio - taught - padding:,} only read, {padding:,} padding ({padding / total:.1%})",
    ]


def sound_text(sample: InspectedSample, piece: TokenRun, token_s: float) -> str:
    """How many tokens stand for which seconds of the track."""
    start_s, end_s = sample.window_s
    heard_s = min(len(piece.tokens) * token_s, end_s - start_s)
    return f"♪ {len(piece.tokens)} tokens, {start_s:.2f} to {start_s + heard_s:.2f} s"


def _sample_lines(number: int, sample: InspectedSample, batch: Batch) -> Iterator[str]:
    yield f"{number}. {sample.name} of {sample.track_s:.2f} s; {len(sample.tokens)} tokens"
    yield textwrap.fill("   " + ", ".join(item.id for item in sample.subject.items), WIDTH, subsequent_indent="   ")
    for question in sorted({piece.question for piece in sample.pieces}):
        pieces = [piece for piece in sample.pieces if piece.question == question]
        if question:
            first, last = pieces[0].tokens[0].position, pieces[-1].tokens[-1].position
            yield f"   question {question} sees the sound and no other question (positions {first} to {last})"
        text = "".join(_piece_text(sample, piece, batch.token_s) for piece in pieces)
        for line in text.split("\n"):
            yield textwrap.fill(line, WIDTH, initial_indent="   | ", subsequent_indent="   | ")


def _piece_text(sample: InspectedSample, piece: TokenRun, token_s: float) -> str:
    if piece.kind == "audio":
        return f"\n{sound_text(sample, piece, token_s)}\n"
    text = piece.text.replace("\n", LINE_BREAK)
    if piece.kind == "taught":
        return f"⟦{text}·{piece.weight:.3g}⟧"
    return text.replace(LINE_BREAK, f"{LINE_BREAK}\n").removesuffix("\n") if text.count(LINE_BREAK) else text
