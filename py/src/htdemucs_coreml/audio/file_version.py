"""Whether a file is still what it was."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileVersion:
    """Which file is at a path, and what tells whether somebody wrote into it.

    Attributes
    ----------
    device, inode : int
        The file, whatever is in it.
    size_bytes, modified_ns : int
        Its length and the time of its last change.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    @classmethod
    def of_status(cls, status: os.stat_result) -> "FileVersion":
        """Take the version from what the system says of a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    @classmethod
    def at(cls, path: Path) -> "FileVersion | None":
        """Return the version of the file at a path, or None where there is none any more."""
        try:
            return cls.of_status(path.stat())
        except OSError:
            return None

    def was_written_into(self, now: "FileVersion | None") -> bool:
        """Tell whether this very file changed.

        One that was removed, or has another in its place, can still be read as it was by whoever has it open.
        """
        return now is not None and (now.device, now.inode) == (self.device, self.inode) and now != self
