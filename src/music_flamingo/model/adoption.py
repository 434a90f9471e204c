"""Take over a published model: its files as they are, its weights by link, and what Audio Flamingo 3 lacks added.

Nothing is loaded: the template, the tokenizer and the configuration are read, the weights are counted by their
headers. What does not fit the architecture or the member that the configuration names is refused by its name.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3Processor,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    MusicFlamingoProcessor,
)

from music_flamingo.core.errors import UserError
from music_flamingo.model.answering import answering_template, in_own_words
from music_flamingo.model.chat import Turn, tokenise
from music_flamingo.model.files import MODEL_FOLDER, load_processor, published_names, save_processor
from music_flamingo.model.members import (
    AUDIO_TOKEN,
    MARKS,
    MEMBERS,
    ROTE_PARTIAL_FACTOR,
    ROTE_THETA,
    FamilyMember,
    MemberName,
)
from music_flamingo.model.weights import grow, link_weights, num_parameters, stored

log = logging.getLogger(__name__)

COPIED = (
    *("config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "chat_template.jinja"),
)
TEMPLATE = "chat_template.jinja"
EMBEDDINGS = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
"""What a new token has a row in, by their published names."""
LONGEST_S = 1200
"""What Audio Flamingo 3 hears of a song once it has RoTE, as Music Flamingo does."""


@dataclass(frozen=True)
class Adopted:
    """What was taken over: the member, its parameters and vocabulary, and what it was given besides."""

    member: str
    parameters: int
    vocabulary: int
    added: tuple[str, ...] = ()
    """What the published model lacked and training has to teach it, in words."""
    ignored: int = 0
    """Weights in the files that the architecture has no place for."""


def adopt_model(source: Path, member: MemberName | None, folder: Path) -> Adopted:
    """Write `folder/model` from a folder as transformers saves it. `member`: what it must be; None for any.

    Raises UserError where the folder is another member than it says, or no model of the family.
    """
    if not (source / "config.json").is_file():
        raise UserError(f"backbone.model.path: {source} holds no config.json. Give a folder saved by transformers.")
    config = json.loads((source / "config.json").read_text())
    kind = config.get("model_type")
    if kind not in ("audioflamingo3", "musicflamingo"):
        raise UserError(f"{source} is a {kind!r}: the family's models are audioflamingo3 and musicflamingo.")
    model = folder / MODEL_FOLDER
    link_weights(source, model)
    for name in COPIED:
        if (source / name).is_file():
            shutil.copyfile((source / name).resolve(), model / name)
    processor = (AudioFlamingo3Processor if kind == "audioflamingo3" else MusicFlamingoProcessor).from_pretrained(
        model, local_files_only=True
    )
    found = _require_member(member, config, processor, source)
    added = _as_music_flamingo(model, processor, folder) if kind == "audioflamingo3" else ()
    (model / TEMPLATE).write_text(_template(processor.chat_template or "", found))
    _require_trainable(folder)
    ignored = _require_weights(model)
    for line in added:
        log.warning("backbone: %s lacks what Music Flamingo has, and is given it: %s", source.name, line)
    tensors = stored(model)
    name = " or ".join(found) or "a model of the family that is not in the table"
    return Adopted(name, num_parameters(tensors), len(load_processor(folder)[1].tokenizer), added, ignored)


def _template(published: str, found: Sequence[MemberName]) -> str:
    """The published template, which asks to think in the member's words, and by itself of a member that thinks.

    Unchanged for a member whose words are not published: it is asked as it stands.
    """
    members = [MEMBERS[name] for name in found]
    if not members or members[0].think is None:
        return published
    template = in_own_words(published, members[0].think)
    return answering_template(template) if all(member.answers == "think" for member in members) else template


# --- which member -----------------------------------------------------------------------------------------------------


def facts_of(config: Mapping[str, Any], template: str, max_audio_s: float) -> dict[str, Any]:
    """What tells members apart, as the files of a folder have it."""
    text = config.get("text_config", {})
    rope = text.get("rope_parameters") or text
    return {
        "architecture": config.get("model_type"),
        "system": next((m.system for m in MEMBERS.values() if m.system in template), None),
        "max_audio_s": max_audio_s,
        "text_rope_theta": float(rope.get("rope_theta", 0)),
        "text_positions": text.get("max_position_embeddings", 32_768),
    }


def _differences(member: FamilyMember, facts: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is {value!r} where {member.source} has {getattr(member, name)!r}"
        for name, value in facts.items()
        if value != getattr(member, name)
    ]


def _require_member(
    member: MemberName | None, config: Mapping[str, Any], processor: Any, source: Path
) -> list[MemberName]:
    facts = facts_of(config, processor.chat_template or "", processor.max_audio_len)
    if member is not None:
        if differences := _differences(MEMBERS[member], facts):
            raise UserError(
                f"backbone.model.member is {member}, but in {source} {'; '.join(differences)}. Name the member that "
                "it is, or set it to null for a model of your own."
            )
        return [member]
    found = [name for name, one in MEMBERS.items() if not _differences(one, facts)]
    if not found:
        log.warning("backbone: %s is no published member of the family; its own files say how it is asked", source)
    return found


# --- Audio Flamingo 3 as Music Flamingo -------------------------------------------------------------------------------


def _as_music_flamingo(model: Path, published: AudioFlamingo3Processor, folder: Path) -> tuple[str, ...]:
    """Marks around the sound as new tokens, RoTE, 20 minutes. Gives what was added, in words."""
    tokenizer, extractor = published.tokenizer, published.feature_extractor
    before = len(tokenizer)
    tokenizer.add_tokens(list(MARKS), special_tokens=True)
    processor = MusicFlamingoProcessor(
        extractor, tokenizer, chat_template=published.chat_template, max_audio_len=LONGEST_S
    )
    grow(model, EMBEDDINGS, range(before, len(tokenizer)))
    config = _grown_config(AudioFlamingo3Config.from_pretrained(model, local_files_only=True), processor)
    for name in COPIED:
        if name != "generation_config.json":
            (model / name).unlink(missing_ok=True)
    config.save_pretrained(model)
    save_processor(processor, folder)
    return (
        f"the marks {MARKS[0]} and {MARKS[1]} as tokens {before} and {before + 1}, with the mean of all embeddings",
        f"rotary time embeddings (theta {ROTE_THETA:g}, partial factor {ROTE_PARTIAL_FACTOR:g}), which have no weights",
        f"{LONGEST_S} s of a recording instead of {published.max_audio_len}",
    )


def _grown_config(config: AudioFlamingo3Config, processor: MusicFlamingoProcessor) -> MusicFlamingoConfig:
    text, extractor = config.text_config, processor.feature_extractor
    text.vocab_size = max(text.vocab_size, len(processor.tokenizer))
    grown = MusicFlamingoConfig(
        audio_config=config.audio_config,
        text_config=text,
        audio_token_id=processor.audio_token_id,
        audio_bos_token_id=processor.audio_bos_token_id,
        audio_eos_token_id=processor.audio_eos_token_id,
        audio_frame_step=extractor.hop_length / extractor.sampling_rate,
        projector_hidden_act=config.projector_hidden_act,
        projector_bias=config.projector_bias,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROTE_THETA,
            "partial_rotary_factor": ROTE_PARTIAL_FACTOR,
        },
    )
    grown.architectures = [MusicFlamingoForConditionalGeneration.__name__]
    grown.dtype = config.dtype
    return grown


# --- what is refused --------------------------------------------------------------------------------------------------


def _require_trainable(folder: Path) -> None:
    """Marks around the sound that the tokenizer knows, and a template that renders what the assistant says."""
    config, processor = load_processor(folder)
    tokens = (processor.audio_token, processor.audio_bos_token, processor.audio_eos_token)
    ids = (config.audio_token_id, config.audio_bos_token_id, config.audio_eos_token_id)
    for token, number in zip(tokens, ids, strict=True):
        if processor.tokenizer.convert_tokens_to_ids(token) != number:
            raise UserError(f"config.json has {number} for {token}, and the tokenizer another: fetch the folder again.")
    tokenise(processor, (Turn("Is it fast?", "Yes."), Turn("And loud?", "No, it is not.")), 3)


def _require_weights(model: Path) -> int:
    """Names and shapes of the weights are the architecture's; gives how many there are that it has no place for."""
    config = MusicFlamingoConfig.from_pretrained(model, local_files_only=True)
    with torch.device("meta"):
        empty = MusicFlamingoForConditionalGeneration(config)
    names, found = published_names(empty), stored(model)
    for own, parameter in empty.named_parameters():
        tensor = found.get(names[own]) or found.get(own)
        if tensor is None:
            raise UserError(f"{model} has no weight {names[own]}: it is no {AUDIO_TOKEN} model of this architecture.")
        if tensor.shape != tuple(parameter.shape):
            raise UserError(f"{names[own]} is {tensor.shape} where config.json makes it {tuple(parameter.shape)}.")
    unknown = sorted(found.keys() - set(names.values()) - set(names))
    if unknown:
        log.warning("backbone: %d weights have no place and are not read, such as %s", len(unknown), unknown[0])
    return len(unknown)
