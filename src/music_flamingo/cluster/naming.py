"""Make valid Kubernetes resource names from the names of profiles, runs and steps."""

import re

from music_flamingo.core.errors import UserError

MOST = 63
"""Characters of a name that may become a label's value or a host's, too."""


def resource_name(text: str, most: int = MOST) -> str:
    """Lower case letters, digits and single hyphens, beginning and ending with a letter or digit, `most` at most.

    Raises UserError where nothing of the text is left.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:most].strip("-")
    if not name:
        raise UserError(f"{text!r} gives no name of a resource: it needs a letter a to z or a digit.")
    return name


def joined(*parts: str) -> str:
    """A name that an operator makes of others, with hyphens. Raises UserError where it is longer than names may be."""
    name = "-".join(parts)
    if len(name) > MOST:
        raise UserError(f"{name} has {len(name)} characters, and a name may have {MOST}: shorten {parts[0]}.")
    return name
