"""Make a wheel without what is native in another: python-part.py WHEEL RESULT."""

import sys
import zipfile


def record_without(native: set[str], wheel_file: str, record: str) -> str:
    """Drop the lines of native files, and the digest of the file that is rewritten."""
    lines = []
    for line in record.splitlines():
        path = line.split(",")[0].strip('"')
        if path == wheel_file:
            lines.append(f"{path},,")
        elif path not in native:
            lines.append(line)
    return "\n".join(lines) + "\n"


def for_every_system(wheel: str) -> str:
    """Replace the tags by the one that every system supports."""
    lines = [line for line in wheel.splitlines() if line and not line.startswith(("Tag:", "Root-Is-Purelib:"))]
    return "\n".join([*lines, "Root-Is-Purelib: true", "Tag: py3-none-any"]) + "\n"


def main(source: str, target: str) -> None:
    """Write ``target``, of the files in ``source``."""
    with zipfile.ZipFile(source) as wheel, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as result:
        native = {path for path in wheel.namelist() if path.endswith(".so")}
        if not native:
            raise SystemExit(f"{source} has nothing native: take it as it is")
        (wheel_file,) = (path for path in wheel.namelist() if path.endswith(".dist-info/WHEEL"))
        for entry in wheel.infolist():
            content = wheel.read(entry)
            if entry.filename in native:
                continue
            if entry.filename == wheel_file:
                content = for_every_system(content.decode()).encode()
            elif entry.filename.endswith(".dist-info/RECORD"):
                content = record_without(native, wheel_file, content.decode()).encode()
            result.writestr(entry, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
