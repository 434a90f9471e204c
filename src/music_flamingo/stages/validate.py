"""validate: what is kept of the candidates becomes MF-Skills, the rest is filed under its reason (paper, step 4).

Each example is held against the facts and against the others of its track by rules; the whole is held against
expectations. Rejects are kept, counted and shown; a failed critical expectation stops the stage.
"""

import json
from collections import Counter

import pyarrow as pa

from music_flamingo.core.ports import Folder, OutputFolder, Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.core.shards import shard_index, write_atomic
from music_flamingo.core.stage import Metrics, Stage, StageConfig
from music_flamingo.products.cards.licences import ToolLicence
from music_flamingo.products.cards.skills_card import write_skills_card
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.expectations import COLUMNS, Expected, Finding, find, require, tally
from music_flamingo.records import Example, Facts, Track

PAGE_NAME = "index.html"
QUOTED_CHARACTERS = 200


class ValidateConfig(StageConfig):
    limits: Limits
    expected: Expected
    licences: tuple[ToolLicence, ...]
    """Of the tools and collections that the labels come from; printed on the card."""


def sort_out(
    limits: Limits, candidates: list[Example], facts: list[Facts], durations_s: dict[str, float]
) -> tuple[list[Example], list[Example]]:
    """(kept, rejected) of one shard; a reject's status names the reason."""
    songs = {f.id: Song(f, durations_s[f.id], limits) for f in facts if f.id in durations_s}
    kept, rejected = [], []
    for example in candidates:
        if not example.is_ok:
            rejected.append(example)  # its teacher's call failed, and it says so
            continue
        song = songs.get(example.track_id)
        reason = reason_against(example, song) if song else "track_unknown"
        if reason is None:
            kept.append(example)
        else:
            rejected.append(example.quarantined(reason))
    return kept, rejected


def run(
    config: ValidateConfig,
    candidates: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    skills: Writer[Example],
    rejects: Writer[Example],
    data_docs: OutputFolder,
) -> Metrics:
    columns = tracks.columns("id", "duration_s").to_pydict()
    durations_s = {i: d for i, d in zip(columns["id"], columns["duration_s"], strict=True) if d is not None}
    pending = [i for i in map(shard_index, candidates.shards) if not (skills.has(i) and rejects.has(i))]
    with Progress("validate", len(pending), "shards") as progress:
        for index in pending:
            kept, rejected = sort_out(config.limits, candidates.read_shard(index), facts.read_shard(index), durations_s)
            rejects.write(index, rejected)
            skills.write(index, kept)
            progress.advance()
    rows = pa.concat_tables([skills.columns(*COLUMNS), rejects.columns(*COLUMNS)])
    findings = find(rows, config.expected)
    _write_docs(data_docs, rows, findings)
    require(findings, str(data_docs.root / PAGE_NAME))
    write_skills_card(skills, rejects, (tracks, facts, candidates), config.identity(), config.licences)
    return _metrics(rows, findings)


def _write_docs(data_docs: OutputFolder, rows: pa.Table, findings: list[Finding]) -> None:
    from music_flamingo.quality.docs import SHOWN_REJECTS, Rejected, page

    families: dict[str, tuple[int, int]] = {}
    reasons: Counter[str] = Counter()
    quoted = []
    for row in rows.select(["id", "status", "family", "question", "answer"]).to_pylist():
        kept, rejected = families.get(row["family"], (0, 0))
        is_kept = row["status"] == OK
        families[row["family"]] = (kept + is_kept, rejected + (not is_kept))
        if is_kept:
            continue
        reason = row["status"].removeprefix(QUARANTINED)
        reasons[reason] += 1
        if reasons[reason] <= SHOWN_REJECTS:
            question, answer = row["question"][:QUOTED_CHARACTERS], row["answer"][:QUOTED_CHARACTERS]
            quoted.append(Rejected(id=row["id"], reason=reason, question=question, answer=answer))
    write_atomic(data_docs.root / PAGE_NAME, page(findings, families, reasons, quoted))
    found = [f.model_dump() for f in findings]
    write_atomic(data_docs.root / "expectations.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _metrics(rows: pa.Table, findings: list[Finding]) -> Metrics:
    names = ("status", "skill", "type", "family", "split")
    columns = rows.select(list(names)).to_pydict()
    kept = [row for row in zip(*columns.values(), strict=True) if row[0] == OK]
    counted = {name: dict(sorted(Counter(row[k] for row in kept).items())) for k, name in enumerate(names) if k}
    reasons = Counter(s.removeprefix(QUARANTINED) for s in columns["status"] if s != OK)
    return {
        "num_kept": len(kept),
        "num_rejected": reasons.total(),
        "reasons": dict(sorted(reasons.items())),
        **{f"by_{name}": counts for name, counts in counted.items()},
        "expectations": tally(findings),
    }


STAGE = Stage(
    name="validate",
    config=ValidateConfig,
    inputs={"candidates": Example, "facts": Facts, "tracks": Track},
    outputs={"skills": Example, "rejects": Example, "data_docs": Folder},
    run=run,
    code=("core/record.py", "records", "scoring", "quality", "products/cards", "stages/validate.py"),
)
