#!/usr/bin/env bash
# images/build.sh build|push: all images, by the first of docker, podman and buildah that works.
# REGISTRY (default music-flamingo) and TAG (default: the project's version) name them, as when a pipeline is compiled.
# IMAGES names some of them; TRAIN_BASE=base trains on CPUs, without the CUDA build (a small cluster).
set -euo pipefail
cd "$(dirname "$0")/.."
registry=${REGISTRY:-music-flamingo}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/music_flamingo/__init__.py)
tag=${TAG:-$version}
images=(base base-cuda annotate train serve serve-gpu)

engine() {
  for name in docker podman buildah; do
    if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo "error: none of docker, podman and buildah works here (a client without its daemon does not). Install one, or start its daemon: docker info" >&2
  exit 1
}

build() {
  local name=$1 folder=$1 base=base arguments=()
  case $name in
    base) arguments=(--build-arg TORCH_BACKEND=cpu) ;;
    base-cuda) folder=base arguments=(--build-arg "TORCH_BACKEND=${TORCH_BACKEND:-}") ;;
    train) base=${TRAIN_BASE:-base-cuda} ;;&
    train | annotate | serve) arguments=(--build-arg "BASE=$registry/$base:$tag") ;;
  esac
  echo "== $registry/$name:$tag"
  # podman and buildah drop health checks unless told to keep Docker's format
  [[ $engine == docker ]] || arguments+=(--format docker)
  arguments+=(--build-arg "VERSION=$version" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
  "$engine" build -f "images/$folder/Dockerfile" -t "$registry/$name:$tag" "${arguments[@]}" .
}

push() {
  # built without REGISTRY: under this name too
  is_there "$registry/$1:$tag" || "$engine" tag "music-flamingo/$1:$tag" "$registry/$1:$tag"
  "$engine" push "$registry/$1:$tag"
}

is_there() {
  if [[ $engine == buildah ]]; then buildah inspect --type image "$1"; else "$engine" image inspect "$1"; fi >/dev/null 2>&1
}

engine=$(engine)
case ${1:-} in
  build) for name in ${IMAGES:-"${images[@]}"}; do build "$name"; done ;;
  push)
    [[ ${REGISTRY:-} ]] || { echo "error: name where to push: REGISTRY=registry.example/music-flamingo make push" >&2; exit 1; }
    for name in ${IMAGES:-"${images[@]}"}; do push "$name"; done
    ;;
  *) echo "usage: images/build.sh build|push" >&2; exit 2 ;;
esac
