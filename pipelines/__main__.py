"""python -m pipelines [FOLDER]: compile the three pipelines (default: into build/pipelines).

Each twice: `<name>.yaml` for `kfp` and the user interface, `<name>.kubernetes.yaml` as the resources Pipeline and
PipelineVersion for `kubectl apply`. PROFILE and the words of pipelines/placement.py are read from the environment.
"""

import sys
from pathlib import Path

from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.dsl.base_component import BaseComponent

from music_flamingo import __version__
from music_flamingo.cluster.naming import resource_name
from pipelines.annotation import annotation
from pipelines.music_flamingo import music_flamingo
from pipelines.parameters import default_profile
from pipelines.training import training

PIPELINES = (annotation, training, music_flamingo)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for pipeline in PIPELINES:
        path = folder / f"{pipeline.name.replace('-', '_')}.yaml"
        for written in (compile_one(pipeline, path), compile_resources(pipeline, path.with_suffix(".kubernetes.yaml"))):
            print(f"{written}  {written.stat().st_size / 1024:.0f} KiB")


def compile_one(pipeline: BaseComponent, path: Path) -> Path:
    Compiler().compile(pipeline, str(path))
    return path


def compile_resources(pipeline: BaseComponent, path: Path) -> Path:
    Compiler().compile(
        pipeline, str(path), kubernetes_manifest_format=True, kubernetes_manifest_options=_names(pipeline)
    )
    return path


def _names(pipeline: BaseComponent) -> KubernetesManifestOptions:
    """A version for each release and profile; the namespace is `kubectl`'s to say."""
    version = resource_name(f"{pipeline.name}-{__version__}-{default_profile()}")
    return KubernetesManifestOptions(
        pipeline_name=pipeline.name, pipeline_version_name=version, include_pipeline_manifest=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/pipelines"))
