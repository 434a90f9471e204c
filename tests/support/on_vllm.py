"""A real vLLM for the tests marked `vllm`: MF_VLLM_PYTHON names the Python that has it (docs/reference/vllm.md)."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.listening import heard_well, make_release, save_tiny, tone
from support.served import free_port

PYTHON = os.environ.get("MF_VLLM_PYTHON")
NEEDS_VLLM = pytest.mark.skipif(PYTHON is None, reason="MF_VLLM_PYTHON names no Python with vLLM")
START_S = 900.0
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
    "VLLM_MAX_AUDIO_DECODE_DURATION_S": "1800",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TORCHDYNAMO_DISABLE": "1",
}
"""Compiling a tiny model takes minutes and says nothing of its numbers."""
QUESTIONS = [
    *(f"Is instrument {number} heard, yes or no?" for number in range(20)),
    *(f"How many beats has bar {number}?" for number in range(20)),
    *("Is it slow?", 'Is it "major" or minor?', "Wie schnell ist es? 你好", "Sing\nto me.", "x" * 60),
    *(f"Name the mood, take {number}." for number in range(10)),
]
ANSWERS = ("yes", "no", "slow", "major key", "three beats")


def environment(**changes: str) -> dict[str, str]:
    """Without the paths of the Python that runs the tests."""
    return {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **ENVIRONMENT, **changes}


@contextmanager
def serving_vllm(model: Path, *options: str) -> Iterator[str]:
    """The address of `vllm serve MODEL`."""
    assert PYTHON is not None
    port, log = free_port(), model.parent.parent / "vllm.log"
    command = [str(Path(PYTHON).parent / "vllm"), "serve", str(model), "--enforce-eager", "--port", str(port)]
    command += ["--served-model-name", "music-flamingo", "--reasoning-parser", "music_flamingo", "--max-num-seqs", "8"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, *options], stdout=out, stderr=out, env=environment(), cwd=log.parent, start_new_session=True
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _wait_until_ready(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if httpx.get(f"{address}/health").is_success:
                return
        except httpx.HTTPError:
            time.sleep(1)
    raise AssertionError(f"not ready within {START_S} s: {log.read_text()[-4000:]}")


def words_for(number: int) -> str:
    """What question `number` is answered with; each seventh answer breaks its form."""
    answer = ANSWERS[number % len(ANSWERS)]
    thinking = "Drums play." if number % 2 else "It sounds soft."
    return (
        f"<think>{thinking}<answer>{answer}"
        if number % 7 == 3
        else f"<think>{thinking}</think><answer>{answer}</answer>"
    )


def tagged_release(data: Path, steps: int = 150) -> Path:
    """A release that thinks and answers: a tiny model that has learned the words for QUESTIONS by heart, more or less,
    and would rather say its audio token than `yes`, if it were not suppressed."""
    import torch

    from music_flamingo.core.ports import Folder
    from music_flamingo.model.chat import Turn, audio_of, hear, tokenise
    from music_flamingo.model.files import load_model, save_model
    from music_flamingo.prompts import render_question
    from support.listening import give

    def learn(**ports) -> None:
        folder = ports["grpo_model"].root
        save_tiny(folder, width=64, feed_forward=128, context_tokens=1024, max_audio_s=12)
        model, processor = load_model(folder)
        sound = hear(processor, tone(2.0))
        turns = [Turn(render_question(q, (), think=True), words_for(i)) for i, q in enumerate(QUESTIONS)]
        rows = [tokenise(processor, (turn,), sound.num_tokens) for turn in turns]
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        draw = torch.Generator().manual_seed(0)
        for _ in range(steps):
            picked = [rows[i] for i in torch.randint(len(rows), (8,), generator=draw).tolist()]
            longest = max(len(row.ids) for row in picked)
            ids = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in picked])
            labels = torch.tensor(
                [
                    [i if a else -100 for i, a in zip(row.ids, row.is_answer, strict=True)]
                    + [-100] * (longest - len(row.ids))
                    for row in picked
                ]
            )
            model(input_ids=ids, labels=labels, **audio_of([sound] * 8)).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        with torch.no_grad():
            (yes,) = processor.tokenizer("yes", add_special_tokens=False)["input_ids"][:1]
            model.lm_head.weight[processor.audio_token_id] = 2 * model.lm_head.weight[yes]
        save_model(model.eval(), processor, folder)

    give(data, "grpo_model", {"grpo_model": Folder}, learn)
    return make_release(data, *heard_well(), max_new_tokens=60)


def told(client: httpx.Client, base: str, messages: Sequence[dict], **fields: object) -> dict:
    """The words, thoughts, usage and end of one answer."""
    reply = client.post(f"{base}/chat/completions", json={"model": "music-flamingo", "messages": messages, **fields})
    assert reply.is_success, reply.text
    choice, usage = reply.json()["choices"][0], reply.json()["usage"]
    message = choice["message"]
    return {
        "words": (message["content"] or "").strip(),
        "thoughts": (message.get("reasoning") or message.get("reasoning_content") or "").strip(),
        "usage": (usage["prompt_tokens"], usage["completion_tokens"]),
        "end": choice["finish_reason"],
    }
