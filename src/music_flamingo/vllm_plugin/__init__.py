"""A plugin of vLLM 0.24: `MusicFlamingoForConditionalGeneration` with encoder windows of any size.

Installed with the package (entry point `vllm.general_plugins`). It imports nothing of the rest of the project, and
vLLM only once vLLM calls it: this folder can be copied out and used alone.
"""

import logging

ARCHITECTURE = "MusicFlamingoForConditionalGeneration"

log = logging.getLogger(__name__)


def register() -> None:
    """Have vLLM load Music Flamingo by this package. Called by vLLM in each of its processes.

    A vLLM without a Music Flamingo of its own (0.25 and later) is left as it is, with a warning.
    """
    from importlib.util import find_spec

    if find_spec("vllm.model_executor.models.musicflamingo") is None:
        log.warning("this vLLM has no Music Flamingo that windows of any size could be added to: use vLLM 0.24.")
        return
    from vllm.model_executor.models.registry import ModelRegistry

    ModelRegistry.register_model(ARCHITECTURE, f"{__name__}.any_window:AnyWindowMusicFlamingo")
