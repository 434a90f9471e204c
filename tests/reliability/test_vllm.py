"""The plugin in a real vLLM: tokens and log-probabilities of any geometry are transformers', and GRPO draws by it.

It is opt-in, as it wants an environment of its own (docs/reference/vllm.md) and minutes:

    MF_VLLM_PYTHON=/tmp/vllm/bin/python pytest -m vllm tests/reliability
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from support.listening import save_tiny
from support.on_vllm import NEEDS_VLLM, PYTHON, environment

from music_flamingo.audio.windows import Rule
from music_flamingo.model.answering import write_rules
from music_flamingo.model.chat import Turn, audio_of, hear, tokenise
from music_flamingo.model.context import Hearing
from music_flamingo.model.files import load_model

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600), NEEDS_VLLM]

SUPPORT = Path(__file__).parents[1] / "support"
SOURCES = SUPPORT.parents[1] / "src"
PUBLISHED = {"mel_bins": 128, "fft_samples": 400, "hop_samples": 160, "window_s": 30}
GEOMETRIES = {
    # name: (size, rule in its files, lengths of recordings in s)
    "windows-of-6-s": ({"max_audio_s": 12}, "middle", [0.5, 6.0, 9.7, 12.0, 40.0]),
    "windows-of-2-s": ({"window_s": 2, "max_audio_s": 8}, "middle", [1.0, 2.0, 7.3, 11.0]),
    "music-flamingo": ({**PUBLISHED, "max_audio_s": 1200, "context_tokens": 32768}, None, [5.0, 65.0, 1190.0]),
    "audio-flamingo-next": ({**PUBLISHED, "max_audio_s": 1800, "context_tokens": 49152}, None, [5.0, 1790.0]),
}
NEW_TOKENS = 12


def sound(seconds: float) -> np.ndarray:
    """Noise whose loudness and colour change all the time: no second of it is like another."""
    rng = np.random.default_rng(int(seconds * 10))
    noise = rng.standard_normal(int(seconds * 16_000))
    shape = np.interp(np.arange(len(noise)), np.linspace(0, len(noise), 64), rng.uniform(0.01, 0.5, 64))
    return (noise * shape).astype(np.float32)


def expected(folder: Path, rule: Rule, lengths: list[float]) -> list[dict]:
    """Prompt, tokens and log-probabilities by transformers; the prompt as vLLM is given it too."""
    model, processor = load_model(folder)
    audio, *marks = processor.audio_token_ids
    hearing, rows = Hearing.of(processor, model.config), []
    for seconds in lengths:
        samples = sound(seconds)
        heard = hear(processor, samples[slice(*hearing.window_of(len(samples), rule))])
        ids = tokenise(processor, (Turn("Are drums heard?", None),), heard.num_tokens).ids
        with torch.no_grad():
            out = model.generate(
                input_ids=torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                **audio_of([heard]),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                suppress_tokens=list(processor.audio_token_ids),
                output_logits=True,
                return_dict_in_generate=True,
            )
        said = out.sequences[0, len(ids) :].tolist()
        logprobs = [step[0].log_softmax(-1)[token].item() for step, token in zip(out.logits, said, strict=True)]
        short = [i for n, i in enumerate(ids) if i not in marks and not (i == audio and ids[n - 1] == audio)]
        rows.append({"seconds": seconds, "ids": list(ids), "short": short, "said": said, "logprobs": logprobs})
    return rows


def run(program: str, *arguments: object, **changes: str) -> dict:
    """What a program of tests/support says in vLLM's environment."""
    command = [str(PYTHON), str(SUPPORT / program), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(VLLM_ENABLE_V1_MULTIPROCESSING="0", **changes)
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert told, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return json.loads(told[-1].removeprefix("TOLD "))


def test_recordings_of_any_length_are_read_as_transformers_reads_them(tmp_path):
    """Four geometries with random weights, published and tiny; what is longer than the model hears is cut alike."""
    wanted, models = {}, {}
    for seed, (name, (size, rule, lengths)) in enumerate(GEOMETRIES.items()):
        folder = tmp_path / name
        save_tiny(folder, seed, width=64, feed_forward=128, **size)
        wanted[name] = expected(folder, rule or "first", lengths)
        if rule:
            never = (3, 4, 5)
            rules = {"window_rule": rule, "max_audio_s": size["max_audio_s"]}
            write_rules(folder / "model", think=False, max_new_tokens=NEW_TOKENS, never=never, **rules)
        models[name] = [str(folder / "model"), [[sound(row["seconds"]).size, row["short"]] for row in wanted[name]]]
        np.savez(folder / "sounds.npz", *[sound(row["seconds"]) for row in wanted[name]])
    (tmp_path / "asked.json").write_text(json.dumps(models))
    told = run("draw_on_vllm.py", tmp_path / "asked.json", NEW_TOKENS)
    for name, rows in wanted.items():
        assert told[name]["dtype"] == "torch.float32"
        for row, got in zip(rows, told[name]["answers"], strict=True):
            assert got["ids"] == row["ids"], (name, row["seconds"])
            assert got["said"] == row["said"], (name, row["seconds"])
            np.testing.assert_allclose(got["logprobs"], row["logprobs"], atol=1e-4)


def test_ten_steps_of_grpo_weigh_vllms_answers_as_the_trained_model_does(tmp_path):
    """After each step vLLM has the new weights, in the policy's dtype: mean difference of log-probabilities."""
    probe = subprocess.run([str(PYTHON), "-c", "import trl"], env=environment(), capture_output=True)
    if probe.returncode:
        pytest.skip("lacks TRL: requirements/train-vllm.txt")
    told = run("grpo_on_vllm.py", tmp_path, PYTHONPATH=f"{SUPPORT.parent}:{SOURCES}")
    assert told["dtype"] == "torch.float32"
    assert len(told["differences"]) == 10 and all(norm > 0 for norm in told["moved"])
    assert max(told["differences"]) < 0.01
