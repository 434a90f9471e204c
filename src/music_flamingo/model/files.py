"""Model folders: `model/` with safetensors weights and the processor; no other weight format is loaded."""

import json
from pathlib import Path

import torch
from transformers import MusicFlamingoConfig, MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor
from transformers.utils import logging as transformers_logging

from music_flamingo.core.errors import CorruptDataError, MissingInputError

transformers_logging.disable_progress_bar()

MODEL_FOLDER = "model"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def load_model(
    folder: Path, dtype: torch.dtype = torch.float32
) -> tuple[MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor]:
    """Model (in evaluation mode) and processor of a folder that holds `model/`.

    Raises MissingInputError when there is no model, CorruptDataError when weights come as pickles.
    """
    path = model_path(folder)
    model = MusicFlamingoForConditionalGeneration.from_pretrained(
        path, use_safetensors=True, local_files_only=True, dtype=dtype
    )
    processor = MusicFlamingoProcessor.from_pretrained(path, local_files_only=True)
    return model.eval(), processor


def load_processor(folder: Path) -> tuple[MusicFlamingoConfig, MusicFlamingoProcessor]:
    """What can be known of a model without its weights. Raises as `load_model` does."""
    path = model_path(folder)
    return (
        MusicFlamingoConfig.from_pretrained(path, local_files_only=True),
        MusicFlamingoProcessor.from_pretrained(path, local_files_only=True),
    )


def model_path(folder: Path) -> Path:
    """`folder/model`, checked to hold safetensors and no pickles."""
    path = folder / MODEL_FOLDER
    if not any(path.glob("*.safetensors")):
        raise MissingInputError(f"{path} holds no *.safetensors: run the stage that gives `{folder.name}` first.")
    for file in sorted(path.iterdir()):
        if file.suffix in PICKLES:
            raise CorruptDataError(f"{file} may hold a pickle, which can run code when loaded: delete it.")
    return path


def save_model(model: MusicFlamingoForConditionalGeneration, processor: MusicFlamingoProcessor, folder: Path) -> None:
    """Write `folder/model`. The files say nothing of where they were made, nor of what was called before."""
    path = folder / MODEL_FOLDER
    model.config._name_or_path = ""
    for config in (model.config, model.config.audio_config, model.config.text_config):
        config.dtype = model.dtype
    model.save_pretrained(path)
    save_processor(processor, folder)


def save_processor(processor: MusicFlamingoProcessor, folder: Path) -> None:
    """Write the processor's files into `folder/model`."""
    path = folder / MODEL_FOLDER
    processor.save_pretrained(path)
    _forget_history(path / "tokenizer_config.json")


def published_names(model: MusicFlamingoForConditionalGeneration) -> dict[str, str]:
    """Name of each parameter -> its name in a published checkpoint, by which transformers and vLLM load weights."""
    from transformers.core_model_loading import revert_weight_conversion

    names = [name for name, _ in model.named_parameters()]
    marked = {name: torch.full((1,), float(place)) for place, name in enumerate(names)}
    return {names[int(mark.item())]: name for name, mark in revert_weight_conversion(model, marked).items()}


PASSING = (
    *("name_or_path", "local_files_only", "is_local"),
    *("max_length", "pad_to_multiple_of", "pad_token_type_id", "padding_side"),
)
"""Keys in which a tokenizer remembers its folder and its last call."""


def _forget_history(config: Path) -> None:
    values = json.loads(config.read_text())
    kept = {name: value for name, value in values.items() if name not in PASSING}
    config.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
