"""Statements as language models write them, by hand: how many wrong ones are rejected, how many right ones kept?

    python benchmarks/statements.py [first second ...] [--slips]

Each file of `statements/` was measured before a reader was changed on its account (held out), and belongs to the
developed ones since. A line is `W` or `R`, a track of `facts.yaml`, a form, and what is said: a question with its
answer (and options, or a rationale), a caption, a step of a chain, or a value of a structured category. All checks of
`validate` are asked.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.claims import reason_against_steps
from music_flamingo.quality.trial import BLANK, STAMP
from music_flamingo.records import Example, Facts, Step
from music_flamingo.stages.validate import ValidateConfig

FOLDER = Path(__file__).parent / "statements"
BY = {"tool": "by hand", "tool_version": "1", "confidence": 0.9}
APART = ("seventeenth", "nineteenth")
"""Sets on whose account no reader was changed: what they show is what to expect of statements nobody has read."""
FORMS = ("open", "count", "time", "choice", "why")


@dataclass(frozen=True)
class Statement:
    """One line of a file."""

    is_right: bool
    track: str
    form: str
    parts: tuple[str, ...]
    """Question, answer, and options or rationale; or one text."""

    @property
    def line(self) -> str:
        """Give the line as it stands in its file."""
        return " | ".join(("R" if self.is_right else "W", self.track, self.form, *self.parts))


def read_statements(name: str) -> Iterator[Statement]:
    """Read the statements of one file."""
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            mark, track, form, *parts = (part.strip() for part in line.split(" | "))
            yield Statement(mark == "R", track, form, tuple(parts))


def read_tracks() -> dict[str, Facts]:
    """Build the facts of every track of `facts.yaml`."""
    listed = yaml.safe_load((FOLDER / "facts.yaml").read_text(encoding="utf-8"))
    return {name: facts_of(name, said) for name, said in listed.items()}


def facts_of(name: str, said: dict[str, Any]) -> Facts:
    """Build facts from their short form; what it does not say nobody measured."""
    sound = {"has_drums": said.get("drums"), "texture": said.get("texture"), "lead_envelope": said.get("lead")}
    lines, voice = said.get("lines"), said.get("voice")
    why_not = "no_voice" if voice == "none" else "unsure"
    facts: dict[str, Any] = {
        "id": name, "work_id": name, "duration_s": said["duration_s"], "problems": [],
        "tempo": {"bpm": said["bpm"], **BY} if "bpm" in said else None,
        "beats": {**_beats(said), **BY} if "bpm" in said else None,
        "key": {**dict(zip(("tonic", "mode"), said["key"].split(), strict=True)), **BY},
        "chords": {"segments": _segments(said["chords"]), **BY} if "chords" in said else None,
        "sections": {"segments": _segments(said["sections"]), **BY} if "sections" in said else None,
        "dynamics": _dynamics(said), "sound": {**sound, **BY} if "drums" in said else None,
        "lyrics": {"available": True, "lines": _segments(lines), "language": "en", **BY} if lines
        else {"available": False, "lines": [], "language": None, "why_not": why_not, **BY},
        "voice": {**_voice(voice, said["duration_s"]), **BY} if voice else None,
        "instruments": {"labels": _tags(said["instruments"]), **BY} if "instruments" in said else None,
        "genre": {"labels": _tags(said["genres"]), **BY} if "genres" in said else None,
    }  # fmt: skip
    return Facts.model_validate(facts)


def _voice(voice: str, duration_s: float) -> dict[str, Any]:
    if voice == "none":
        return {"present": False, "register_heard": None, "heard": []}
    sings = {"start_s": 0.0, "end_s": duration_s, "label": "singing"}
    return {"present": True, "register_heard": voice, "heard": [sings]}


def _beats(said: dict[str, Any]) -> dict[str, Any]:
    step_s = 60 / said["bpm"]
    count = int(said["duration_s"] / step_s)
    bar = said["beats_per_bar"]
    return {"beats_s": [k * step_s for k in range(count)], "positions": [k % bar + 1 for k in range(count)],
            "beats_per_bar": bar}  # fmt: skip


def _dynamics(said: dict[str, Any]) -> dict[str, Any] | None:
    if "dynamics" not in said:
        return None
    trend, range_db = said["dynamics"].split()
    return {"trend": trend, "range_db": float(range_db), **BY}


def _segments(said: list[str]) -> list[dict[str, Any]]:
    found, start_s = [], 0.0
    for entry in said:
        label, _, length_s = entry.rpartition(" ")
        found.append({"start_s": start_s, "end_s": start_s + float(length_s), "label": label})
        start_s += float(length_s)
    return found


def _tags(names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, "probability": 0.9} for name in names]


def limits_of_validate() -> Limits:
    """Give the limits of the project's parameters."""
    params = load_params(Path(__file__).parent.parent / "params.yaml")
    return ValidateConfig.model_validate_json(stage_json(params, "validate")).limits


