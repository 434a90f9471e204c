"""The server's own pass through a small model gives what transformers gives, and a song is read between the others."""

from types import SimpleNamespace

import pytest
import torch
from support.listening import save_tiny, tone
from transformers import DynamicCache

from music_flamingo.model import decoding, encoding
from music_flamingo.model.chat import hear
from music_flamingo.model.decoding import forward_of
from music_flamingo.model.encoding import FusedEncoder, SoundEncoder
from music_flamingo.model.fused_text import FusedText
from music_flamingo.model.listener import Listener
from music_flamingo.serving import scheduler as scheduling
from music_flamingo.serving.audio_window import cut
from music_flamingo.serving.engine import Engine
from music_flamingo.serving.scheduler import GenerationJob, Scheduler

QUESTION = "Are drums heard in this music, yes or no?"


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder)
    return Listener.load(folder)


@pytest.fixture(scope="module")
def engine(listener):
    info = SimpleNamespace(think=True, max_new_tokens=12)
    engine = Engine(listener, info)
    yield engine
    engine.close()


def of_transformers(model):
    """The pass for models that are not small Qwen2s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FusedText, "fits", staticmethod(lambda model: False))
        return forward_of(model), SoundEncoder(model)


@torch.inference_mode()
def test_prompts_and_steps_of_padded_rows_get_the_logits_of_transformers(listener):
    model = listener.model
    fused, plain = forward_of(model), of_transformers(model)[0]
    assert isinstance(fused, FusedText)
    embeds = torch.randn(3, 20, model.config.text_config.hidden_size, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 20, dtype=torch.long)
    mask[1, :7] = 0
    caches = [DynamicCache(config=model.config.text_config) for _ in range(2)]
    for last in (20, 1, 1):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -last:]
        ours, theirs = (
            way(embeds[:, :last], mask, positions, c) for way, c in zip((fused, plain), caches, strict=True)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        mask = torch.cat([mask, torch.ones(3, 1, dtype=torch.long)], 1)


@torch.inference_mode()
def test_sounds_are_encoded_as_by_transformers_in_slices_of_any_size(listener, monkeypatch):
    model, base = listener.model, listener.model.base_model
    assert isinstance(SoundEncoder(model)._forward, FusedEncoder)
    sounds = [hear(listener.processor, tone(seconds)) for seconds in (6.0, 2.1, 3.7)]
    theirs = [
        base.get_audio_features(
            s.features_WMT, s.mask_WT, input_ids=torch.full((1, s.num_tokens), model.config.audio_token_id)
        ).pooler_output
        for s in sounds
    ]
    for frames in (1, encoding.SLICE_FRAMES):
        monkeypatch.setattr(encoding, "SLICE_FRAMES", frames)
        for encoder in (SoundEncoder(model), of_transformers(model)[1]):
            for ours, expected in zip(encoder(sounds), theirs, strict=True):
                torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_other_models_go_through_transformers(listener):
    assert not FusedText.fits(SimpleNamespace(**{**facts(listener.model), "dtype": torch.bfloat16}))
    assert FusedText.fits(SimpleNamespace(**facts(listener.model)))


def facts(model) -> dict:
    names = ("config", "base_model", "device", "dtype", "num_parameters")
    return {name: getattr(model, name) for name in names}


def jobs_of(engine, seconds, told) -> list[GenerationJob]:
    windows = [engine.listen(cut(tone(s, 200 + 50 * s), engine.hearing, "middle")) for s in seconds]
    return [
        GenerationJob(engine.prepare(window, QUESTION), events.append)
        for window, events in zip(windows, told, strict=True)
    ]


def test_a_song_is_read_in_pieces_between_the_steps_of_the_others(engine, monkeypatch):
    told: list[list] = [[] for _ in range(4)]
    long, *others, second = jobs_of(engine, (6.0, 1.0, 1.5, 5.0), told)
    said = [engine.answer_now([job.request])[0].text for job in (long, *others, second)]
    monkeypatch.setattr(scheduling, "LONG_TOKENS", len(others[1].request.prompt.ids))
    monkeypatch.setattr(decoding, "PIECE_TOKENS", 16)
    assert [job.request.is_long for job in (long, *others, second)] == [True, False, False, True]
    scheduler = Scheduler(engine.listener)
    scheduler._waiting.extend([long, second, *others])
    answered_at: dict[int, int] = {}
    for turn in range(500):
        scheduler._turn()
        for number, events in enumerate(told):
            if events and number not in answered_at and hasattr(events[-1], "window_s"):
                answered_at[number] = turn
        if not scheduler._waiting and not scheduler._running:
            break
    assert max(answered_at[1], answered_at[2]) < answered_at[0] < answered_at[3], "songs one after the other"
    assert [events[-1].text for events in told] == said


def test_a_song_whose_client_leaves_is_read_no_further(engine, monkeypatch):
    monkeypatch.setattr(scheduling, "LONG_TOKENS", 60)
    monkeypatch.setattr(decoding, "PIECE_TOKENS", 16)
    told: list[list] = [[]]
    (job,) = jobs_of(engine, (6.0,), told)
    scheduler = Scheduler(engine.listener)
    scheduler._waiting.append(job)
    scheduler._turn()
    assert scheduler._running == [job]
    job.left = True
    scheduler._turn()
    assert scheduler._running == [] and told == [[]]


def test_what_goes_wrong_while_a_song_is_read_is_its_own(engine, monkeypatch):
    told: list[list] = [[], []]
    long, other = jobs_of(engine, (6.0, 1.0), told)
    monkeypatch.setattr(scheduling, "LONG_TOKENS", len(other.request.prompt.ids))
    scheduler = Scheduler(engine.listener)

    def broken(*_: object) -> None:
        raise FloatingPointError("of this test")

    monkeypatch.setattr(decoding.RunningBatch, "join_in_pieces", broken)
    scheduler.work_off([long, other])
    assert isinstance(told[0][-1], FloatingPointError)
    assert told[1][-1].text == engine.answer_now([other.request])[0].text
