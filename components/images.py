"""The two images that components run in. `REGISTRY` and `TAG` of the environment apply when a pipeline is compiled."""

import os

from music_flamingo import __version__

_REGISTRY = os.environ.get("REGISTRY", "music-flamingo")
_TAG = os.environ.get("TAG", __version__)

ANNOTATE_IMAGE = f"{_REGISTRY}/annotate:{_TAG}"
TRAIN_IMAGE = f"{_REGISTRY}/train:{_TAG}"
