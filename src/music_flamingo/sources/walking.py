"""Walk a folder: list every entry once, with the reason against it where there is one. Only folders are opened.

A folder behind a symbolic link is followed once; a link that leads back is known by what it leads to. Hidden entries
and those that systems leave (a trash, thumbnails) are one entry each, whatever lies in them.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from music_flamingo.core.errors import UserError

SYSTEM_NAMES = frozenset(
    {"__macosx", "lost+found", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"}
)
"""In lower case: left by systems, never by people."""


@dataclass(frozen=True)
class FolderEntry:
    """A file's name, size (bytes), modification time (ns), and problem if it has one."""

    name: str
    """The path below the folder. Bytes that are no UTF-8 are surrogates in it."""
    num_bytes: int = 0
    mtime_ns: int = 0
    problem: str | None = None
    """Why it is not taken: `broken_link`, `link_loop`, `linked_again`, `hidden`, `not_a_file`,
    `folder_named_like_a_song`, `unreadable_folder`."""


def walk(root: Path, suffixes: tuple[str, ...], leave_out: str) -> list[FolderEntry]:
    """Everything below `root` in order of name. `suffixes`: those of songs; `leave_out`: a file that is no song."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder. Set ingest.source.path to a folder of audio files.")
    seen = _Walk(root, suffixes, leave_out)
    seen.folders("")
    while seen.links:
        seen.follow(seen.links.pop(0))
    return sorted(seen.entries, key=lambda e: os.fsencode(e.name))


@dataclass
class _Walk:
    root: Path
    suffixes: tuple[str, ...]
    leave_out: str
    entries: list[FolderEntry] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """To folders: followed when all real folders are known, in order."""
    seen: set[tuple[int, int]] = field(default_factory=set)

    def folders(self, name: str) -> None:
        """A folder and all below it."""
        waiting = [name]
        while waiting:
            here = waiting.pop()
            try:
                state = (self.root / here).stat()
                children = sorted(child.name for child in os.scandir(self.root / here))
            except OSError:
                self._refuse(here, "unreadable_folder")
                continue
            if (state.st_dev, state.st_ino) in self.seen:
                self._refuse(here, "linked_again")
                continue
            self.seen.add((state.st_dev, state.st_ino))
            waiting += [inner for child in children if (inner := self._take(f"{here}/{child}" if here else child))]

    def follow(self, name: str) -> None:
        target = (self.root / name).resolve()
        if target.is_relative_to("/proc") or target.is_relative_to("/sys") or target.is_relative_to("/dev"):
            self._refuse(name, "not_a_file")  # what lies there is no folder of a disk, and is another in a moment
        elif self.root.resolve().is_relative_to(target):
            self._refuse(name, "link_loop")
        else:
            self.folders(name)

    def _take(self, name: str) -> str | None:
        """Note an entry; gives the name of a folder that is to be entered."""
        path, last = self.root / name, name.rpartition("/")[2]
        if name == self.leave_out:
            return None
        if last.startswith(".") or last.casefold() in SYSTEM_NAMES:
            return self._refuse(name, "hidden")
        try:
            state = path.stat()
        except OSError as error:
            return self._refuse(name, "link_loop" if error.errno == errno.ELOOP else "broken_link")
        if stat.S_ISDIR(state.st_mode):
            if path.suffix.casefold() in self.suffixes:
                self._refuse(name, "folder_named_like_a_song")
            if path.is_symlink():
                self.links.append(name)
                return None
            return name
        if not stat.S_ISREG(state.st_mode) or (path.is_symlink() and path.resolve().is_relative_to("/proc")):
            return self._refuse(name, "not_a_file")
        self.entries.append(FolderEntry(name, state.st_size, state.st_mtime_ns))
        return None

    def _refuse(self, name: str, problem: str) -> str | None:
        """Note an entry that is not taken; gives None: there is nothing to enter."""
        self.entries.append(FolderEntry(name, problem=problem))
        return None
