"""Model folders: `model/` with safetensors weights and the processor; no other weight format is loaded.

Weights are kept in the dtype in which they lie. Next to `model/` there may be `adapters/01`, `02` ... in peft's layout,
each learned on the model that those before it give; whoever loads the folder is given all of them merged.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import MusicFlamingoConfig, MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor
from transformers.utils import logging as transformers_logging

from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.model.lora import merge_lora
from music_flamingo.model.weights import is_layout_of, link_weights, write_like

transformers_logging.disable_progress_bar()
# a release states temperature 0 for other servers; transformers says on each loading that greedy search ignores it
transformers_logging.get_logger("transformers.generation.configuration_utils").setLevel(transformers_logging.ERROR)

MODEL_FOLDER, ADAPTERS = "model", "adapters"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def load_model(
    folder: Path, dtype: torch.dtype | Literal["auto"] = "auto"
) -> tuple[MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor]:
    """Model (in evaluation mode) and processor of a folder that holds `model/`. `dtype`: the weights' own, or another.

    Raises MissingInputError when there is no model, CorruptDataError when weights come as pickles.
    """
    path = model_path(folder)
    model = MusicFlamingoForConditionalGeneration.from_pretrained(
        path, use_safetensors=True, local_files_only=True, dtype=dtype
    )
    processor = MusicFlamingoProcessor.from_pretrained(path, local_files_only=True)
    return _with_adapters(model, folder).eval(), processor


def _with_adapters(model: Any, folder: Path) -> Any:
    for adapter in adapters_of(folder):
        from peft import PeftModel

        model = merge_lora(PeftModel.from_pretrained(model, str(adapter)))
    return model


def adapters_of(folder: Path) -> list[Path]:
    """The adapters next to `folder/model`, in the order in which they were learned."""
    return sorted((folder / ADAPTERS).glob("[0-9][0-9]"))


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


def save_trained(model: Any, processor: MusicFlamingoProcessor, folder: Path, start: Path) -> None:
    """Write what training made of the model of `start`: whole, in the dtype of `start`; or, where its adapters were not
    merged, as links to the weights of `start` with the new adapters next to them."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        dtype = load_processor(start)[0].dtype
        save_model(model if dtype is None else model.to(dtype), processor, folder, like=start)
        return
    link_weights(start / MODEL_FOLDER, folder / MODEL_FOLDER)
    for file in (start / MODEL_FOLDER).iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            shutil.copyfile(file, folder / MODEL_FOLDER / file.name)
    before = adapters_of(start)
    for adapter in before:
        shutil.copytree(adapter, folder / ADAPTERS / adapter.name, dirs_exist_ok=True)
    own = folder / ADAPTERS / f"{len(before) + 1:02d}"
    for config in model.peft_config.values():
        config.base_model_name_or_path = ""
    model.save_pretrained(str(own), save_embedding_layers=False)
    (own / "README.md").unlink(missing_ok=True)  # an empty card that names no model


def save_model(
    model: MusicFlamingoForConditionalGeneration,
    processor: MusicFlamingoProcessor,
    folder: Path,
    like: Path | None = None,
) -> None:
    """Write `folder/model`. The files say nothing of where they were made, nor of what was called before.

    `like`: the folder of the model that it was before. Where that one lies in several files, so does this one, and
    files in which nothing has changed are linked, not written.
    """
    path = folder / MODEL_FOLDER
    model.config._name_or_path = ""
    for config in (model.config, model.config.audio_config, model.config.text_config):
        config.dtype = model.dtype
    weights = _published(model)
    if like is not None and is_layout_of(like / MODEL_FOLDER, weights):
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(path)
        model.generation_config.save_pretrained(path)
        write_like(like / MODEL_FOLDER, weights, path)
    else:
        model.save_pretrained(path)
    save_processor(processor, folder)


def save_processor(processor: MusicFlamingoProcessor, folder: Path) -> None:
    """Write the processor's files into `folder/model`."""
    path = folder / MODEL_FOLDER
    processor.save_pretrained(path)
    _forget_history(path / "tokenizer_config.json")


def _published(model: MusicFlamingoForConditionalGeneration) -> dict[str, torch.Tensor]:
    """The weights under their published names; those that are tied to others once."""
    own = dict(model.named_parameters())
    return {name: own[mine] for mine, name in published_names(model).items()}


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
