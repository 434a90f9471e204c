"""Run DVC's command line in a folder whose name may hold braces.

DVC 3 puts the path of its cache into a template before it fills the template in: `{}` in a folder's name ends it.
"""

import sys
from typing import Any

from dvc.cli import main
from dvc_data.hashfile import _progress


class QueryingProgressOfAnyName(_progress.QueryingProgress):
    """The progress of a look into the cache, whose name may hold braces."""

    def __init__(self, iterable: Any = None, *, name: str | None = None, **options: Any) -> None:
        super().__init__(iterable, name=name and name.replace("{", "{{").replace("}", "}}"), **options)


if __name__ == "__main__":
    _progress.QueryingProgress = QueryingProgressOfAnyName  # type: ignore[assignment,misc]
    sys.exit(main())
