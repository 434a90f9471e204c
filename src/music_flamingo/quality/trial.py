"""`mf check`: verdict and reason for given records, claim by claim, to try a teacher or a prompt without a run.

A line of RECORDS is an example, a question as a teacher writes it, a whole reply (`{"questions": [...]}`), a caption
(`{"text": ...}`, `{"caption": ...}`), or a chain (`{"steps": [...]}` or `{"thinking": ...}`). What a run would add
(ids, the teacher's stamp) may be missing. A line that is none of these is rejected by itself; a file that is one
reply as it came, in a fence or behind prose, is read as one. FACTS is the port of the stage `facts`, one of its
Parquet files, or JSON lines of facts; a record that names no track is held against the only one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from music_flamingo.core.errors import UserError
from music_flamingo.core.record import read_parquet
from music_flamingo.core.shards import shard_paths
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.claims import claims_of, reason_against_steps, reason_against_words
from music_flamingo.quality.metadata import speaks_of_sources
from music_flamingo.records import Example, Facts, Step, trusted
from music_flamingo.records.caption import TeacherStamp
from music_flamingo.scoring.claims import ClaimJudgement, judge, read_claims
from music_flamingo.scoring.families import without_verdict

STAMP = TeacherStamp(kind="by hand", model="by hand", revision="0", prompt_id="by hand", prompt_sha256="0" * 64)
BLANK = {
    **{"work_id": "", "split": "train", "skill": "attribute", "type": "open", "family": "other", "question": ""},
    **{"options": [], "rationale": "", "references": [], "structured": []},
}


@dataclass(frozen=True)
class TrialVerdict:
    """What would become of one record."""

    id: str
    reason: str | None
    """Why it would be rejected; None: it would be kept, as far as rules decide."""
    claims: list[tuple[str, ClaimJudgement]]
    """(where it stands: question, answer, rationale, structured, step; claim with its verdict and the fact)."""

    def lines(self) -> list[str]:
        """Format the verdict for a terminal: the outcome, then a line a claim."""
        head = f"{self.id}: {'kept' if self.reason is None else f'rejected, {self.reason}'}"
        return [head, *(_line(place, judged) for place, judged in self.claims)] if self.claims else [head, "  no claim"]

    def as_json(self) -> dict[str, Any]:
        """Give the verdict as plain values."""
        claims = [{"in": place, **_values(judged)} for place, judged in self.claims]
        return {"id": self.id, "kept": self.reason is None, "reason": self.reason, "claims": claims}


def _values(judged: ClaimJudgement) -> dict[str, Any]:
    claim = judged.claim
    values = {"kind": claim.kind, "said": claim.said.strip(), "denied": claim.denied}
    return {**values, "verdict": judged.verdict, "fact": judged.fact}


def _line(place: str, judged: ClaimJudgement) -> str:
    denied = "not " if judged.claim.denied else ""
    return f"  {judged.verdict:12s} {place}, {judged.claim.kind}: {denied}{judged.claim.said.strip()!r}; {judged.fact}"


def try_records(
    facts_path: Path, records_path: Path, limits: Limits, find: Callable[[str], str] = str.strip
) -> Iterator[TrialVerdict]:
    """Give the verdict on every record, in order. Raises UserError for a file that cannot be read.

    `find` gives the JSON in a line, or in a file, that is a model's reply as it came: in a fence, behind prose.
    """
    songs = {f.id: Song(trusted(f), f.duration_s or 0.0, limits) for f in read_facts(facts_path)}
    for number, line in _lines_or_reply(records_path, find):
        try:
            record = json.loads(find(line))
        except (json.JSONDecodeError, RecursionError) as error:
            yield TrialVerdict(f"line {number}", f"malformed: not JSON: {error}", [])
            continue
        if isinstance(record, dict):
            yield from _each(number, record, songs)
        else:
            yield TrialVerdict(f"line {number}", f"malformed: a record is an object, not {type(record).__name__}", [])


def _lines_or_reply(path: Path, find: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    """Give (number, line) of a file; all of it at once where it is one reply over several lines."""
    text = _text_of(path)
    lines = [
        (number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip(" `") not in ("", "json")
    ]
    if len(lines) > 1 and not any(_is_object(line) for _, line in lines) and _is_object(find(text)):
        yield 1, text
        return
    yield from lines


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def read_facts(path: Path) -> Iterator[Facts]:
    """Read facts from a port's folder, a Parquet file, or a file of JSON lines."""
    if path.is_dir():
        for shard in shard_paths(path):
            yield from read_parquet(shard, Facts)
    elif path.suffix == ".parquet":
        yield from read_parquet(path, Facts)
    else:
        for number, record in read_lines(path):
            try:
                yield Facts.model_validate_json(json.dumps(record))
            except ValidationError as error:
                raise UserError(f"{path}, line {number}: no facts of a track: {error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give (number of the line, record) of a file of JSON lines."""
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}. A record stands on one line.") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number}: a record is an object, not {type(record).__name__}.")
        yield number, record


