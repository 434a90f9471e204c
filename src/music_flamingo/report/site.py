"""Write the site: autoescaped Jinja templates, style sheet, scripts, audio files."""

import shutil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from music_flamingo.core.manifest import MANIFEST_NAME, PROGRESS_NAME, WORK_NAME
from music_flamingo.core.ports import OutputFolder
from music_flamingo.core.shards import write_atomic
from music_flamingo.report.charts import short
from music_flamingo.report.coverage import SKILLS, SPLITS, TYPES
from music_flamingo.report.flow import UNITS, count, human_bytes
from music_flamingo.report.results import CONDITIONS, MODELS, family_title
from music_flamingo.report.timeline import chord_symbol, key_symbol
from music_flamingo.report.wording import PIECES, Wording

FOLDER = Path(__file__).parent

NAVIGATION = (
    ("index.html", "Run"),
    ("evaluation.html", "Evaluation"),
    ("training.html", "Training"),
    ("data.html", "Data"),
    ("listening.html", "Listening"),
    ("catalogue.html", "Catalogue"),
)


class Site:
    """A folder of pages. Every address inside is relative, so the site opens from disk and from any server."""

    def __init__(self, out: OutputFolder, words: Wording = PIECES) -> None:
        self.root = out.root
        self._environment = _environment(words)
        _clear(self.root)
        for asset in sorted((FOLDER / "assets").iterdir()):
            write_atomic(self.root / "assets" / asset.name, asset.read_bytes())

    def page(self, address: str, template: str, **values: Any) -> None:
        """Render `template` to `address` (`listen/x.html`); templates reach the root by `up`."""
        up = "../" * address.count("/")
        text = self._environment.get_template(template).render(here=address, up=up, **values)
        write_atomic(self.root / address, text)

    def file(self, address: str, data: bytes) -> None:
        """Write a file of the site atomically."""
        write_atomic(self.root / address, data)

    def folder(self, address: str, source: Path, skip: tuple[str, ...] = (MANIFEST_NAME,)) -> None:
        """Copy a folder's files as they are."""
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            relative = path.relative_to(source)
            if relative.parts[0] not in skip:
                write_atomic(self.root / address / relative, path.read_bytes())


def write_page(root: Path, address: str, template: str, **values: Any) -> None:
    """One page outside the report's site, with its own navigation, in the same style."""
    for asset in ("site.css", "site.js", "mark.svg"):
        write_atomic(root / "assets" / asset, (FOLDER / "assets" / asset).read_bytes())
    text = _environment().get_template(template).render(here=address, up="../" * address.count("/"), **values)
    write_atomic(root / address, text)


def _clear(root: Path) -> None:
    """Remove what a killed run left: pages cost seconds, so they are all made again."""
    for path in root.iterdir():
        if path.name not in (PROGRESS_NAME, WORK_NAME):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _environment(words: Wording = PIECES) -> Environment:
    # autoescape for every template, whatever its name: titles and lyrics are other people's text
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        short=short,
        bytes=human_bytes,
        clock=clock,
        count=count,
        family=family_title,
        signed=signed,
        reason=plain_reason,
        key=key_symbol,
        chord=chord_symbol,
        records=records,
    )
    environment.globals.update(
        navigation=NAVIGATION,
        model_names=MODELS,
        conditions=CONDITIONS,
        skills=SKILLS,
        types=TYPES,
        splits=SPLITS,
        words=words,
        is_annotated_only=False,
    )
    return environment


def clock(seconds: float, decimals: int = 0) -> str:
    """`1:03` for 63 s, `1:03.4` with one decimal."""
    tenths = round(seconds * 10**decimals)
    minutes, rest = divmod(tenths, 60 * 10**decimals)
    width = 2 if decimals == 0 else 3 + decimals
    return f"{minutes}:{rest / 10**decimals:0{width}.{decimals}f}"


def records(number: int, port: str) -> str:
    """`406 chains` for the port `think`."""
    return count(number, UNITS[port])


def signed(value: float, digits: int = 0) -> str:
    """`+31` or `−4`, with a true minus; `+1.6` with one digit."""
    return f"{'+' if value >= 0 else '−'}{abs(value):.{digits}f}"


def plain_reason(name: str) -> str:
    """A reject reason with spaces for underscores."""
    return name.replace("_", " ")
