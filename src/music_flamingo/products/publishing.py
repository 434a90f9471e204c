"""Data sets and releases on a hub of the Hugging Face kind: verified first, then one commit that is whole or absent.

What lies in the repository and no longer in the port is taken away in the same commit. Recordings are never sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from music_flamingo.core.errors import TransientError, UserError
from music_flamingo.core.manifest import MANIFEST_NAME, Manifest, verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi

KINDS = {"skills": "dataset", "think": "dataset", "release": "model"}
"""Ports that may be published -> the hub's kind of repository."""
THEIRS = (".gitattributes",)
"""Files that the hub keeps of its own."""
REFUSED = "refused"


@dataclass(frozen=True)
class Publication:
    """A commit on the hub."""

    url: str
    digest: str
    num_files: int
    num_removed: int
    licences: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Format it for a terminal."""
        removed = f", {self.num_removed} removed that are no longer part of it" if self.num_removed else ""
        yield f"{self.url}: {self.num_files} files{removed}, digest {self.digest[:16]}"
        if self.licences:
            yield f"made with: {', '.join(self.licences)}. Read their conditions before you make it public."


def publish(root: Path, repository: str, is_private: bool = True, endpoint: str | None = None) -> Publication:
    """Send a finished port to `repository` (OWNER/NAME), which is made where it is missing.

    Raises UserError for a port that holds recordings, a refused release, a missing token or a hub that declines;
    CorruptDataError for a port that is not what it was sealed as; TransientError for a hub that is away.
    """
    from huggingface_hub import HfApi

    manifest = verify(root)
    if manifest.port not in KINDS:
        raise UserError(f"`{manifest.port}` is not published. Choose one of: {', '.join(KINDS)}; recordings stay here.")
    if manifest.metrics.get("status") == REFUSED:
        raise UserError(f"{root} was refused: {'; '.join(manifest.metrics.get('reasons', []))}. It is not published.")
    return _sent(HfApi(endpoint=endpoint, token=_token()), root, manifest, repository, is_private)


def _token() -> str:
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise UserError("no token for the hub. Set HF_TOKEN to one that may write, or run `hf auth login`.")
    return token


def _sent(api: "HfApi", root: Path, manifest: Manifest, repository: str, is_private: bool) -> Publication:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled

    about: dict[str, Any] = {"repo_id": repository, "repo_type": KINDS[manifest.port]}
    try:
        api.create_repo(**about, private=is_private, exist_ok=True)
        operations, num_removed = _operations(api, about, root, manifest)
        message = f"{manifest.port} {manifest.digest[:16]}"
        commit = api.create_commit(**about, operations=operations, commit_message=message)
    except OfflineModeIsEnabled as error:
        raise UserError("HF_HUB_OFFLINE is set: nothing is sent. Unset it to publish.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        kind = TransientError if status >= 500 or status == 429 else UserError
        raise kind(f"the hub declines {repository} ({status}): {error.server_message or error}") from error
    except HFValidationError as error:
        raise UserError(f"{repository!r} is no name of a repository: {error}") from error
    except (HTTPError, OSError) as error:
        raise TransientError(f"the hub cannot be reached: {error}") from error
    licences = tuple(f"{licence.tool} ({licence.licence})" for licence in manifest.licences)
    return Publication(commit.commit_url, manifest.digest, len(manifest.files) + 1, num_removed, licences)


def _operations(api: "HfApi", about: dict[str, Any], root: Path, manifest: Manifest) -> tuple[list[Any], int]:
    """What the commit does: every file of the port and its manifest added, what is no part of it removed."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    names = [entry.path for entry in manifest.files] + [MANIFEST_NAME]
    gone = sorted(set(api.list_repo_files(**about)) - {*names, *THEIRS})
    added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=root / name) for name in names]
    return [*added, *(CommitOperationDelete(path_in_repo=name) for name in gone)], len(gone)
