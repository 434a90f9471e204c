"""What a stage really runs and opens is within the closure that its key is made of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from music_flamingo import stages

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/pipeline/tiny.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PROGRAM = """
import dataclasses, functools, json, sys, threading
from pathlib import Path
from music_flamingo import stages
from music_flamingo.core.hashing import PACKAGE_ROOT
from music_flamingo.core.identity import LEFT_OUT
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import execute

name, data = sys.argv[1], Path(sys.argv[2])
root = f"{PACKAGE_ROOT}/"
called, opened = set(), set()
# what computes keys: ingest and facts ask it for the recipe under which a measurement is kept
KEYS = {f"music_flamingo.core.{name}" for name in ("identity", "data_files", "definitions", "prompt_uses")}
FUNCTION = 1  # CO_OPTIMIZED: not the body of a module or a class

def notice(frame, event, _):
    code = frame.f_code
    if event == "call" and code.co_flags & FUNCTION and code.co_filename.startswith(root):
        called.add(code)

def listen(event, arguments):
    path = arguments[0] if event == "open" else None
    if isinstance(path, str) and path.startswith(root) and not path.endswith((".py", ".pyc")):
        if "__pycache__" not in path and Path(path).is_file():
            opened.add(path)

params = load_params(Path(sys.argv[3]), (Path(sys.argv[4]),))
if "workers" in params[name]:
    params[name]["workers"] = 1  # all in this process, where it is seen
stage = stages.load(name)
closure, run = stage.code(), stage.run

@functools.wraps(run)
def watched(*arguments, **ports):
    sys.addaudithook(listen)
    threading.setprofile(notice), sys.setprofile(notice)
    try:
        return run(*arguments, **ports)
    finally:
        sys.setprofile(None), threading.setprofile(None)

watched_stage = dataclasses.replace(stage, run=watched)
inputs, outputs = {p: data / p for p in stage.inputs}, {p: data / p for p in stage.outputs}
execute(watched_stage, stage_json(params, name), inputs, outputs)
seen = set(opened)
missed = [path for path in seen if Path(path) not in closure.files]
for code in called:
    if not code.co_filename.endswith(".py"):
        continue  # a template
    module = "music_flamingo." + code.co_filename[len(root) : -3].replace("/", ".").removesuffix(".__init__")
    top = code.co_qualname.split(".")[0]
    if top.startswith("<") or module in LEFT_OUT or module in KEYS:
        continue
    if (module, top) not in closure.definitions:
        missed.append(f"{module}:{top}")
print(json.dumps({"called": len(called), "missed": sorted(missed)}))
"""


def test_no_stage_runs_code_or_opens_data_that_its_key_leaves_out(tmp_path):
    program = tmp_path / "watched.py"
    program.write_text(PROGRAM)
    for name in stages.ORDER:
        arguments = [str(program), name, str(tmp_path / "data"), str(ROOT / "params.yaml"), str(TINY)]
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"
        seen = json.loads(done.stdout.splitlines()[-1])
        assert seen["called"] > 10, f"{name}: nothing was seen"
        assert not seen["missed"], f"{name} runs or opens what its key does not know: {seen['missed']}"
