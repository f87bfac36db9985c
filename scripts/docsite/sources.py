"""Pages of files and folders that other pages link to: a file as its text, a folder as pictures and a list."""

from pathlib import Path

from scripts.docsite.links import PICTURES, ROOT

LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".yaml": "yaml", ".sh": "bash"}
MOST = 40_000  # characters of a file that are shown


def source_page(path: str) -> str:
    """Return the page of a file or folder at its path in the repository."""
    file = ROOT / path
    return _folder(path, file) if file.is_dir() else _file(path, file)


def _file(path: str, file: Path) -> str:
    try:
        text = file.read_text()
    except UnicodeDecodeError:  # results, say
        return f"# {_title(path)}\n\nNo text: {file.stat().st_size / 1000:,.1f} kB, in the repository.\n"
    if file.suffix == ".md":
        return text
    note = f"The first {MOST:,} of {len(text):,} characters; the rest is in the repository.\n\n"
    fence = f"~~~~~~ {LANGUAGES.get(file.suffix, 'text')}\n{text[:MOST].rstrip()}\n~~~~~~\n"
    return f"# {_title(path)}\n\n{note if len(text) > MOST else ''}{fence}"


def _folder(path: str, folder: Path) -> str:
    files = sorted(item for item in folder.rglob("*") if item.is_file() and "__pycache__" not in item.parts)
    names = [item.relative_to(folder).as_posix() for item in files]
    pictures = [name for name in names if name.endswith(PICTURES) and path.startswith("docs/")]
    shown = [f"![{name}]({name})\n\n*{name}*" for name in pictures]
    rows = [f"| `{name}` | {item.stat().st_size / 1000:,.1f} |" for name, item in zip(names, files, strict=True)]
    table = "\n".join(["| file of the repository | kB |", "|---|---|", *rows])
    return "\n\n".join([f"# {_title(path)}", *shown, table]) + "\n"


def _title(path: str) -> str:
    return path.replace("_", "\\_")
