"""Record a stage's teacher usage (calls, tokens, cost) outside the ports: results must not depend on it.

Every run of a stage writes a file of its own, `<data>/_usage/<stage>.<run>.json`, again every few seconds, so that a
kill loses the last seconds of the count and no call. `mf usage` adds them up.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.shards import write_atomic
from music_flamingo.teachers.cache import CallTokens
from music_flamingo.teachers.config import Prices

FOLDER = "_usage"
WRITE_EVERY_S = 5.0


class TeacherUsage(BaseModel):
    """Counts of one run of a stage, or of several added up."""

    model_config = ConfigDict(extra="forbid")
    stage: str
    model: str
    currency: str
    calls: int = 0
    """Asked of the server and answered with what could be used."""
    cached: int = 0
    """Answered by the cache: paid before."""
    failed: int = 0
    tries: int = 0
    """Requests sent, those that failed among them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """Of the tokens of all replies that came, the unusable ones too."""
    cached_cost: float = 0.0
    """What the cached calls would have cost now."""
    estimated_calls: int = 0
    """Of these calls, those whose tokens the server did not count: they are estimated by rule."""
    reasons: dict[str, int] = Field(default_factory=dict)
    """Why calls failed."""
    prompts: dict[str, int] = Field(default_factory=dict)
    """Prompt id -> calls, cached ones included."""


class Meter:
    """Counts for one run of a stage; threads share it. `path` None counts without writing."""

    def __init__(self, stage: str, model: str, prices: Prices, path: Path | None) -> None:
        self.usage = TeacherUsage(stage=stage, model=model, currency=prices.currency)
        self._prices, self._path = prices, path
        self._lock, self._written_at = threading.Lock(), 0.0
        self._prompts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def cost(self, tokens: CallTokens) -> float:
        """Price of these tokens, in the currency of the configured prices."""
        prices = self._prices
        return (tokens.prompt * prices.input_per_million + tokens.completion * prices.output_per_million) / 1e6

    def answered(self, prompt_id: str, tries: int, spent: CallTokens, is_estimated: bool = False) -> None:
        """Count a call that the server answered after `tries` tries; `is_estimated`: it did not count the tokens."""
        with self._lock:
            self.usage.calls += 1
            self._prompts[prompt_id] += 1
            self._spend(tries, spent, is_estimated)

    def from_cache(self, prompt_id: str, tokens: CallTokens) -> None:
        """Count a call that the cache answered, and what it would have cost."""
        with self._lock:
            self.usage.cached += 1
            self.usage.cached_cost += self.cost(tokens)
            self._prompts[prompt_id] += 1
            self._write_sometimes()

    def failed(self, reason: str, tries: int, spent: CallTokens, is_estimated: bool = False) -> None:
        """Count a call that failed for `reason` after `tries` tries."""
        with self._lock:
            self.usage.failed += 1
            self._reasons[reason] += 1
            self._spend(tries, spent, is_estimated)

    def close(self) -> None:
        """Write the usage file for the last time."""
        with self._lock:
            self._write()

    def _spend(self, tries: int, spent: CallTokens, is_estimated: bool) -> None:
        self.usage.tries += tries
        self.usage.estimated_calls += is_estimated
        self.usage.prompt_tokens += spent.prompt
        self.usage.completion_tokens += spent.completion
        self.usage.cost += self.cost(spent)
        self._write_sometimes()

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._written_at >= WRITE_EVERY_S:
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        self.usage.reasons = dict(sorted(self._reasons.items()))
        self.usage.prompts = dict(sorted(self._prompts.items()))
        if self._path is not None:
            write_atomic(self._path, self.usage.model_dump_json() + "\n")


def new_path(data: Path, stage: str) -> Path:
    """A file of its own for each run of a stage."""
    return data / FOLDER / f"{stage}.{uuid.uuid4().hex[:12]}.json"


def read_all(data: Path) -> list[TeacherUsage]:
    """One sum for each stage, model and currency, over all runs on this data folder."""
    sums: dict[tuple[str, str, str], TeacherUsage] = {}
    for path in sorted((data / FOLDER).glob("*.json")):
        usage = TeacherUsage.model_validate_json(path.read_text())
        key = (usage.stage, usage.model, usage.currency)
        sums[key] = _add(sums[key], usage) if key in sums else usage
    return list(sums.values())


def _add(one: TeacherUsage, other: TeacherUsage) -> TeacherUsage:
    added: dict[str, object] = {}
    for name in TeacherUsage.model_fields:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, dict):
            added[name] = dict(sorted((Counter(a) + Counter(b)).items()))
        else:
            added[name] = a if isinstance(a, str) else a + b
    return TeacherUsage.model_validate(added)


def table(usages: Iterable[TeacherUsage]) -> list[str]:
    """Lines for a terminal: a row for each stage and model, then why calls failed."""
    lines = [
        "stage            model                     calls   cached   failed     tokens in    tokens out          cost"
    ]
    for u in usages:
        lines.append(
            f"{u.stage:16s} {u.model[:24]:24s} {u.calls:6d} {u.cached:8d} {u.failed:8d} {u.prompt_tokens:13d} "
            f"{u.completion_tokens:13d} {u.cost:9.2f} {u.currency}"
        )
        if u.estimated_calls:
            lines.append(f"                 {u.estimated_calls} calls without a count by the server: tokens estimated")
        lines += [f"                 {count} calls failed: {reason}" for reason, count in u.reasons.items()]
    return lines
