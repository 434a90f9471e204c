"""LLM-as-judge and embedding judges (text only).

Prompt, model and words are pinned: the key of a judgement is the judge's digest and the very words put to it. What a
judge says is kept as it is; reading it is part of scoring (benchmarks/judged), and what cannot be read is counted.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.http import Failed, JsonClient, RequestBody
from music_flamingo.core.progress import Progress
from music_flamingo.evaluation.benchmarks.base import Benchmark, BenchmarkItem, Replies
from music_flamingo.evaluation.benchmarks.mmau_pro import EMBEDDING
from music_flamingo.evaluation.ledger import Judgement, Ledger
from music_flamingo.evaluation.models import chat_body, chat_words, endpoint_of
from music_flamingo.prompts import load, render
from music_flamingo.scoring.wrappings import final_answer, without_thoughts

MAX_JUDGE_TOKENS = 512


@dataclass(frozen=True)
class JudgeCall:
    """One question to a judge. `words`: the prompt, or for embeddings the texts as JSON."""

    item_id: str
    condition: str
    task: str
    words: str


class Judge:
    """A judge behind an OpenAI-compatible endpoint, temperature 0."""

    def __init__(self, url: str, model: str, *, revision: str = "", api_key_env: str | None = None) -> None:
        endpoint = endpoint_of(url, api_key_env)
        self.name = model
        self.digest = sha256_json({"model": model, "revision": revision})
        self._client = JsonClient(endpoint, seed=0)

    def reply(self, call: JudgeCall) -> str | Failed:
        """Ask the judge, or take its recorded reply; Failed where the server did not answer."""
        key = sha256_json([self.digest, call.words])
        if call.task == EMBEDDING:
            body: dict[str, object] = {"model": self.name, "input": json.loads(call.words)}
            found = self._client.post("/embeddings", lambda _: RequestBody(json=body), _cosines, call=key)
        else:
            body = chat_body(self.name, [{"role": "user", "content": call.words}], MAX_JUDGE_TOKENS)
            found = self._client.post("/chat/completions", lambda _: RequestBody(json=body), chat_words, call=key)
        return found if isinstance(found, Failed) else found.value


def _cosines(reply: Any) -> str:
    """Cosines of the first text with the others. Raises for another shape."""
    rows = sorted(reply["data"], key=lambda row: row["index"])
    vectors = np.array([row["embedding"] for row in rows], dtype=float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return json.dumps([float(c) for c in vectors[0] @ vectors[1:].T])


def calls_for(benchmark: Benchmark, item: BenchmarkItem, condition: str, output: str) -> list[JudgeCall]:
    """What is asked about one answer. A judge sees the answer after the thoughts; the embedding sees all of it."""
    answer = final_answer(output) or ""
    calls = [
        JudgeCall(
            item.id,
            condition,
            task.name,
            render(task.prompt_id, question=item.question, reference=item.reference, answer=answer),
        )
        for task in benchmark.judges
    ]
    if benchmark.embeds_answers:
        calls.append(
            JudgeCall(
                item.id, condition, EMBEDDING, json.dumps([without_thoughts(output), *item.options], ensure_ascii=False)
            )
        )
    return calls


def judge_all(
    judge: Judge | None, embedder: Judge | None, calls: Sequence[JudgeCall], ledger: Ledger[Judgement], concurrency: int
) -> dict[tuple[str, str], Replies]:
    """(condition, item id) -> replies by task. Calls whose judge was not named are left out, and so are their scores.

    Raises UserError when some are still missing, after all others are kept.
    """
    keyed = []
    for call in calls:
        who = embedder if call.task == EMBEDDING else judge
        if who is not None:
            keyed.append((sha256_json([who.digest, call.task, call.words]), who, call))
    # two items may put the same words to a judge: it is asked once
    pending = list({key: (who, call) for key, who, call in keyed if key not in ledger.entries}.items())
    failures: list[Failed] = []
    with Progress("judge", len(pending), "judgements") as progress, ThreadPoolExecutor(concurrency) as pool:
        for start in range(0, len(pending), concurrency):
            batch = pending[start : start + concurrency]
            replies = list(pool.map(lambda entry: entry[1][0].reply(entry[1][1]), batch))
            failures += [r for r in replies if isinstance(r, Failed)]
            ledger.add(_judgement(key, call, r) for (key, (_, call)), r in zip(batch, replies, strict=True)
                       if not isinstance(r, Failed))  # fmt: skip
            progress.advance(len(batch))
            if len(failures) > 3 * concurrency:
                break
    if missing := sum(key not in ledger.entries for key, _, _ in keyed):
        why = failures[-1].message if failures else "unknown"
        raise UserError(
            f"{missing} of {len(keyed)} judgements are missing ({why}): the same command asks for the rest."
        )
    told: dict[tuple[str, str], dict[str, str]] = {}
    for key, _, call in keyed:
        told.setdefault((call.condition, call.item_id), {})[call.task] = ledger.entries[key].reply
    return dict(told)


def _judgement(key: str, call: JudgeCall, reply: str) -> Judgement:
    return Judgement(key=key, item_id=call.item_id, condition=call.condition, task=call.task, reply=reply)


def prompts_of(benchmark: Benchmark) -> dict[str, str]:
    """Prompt id -> SHA-256, of everything that the benchmark puts to models and judges."""
    ids = [benchmark.prompt_id, *(task.prompt_id for task in benchmark.judges)]
    return {prompt_id: load(prompt_id).sha256 for prompt_id in ids}
