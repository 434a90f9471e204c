"""python -m pipelines [FOLDER]: compile the three pipelines to KFP YAML (default: build/pipelines)."""

import sys
from pathlib import Path

from kfp.compiler import Compiler

from pipelines.annotation import annotation
from pipelines.music_flamingo import music_flamingo
from pipelines.training import training


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pipeline in (("annotation", annotation), ("training", training), ("music_flamingo", music_flamingo)):
        path = folder / f"{name}.yaml"
        Compiler().compile(pipeline, str(path))
        print(f"{path}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/pipelines"))
