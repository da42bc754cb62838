"""The file ``.env``: its variables, and its mistakes."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Collection
from io import StringIO
from pathlib import Path

from catena_core.errors import UsageError
from catena_core.extras import not_installed
from catena_core.text import redacted

try:
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream
except ImportError as error:  # every link and command of the catalogue comes by here first
    raise not_installed(error, "what the catalogue needs", "catalogue") from error

FILE = "CATENA_ENV_FILE"
"""The variable that names another file than ``.env``; empty: none, as for the processes of ``catena up``."""

# One letter too many, too few or wrong in a name of ten.
_ALIKE = 0.85
_NAME_OF_A_SECRET = re.compile(r"[^\s=:]*(?:passw|secret|token|key|credential|mnemonic)[^\s=:]*", re.IGNORECASE)
_LONGEST_SHOWN = 80
_REFERENCE = re.compile(r"\$\{([^}:]*)\}")

# mistakes() names the file and the line, which this logger does not.
logging.getLogger("dotenv.main").setLevel(logging.ERROR)


def env_file() -> str:
    """Return the path of the file with settings; empty if there is to be none.

    Raises:
        UsageError: The environment names a file that does not exist.
    """
    named = os.environ.get(FILE)
    if named and not os.path.exists(named):  # noqa: PTH110 (no error for long names)
        raise UsageError(f"{FILE}={named}: there is no such file; leave it out for .env, or empty for no file")
    return ".env" if named is None else named


def read_env_file(path: str | Path) -> dict[str, str]:
    """Read the variables in a file, which need not exist.

    Args:
        path: The file; empty for none.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        return {name: value for name, value in dotenv_values(path or os.devnull).items() if value is not None}
    except UnicodeDecodeError as error:
        line = Path(path).read_bytes().count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path} cannot be read: line {line} is not UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def mistakes(path: str | Path, known: Collection[str]) -> list[str]:
    """Return the mistakes in a file, in sentences: lines without a variable, and misspelt names.

    Other programs read the same file, so only a name that is close to a known one counts as misspelt.

    Args:
        path: The file, which need not exist.
        known: The names of all settings.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except IsADirectoryError:
        told = f"{path} is a directory, not a file of settings; Docker makes one where a file to mount is missing"
        return [told] if path else []
    except FileNotFoundError:
        return [f"{path} is a link to {Path(path).readlink()}, where no file is"] if Path(path).is_symlink() else []
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(text)):
        # A binding begins with the blank lines before it.
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        if binding.error:
            found.append(
                f"{path}, line {line}: {_shown(binding.original.string.strip())!r} is no NAME=VALUE; it is left out"
            )
        elif binding.key and (mistake := misspelt(binding.key, known)):
            found.append(f"{path}, line {line}: {mistake}")
        elif binding.key in known and binding.value is None and binding.key not in os.environ:
            # A bare name stands for the variable of the environment, as in files for containers.
            found.append(f"{path}, line {line}: {binding.key} has no value, here or in the environment; it is left out")
        elif binding.key in known and (unset := _unset(binding.value or "", lines)):
            found.append(
                f"{path}, line {line}: {binding.key} refers to ${{{unset}}}, which is not set: nothing stands in its place"
            )
        elif binding.key in known and binding.key in lines:
            found.append(
                f"{path}, line {line}: {binding.key} stands in line {lines[binding.key]}, too; this line counts"
            )
        lines[binding.key or ""] = line
    return found


def _unset(value: str, before: Collection[str]) -> str:
    """Return the first variable to which a value refers, without a default, that no line before and no environment sets."""
    return next((name for name in _REFERENCE.findall(value) if name not in before and name not in os.environ), "")


def misspelt(name: str, known: Collection[str]) -> str:
    """Say which setting a name means that is close to one; return an empty text for any other name.

    Args:
        name: The name of a variable.
        known: The names of all settings.
    """
    meant = [] if name in known else difflib.get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)
    return f"there is no setting {name}; did you mean {meant[0]}?" if meant else ""


def _shown(line: str) -> str:
    """Return a line as messages show it, without the secret that it may mean to set."""
    name = _NAME_OF_A_SECRET.match(line)
    return f"{name[0]} …" if name and name[0] != line else redacted(line[:_LONGEST_SHOWN])
