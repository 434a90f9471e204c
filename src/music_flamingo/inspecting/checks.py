"""Check a batch for mistakes, from its tokens alone and independently of the collator."""

from collections.abc import Iterator, Sequence

from music_flamingo.inspecting.batch import Batch, InspectedSample, InspectedToken
from music_flamingo.model.context import Hearing

TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
SHOWN_CHARS = 60


def mistakes(batch: Batch, hearing: Hearing, *, is_taught: bool) -> list[str]:
    """A sentence each, naming the sample. `is_taught`: something of each sample must be trained on."""
    return [
        f"sample {number} ({sample.name}): {wrong}"
        for number, sample in enumerate(batch.samples, start=1)
        for wrong in (
            *_wrong_labels(sample, is_taught),
            *_wrong_sound(sample),
            *_wrong_window(sample),
            *_wrong_positions(sample),
            *_too_long(sample, hearing),
        )
    ]


def assistants_words(tokens: Sequence[InspectedToken]) -> list[bool]:
    """By the chat form: what stands after `<|im_start|>assistant` and a line break, up to and with `<|im_end|>`."""
    inside, header = False, None
    marks = []
    for token in tokens:
        marks.append(inside)
        if token.text == TURN_START:
            inside, header = False, ""
        elif header is not None:
            header += token.text
            if "\n" in header:
                inside, header = header.strip() == "assistant", None
        elif token.text == TURN_END:
            inside = False
    return marks


def _wrong_labels(sample: InspectedSample, is_taught: bool) -> Iterator[str]:
    spoken = assistants_words(sample.tokens)
    if sound := [t for t in sample.tokens if t.is_audio and t.weight > 0]:
        yield f"{len(sound)} audio tokens are trained on"
    prompt = [t for t, inside in zip(sample.tokens, spoken, strict=True) if t.weight > 0 and not inside]
    if words := [t for t in prompt if not t.is_audio]:
        yield f"{len(words)} tokens are trained on that the assistant does not say: {_shown(words)}"
    silent = [t for t, inside in zip(sample.tokens, spoken, strict=True) if inside and t.weight <= 0]
    if is_taught and silent:
        yield f"{len(silent)} of the assistant's tokens are not trained on: {_shown(silent)}"
    if is_taught and not any(t.weight > 0 for t in sample.tokens):
        yield "nothing of it is trained on"


def _wrong_sound(sample: InspectedSample) -> Iterator[str]:
    found, expected = sample.count("audio"), sample.subject.num_audio_tokens
    if found != expected:
        yield f"{found} audio tokens stand for a sound that gives {expected}"


def _wrong_window(sample: InspectedSample) -> Iterator[str]:
    start_s, end_s = sample.window_s
    if not 0 <= start_s < end_s <= sample.track_s:
        yield f"its window is not within its track of {sample.track_s:.2f} s"


def _wrong_positions(sample: InspectedSample) -> Iterator[str]:
    """0, 1, 2 ... through the sample; each question that stands apart goes on from what all of them see."""
    shared = sum(token.question == 0 for token in sample.tokens)
    expected, seen = [], {0: 0}
    for token in sample.tokens:
        place = seen.setdefault(token.question, shared)
        expected.append(place)
        seen[token.question] = place + 1
    if expected != [token.position for token in sample.tokens]:
        yield "positions do not start anew with it, or do not go on by one"


def _too_long(sample: InspectedSample, hearing: Hearing) -> Iterator[str]:
    if len(sample.tokens) > hearing.context_tokens:
        yield f"{len(sample.tokens)} tokens exceed the context of {hearing.context_tokens}"


def _shown(tokens: Sequence[InspectedToken]) -> str:
    text = "".join(token.text for token in tokens)
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}...")
