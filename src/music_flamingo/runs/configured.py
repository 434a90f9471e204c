"""A stage's parameters as a Kubeflow run passes them on, with the digest of the code that they were given for.

Kubeflow answers a step from its cache by its inputs and its image's name. With the digest among the inputs a change of
code asks for the same steps as `mf run` and DVC, whatever the image's tag; a comment asks for none. It also shows a
step whose image has other code than the one that configured the run.
"""

import json
from collections.abc import Mapping
from typing import Any

from music_flamingo.core.errors import ConfigError
from music_flamingo.core.params import stage_json
from music_flamingo.stages import load

CODE = "code_sha256"
"""Stands among the parameters of the text; no stage has a parameter of this name."""


def configured(sections: Mapping[str, Any], name: str) -> str:
    """The text for one stage: its parameters, and the digest of its code."""
    return json.dumps(json.loads(stage_json(sections, name)) | {CODE: load(name).code().digest}, sort_keys=True)


def parameters_of(text: str, name: str) -> str:
    """The parameters alone, as JSON text. Raises ConfigError where this step has other code than the run."""
    parameters = json.loads(text)
    if not isinstance(parameters, dict) or CODE not in parameters:
        return text
    wanted, own = parameters.pop(CODE), load(name).code().digest
    if wanted != own:
        raise ConfigError(
            f"step `{name}` has other code than the step `configure` of this run (code {own[:16]}, wanted "
            f"{wanted[:16]}): their images are of two builds. Build and push them all under one TAG, and submit again."
        )
    return json.dumps(parameters, sort_keys=True)
