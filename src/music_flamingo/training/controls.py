"""Controls of thinking and of GRPO: models that got as much computing, trained after the warm-up.

- `direct` answers composite questions without thinking. What the warm-up does better is what thinking is worth.
- `longer` goes on with the warm-up. What GRPO does better is what rewards are worth, beyond more training.
"""

from pathlib import Path

from music_flamingo.training.settings import Mixture

DIRECT, LONGER = "direct", "longer"
CONTROLS_FOLDER = "controls"
ALONE = Mixture(temperature=1.0, sources={"think": 1.0})


def control_folder(warmup_model: Path, name: str) -> Path:
    """Folder of a control in the warm-up's port, made if need be."""
    folder = warmup_model / CONTROLS_FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