def _each(number: int, record: dict[str, Any], songs: dict[str, Song]) -> Iterator[TrialVerdict]:
    if isinstance(record.get("questions"), list):
        shared = {name: record[name] for name in ("track_id",) if name in record}
        for place, question in enumerate(record["questions"], start=1):
            name = f"line {number}, question {place}"
            if isinstance(question, dict):
                yield from _each(number, {"id": name, **shared, **question}, songs)
            else:
                yield TrialVerdict(name, f"malformed: a question is an object, not {type(question).__name__}", [])
        return
    name = str(record.get("id", f"line {number}"))
    track_id = record.get("track_id") or (next(iter(songs)) if len(songs) == 1 else None)
    song = songs.get(str(track_id))
    if song is None:
        yield TrialVerdict(name, f"track_unknown: {track_id!r} has no facts in this file", [])
    elif "steps" in record or "thinking" in record:
        yield _of_chain(name, record, song)
    else:
        yield _of_example(name, {**record, "track_id": track_id}, song)


def _of_example(name: str, record: dict[str, Any], song: Song) -> TrialVerdict:
    said = record.get("text", record.get("caption"))
    caption = {"type": "caption", "skill": "caption", "question": "Describe this music.", "answer": said}
    values = {
        **BLANK,
        **(caption if said is not None else {}),
        **{k: v for k, v in record.items() if k in Example.model_fields},
        "id": name,
    }
    values |= {"status": "ok", "teacher": STAMP}
    try:
        example = Example.model_validate(values)
    except ValidationError as error:
        return TrialVerdict(name, f"malformed: {error.errors()[0]['msg']} ({error.errors()[0]['loc']})", [])
    claims = [(place, judge(claim, song.facts)) for place, claim in claims_of(example)]
    return TrialVerdict(name, reason_against(example, song), claims)


def _of_chain(name: str, record: dict[str, Any], song: Song) -> TrialVerdict:
    blank = {"family": "", "claim": "", "verdict": "unchecked", "confidence": 0.0, "rewritten_from": None}
    said = record.get("steps") or [record.get("thinking")]
    if not isinstance(said, list):
        return TrialVerdict(name, f"malformed: steps are a list, not {type(said).__name__}", [])
    try:
        steps = [Step.model_validate({**blank, **(s if isinstance(s, dict) else {"text": s})}) for s in said]
    except ValidationError as error:
        return TrialVerdict(name, f"malformed: {error.errors()[0]['msg']} ({error.errors()[0]['loc']})", [])
    claims = [("step", judge(claim, song.facts)) for step in steps for claim in read_claims(without_verdict(step.text))]
    reason = next(filter(None, (reason_against_words(step.text) for step in steps)), None)
    reason = reason or reason_against_steps(steps, song.facts)
    if reason is None and any(speaks_of_sources(step.text) for step in steps):
        reason = "mentions_metadata"
    return TrialVerdict(name, reason, claims)