def reason_of(statement: Statement, facts: Facts, limits: Limits) -> str | None:
    """Give the reason against a statement; None where it is kept."""
    if statement.form == "step":
        step = {"family": "", "claim": "", "verdict": "unchecked", "confidence": 0.0, "rewritten_from": None}
        return reason_against_steps([Step.model_validate({**step, "text": statement.parts[0]})], facts)
    return reason_against(_example(statement, facts), Song(facts, facts.duration_s or 0.0, limits))


def _example(statement: Statement, facts: Facts) -> Example:
    values: dict[str, Any] = {**BLANK, "id": "x", "track_id": facts.id, "status": "ok", "teacher": STAMP}
    if statement.form == "caption":
        values |= {
            "type": "caption",
            "skill": "caption",
            "question": "Describe this music.",
            "answer": statement.parts[0],
        }
    elif statement.form in FORMS:
        question, answer, *rest = statement.parts
        kind = {"choice": "multiple_choice", "why": "open"}.get(statement.form, statement.form)
        values |= {"type": kind, "question": question, "answer": answer}
        if statement.form == "why":
            values["rationale"] = rest[0]
        elif rest:
            values["options"] = [option.strip() for option in rest[0].split(" / ")]
    else:
        text = f"A piece in {facts.key.label if facts.key else 'C'}."
        values |= {"type": "caption", "skill": "caption", "question": "Describe this music.", "answer": text}
        values["structured"] = [{"name": statement.form, "values": [statement.parts[0]]}]
    return Example.model_validate(values)


def measure(names: list[str]) -> dict[str, Any]:
    """Count wrong statements rejected and right ones kept, and list those that were judged wrongly."""
    tracks, limits = read_tracks(), limits_of_validate()
    counts: Counter[tuple[bool, bool]] = Counter()
    slips = []
    for statement in (s for name in names for s in read_statements(name)):
        reason = reason_of(statement, tracks[statement.track], limits)
        is_well = (reason is None) == statement.is_right
        counts[statement.is_right, is_well] += 1
        if not is_well:
            slips.append(statement.line + (f"  <- {reason}" if reason else ""))
    wrong, right = counts[False, True] + counts[False, False], counts[True, True] + counts[True, False]
    return {
        "wrong": wrong, "rejected": round(counts[False, True] / max(wrong, 1), 3),
        "right": right, "kept": round(counts[True, True] / max(right, 1), 3), "slips": slips,
    }  # fmt: skip


def main() -> None:
    """Print the shares of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.txt")))
    parser.add_argument("--slips", action="store_true", help="print what was judged wrongly")
    options = parser.parse_args()
    for name in options.sets:
        found = measure([name])
        slips = found.pop("slips")
        print(json.dumps({"set": name, **found}))
        print(*(slips if options.slips else ()), sep="\n")


if __name__ == "__main__":
    main()
