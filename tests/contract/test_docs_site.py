"""The documentation: the site builds without a dead link, and every `mf` command on a page is one that exists."""

import re
import shlex
from pathlib import Path

import pytest

from music_flamingo.cli import build_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```[\w]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPOKEN = {"MODEL", "FOLDER", "NAME", "STAGE", "N", "STAGE.NAME=VALUE"}


def commands(page: Path) -> list[str]:
    """The lines of a page's code blocks that call `mf`, without what follows them in the shell."""
    blocks = "\n".join(FENCE.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in blocks.splitlines()]
    found = [line for line in lines if re.match(r"(?:[A-Z_]+=\S+ )*mf [a-z]", line)]
    return [part.strip() for line in found for part in re.split(r"\s/\s|\s#|\||&&|;|>", line) if " mf " in f" {part}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_mf_command_on_a_page_is_one_that_the_parser_takes(page, capsys):
    for line in commands(page):
        words = shlex.split(line, comments=True)
        given = [w for w in words[words.index("mf") + 1 :] if w not in ("...", "…")]
        given = ["1" if w == "N" else w for w in given]
        try:
            build_parser().parse_args(given)
        except SystemExit as ended:
            assert ended.code == 0, f"{line}\n{capsys.readouterr().err}"


def test_the_site_builds_and_no_link_on_it_is_dead(tmp_path):
    mkdocs_config = pytest.importorskip("mkdocs.config")
    from mkdocs.commands.build import build

    build(mkdocs_config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    for name in ("index", "reference/parameters", "reference/cli", "reference/stages", "decisions/index"):
        text = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert "https://fonts" not in text and '<script src="http' not in text, "nothing is fetched"
    assert "Held out" in text or "decision" in text.lower()
