"""The lock: expected digests of every file of every pinned artefact.

``goldens/lock.json`` holds, by name, the sha256 of each file of an artefact. Where one has none yet, ``unconfirmed``
says why: by the artefact's own name, or by the name without its last part for all that have no entry of their own
(``mlpackages.htdemucs`` for every variant of that model). ``goldens/contents/<name>.txt`` lists what a locked artefact
holds, so that a mismatch can be named.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import atomic_file, sha256_file
from htdemucs_coreml.package.contents import differences
from htdemucs_coreml.package.digests import tree_sha256
from htdemucs_coreml.package.files import read_package_files
from htdemucs_coreml.package.listing import list_artefact

LOCK_VERSION = 2

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LockError(HTDemucsCoreMLError):
    """The lock is malformed, or an artefact is not what it says."""


@dataclass(frozen=True)
class LockEntry:
    """What is known of an artefact.

    Attributes
    ----------
    files : Mapping[PurePosixPath, str] or None
        Expected sha256 of each file by its path in the artefact; None where nothing is confirmed.
    reason : str or None
        Why nothing is confirmed.
    """

    files: Mapping[PurePosixPath, str] | None
    reason: str | None


@dataclass(frozen=True)
class Lock:
    """A lock as it was read.

    Attributes
    ----------
    artefacts : Mapping[str, LockEntry]
        What is confirmed, by the artefact's name.
    unconfirmed : Mapping[str, str]
        Why others are not: reasons by an artefact's name, or by a name without its last part.
    """

    artefacts: Mapping[str, LockEntry]
    unconfirmed: Mapping[str, str]

    def find(self, name: str) -> LockEntry | None:
        """The entry of an artefact; one without digests if only a reason is known, None if nothing is."""
        if name in self.artefacts:
            return self.artefacts[name]
        reason = self.unconfirmed.get(name, self.unconfirmed.get(name.rpartition(".")[0]))
        return None if reason is None else LockEntry(files=None, reason=reason)


@dataclass(frozen=True)
class LockVerdict:
    """The comparison of an artefact with its entry.

    Attributes
    ----------
    sha256 : str
        Digest of the artefact as a whole.
    confirmed : bool
        Whether the entry holds digests and all of them agree.
    differences : tuple of str
        What differs, a line each.
    reason : str or None
        Why an entry without digests has none.
    """

    sha256: str
    confirmed: bool
    differences: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class LockChange:
    """What became of an artefact's entry.

    Attributes
    ----------
    before : str or None
        Digest of the artefact as a whole as it was locked; None if it was not.
    after : str
        The same now.
    differences : tuple of str
        What changed inside, a line each.
    """

    before: str | None
    after: str
    differences: tuple[str, ...]


def read_lock(path: Path) -> Lock:
    """Read a lock strictly: ``goldens/lock.schema.json`` says what it may hold.

    Raises
    ------
    LockError
        If the file cannot be read or is malformed.
    """
    try:
        table = json.loads(path.read_bytes(), object_pairs_hook=_without_repetition)
        _require_keys("the lock", table, {"version", "artefacts", "unconfirmed"})
        if type(table["version"]) is not int or table["version"] != LOCK_VERSION:
            raise ValueError(f"version {table['version']!r} is unknown")
        for name in (*table["artefacts"], *table["unconfirmed"]):
            _require_name(name)
        artefacts = {name: _entry(name, fields) for name, fields in table["artefacts"].items()}
        unconfirmed = {name: _reason(name, reason) for name, reason in table["unconfirmed"].items()}
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}") from error
    except (LockError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LockError(f"{path} is not a valid lock: {error}") from error
    return Lock(artefacts, unconfirmed)


def digest_artefact(path: Path) -> dict[PurePosixPath, str]:
    """sha256 of each file of an artefact by its path in it; of a single file, under the path ``.``.

    Raises
    ------
    LockError
        If it cannot be read.
    PackageError
        If a folder is not a package.
    """
    files = read_package_files(path) if path.is_dir() else {PurePosixPath("."): path}
    try:
        return {relative: sha256_file(file) for relative, file in files.items()}
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}") from error


def compare_with_lock(path: Path, entry: LockEntry, contents: Path) -> LockVerdict:
    """Compare an artefact with its entry; a mismatch names files and what is listed of their content.

    Parameters
    ----------
    path : Path
        A package or a single file.
    entry : LockEntry
        What is expected.
    contents : Path
        The listing of the expected artefact; it need not exist.

    Raises
    ------
    LockError
        If the artefact or its listing cannot be read.
    PackageError
        If a folder is not a package.
    """
    digests = digest_artefact(path)
    sha256 = tree_sha256(digests)
    if entry.files is None:
        return LockVerdict(sha256, confirmed=False, differences=(), reason=entry.reason)
    found = _different_files(entry.files, digests, ("expected", "got"))
    expected = _read_listing(contents) if found else None
    if expected is not None:
        actual, damage = list_artefact(path)
        found += [damage] if damage is not None else []
        found += differences(expected, actual) if actual else []
    return LockVerdict(sha256, confirmed=not found, differences=tuple(found), reason=None)


def update_lock(path: Path, name: str, lock: Path, contents: Path) -> LockChange:
    """Write an artefact's digests into the lock, and its listing.

    Parameters
    ----------
    path : Path
        A package or a single file.
    name : str
        The artefact's name in the lock.
    lock, contents : Path
        The lock, and the listing of the artefact, which need not exist.

    Raises
    ------
    LockError
        If the lock or the artefact cannot be read, the artefact is damaged, or the name cannot be one.
    PackageError
        If a folder is not a package.
    """
    before = read_lock(lock).artefacts.get(name)
    _require_name(name)
    digests = digest_artefact(path)
    listing, damage = list_artefact(path)
    if damage is not None:
        raise LockError(f"{path} cannot be locked: {damage}")
    found = _different_files({} if before is None else before.files or {}, digests, ("was", "is"))
    listed = _read_listing(contents)
    if before is not None and listed is not None:
        found += differences(listed, listing, words=("was", "is"))
    table: dict[str, Any] = json.loads(lock.read_bytes())
    table["artefacts"][name] = {"files": {str(file): digests[file] for file in sorted(digests, key=str)}}
    table["unconfirmed"].pop(name, None)
    _write_table(lock, table)
    if listing:
        contents.parent.mkdir(parents=True, exist_ok=True)
        _write_text(contents, "\n".join(listing) + "\n")
    known = None if before is None or before.files is None else tree_sha256(before.files)
    return LockChange(known, tree_sha256(digests), tuple(found))


def drop_reason(name: str, lock: Path) -> str | None:
    """Take the reason of a name out of the lock, once every artefact that it was for is confirmed; returns it.

    Raises
    ------
    LockError
        If the lock cannot be read.
    """
    reason = read_lock(lock).unconfirmed.get(name)
    if reason is not None:
        table = json.loads(lock.read_bytes())
        del table["unconfirmed"][name]
        _write_table(lock, table)
    return reason


def _write_table(lock: Path, table: Mapping[str, Any]) -> None:
    _write_text(lock, json.dumps(table, indent=2, sort_keys=True) + "\n")


def _different_files(
    before: Mapping[PurePosixPath, str], after: Mapping[PurePosixPath, str], words: tuple[str, str]
) -> list[str]:
    return [
        f"file {file}: {words[0]} sha256 {before.get(file, 'none')}, {words[1]} {after.get(file, 'none')}"
        for file in sorted(before.keys() | after.keys(), key=str)
        if before.get(file) != after.get(file)
    ]


def _read_listing(contents: Path) -> list[str] | None:
    try:
        return contents.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{contents} cannot be read: {error}; run `just relock`") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError(f"a name occurs twice among {sorted(name for name, _ in pairs)}")
    return table


def _require_keys(what: str, table: Any, keys: set[str]) -> None:
    if not isinstance(table, dict) or set(table) != keys:
        raise ValueError(f"{what} does not hold {', '.join(sorted(keys))} and nothing else")


def _require_name(name: str) -> None:
    """A name is part of a path: of the artefact's listing."""
    if not _NAME.fullmatch(name):
        raise LockError(f"{name!r} is no name of an artefact: those are made of a to z, 0 to 9, _ and -, joined by .")


def _entry(name: str, fields: Any) -> LockEntry:
    _require_keys(name, fields, {"files"})
    if not isinstance(fields["files"], dict) or not fields["files"]:
        raise ValueError(f"{name} has no files")
    for file, digest in fields["files"].items():
        if not _is_relative(file):
            raise ValueError(f"{name} has a file {file!r}, which is no plain relative path")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError(f"{name} has a sha256 of {file} that is not 64 digits 0-9, a-f")
    return LockEntry({PurePosixPath(file): digest for file, digest in fields["files"].items()}, reason=None)


def _is_relative(file: str) -> bool:
    return file == "." or not any(part in ("", ".", "..") for part in file.split("/"))


def _reason(name: str, reason: Any) -> str:
    if not isinstance(reason, str) or not reason:
        raise ValueError(f"{name} is unconfirmed without a reason")
    return reason


def _write_text(path: Path, text: str) -> None:
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
