"""Secrets in files of their own: ``key_file`` stands for the content of a file as ``key``.

Such a file may be a credential that systemd hands to the service (``LoadCredential=``): the path
then begins with ``$CREDENTIALS_DIRECTORY/``.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from config.errors import Problem
from config.faults import fault, unreadable
from config.given import Given, Origin, Raw, Table, plain, shown
from config.values import NotAllowed, read_path

CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MAX_SECRET_BYTES = 64 * 1024


class SecretFiles(msgspec.Struct, frozen=True):
    """Where secrets may lie: relative paths are taken from *base*."""

    base: Path
    credentials: Path | None = None  # the folder of systemd, for a service it started


def replace_secret_files(
    table: Table, secrets: Iterable[str], files: SecretFiles, place: str
) -> tuple[Table, list[Problem]]:
    """Return *table* with each ``<secret>_file`` replaced by the secret it names, and what failed.

    A secret given both ways is a problem; blanks and line ends around the content are dropped.
    """
    result, problems = dict(table), list[Problem]()
    for name in secrets:
        key = f"{name}_file"
        if key not in table:
            continue
        raw = result.pop(key)
        where = f"{place}.{key}"
        if name in table:
            problems.append(Problem.of(where, "secret_twice", name=name, key=key))
            continue
        try:
            result[name] = _read(raw, files)
        except NotAllowed as error:
            problems.append(Problem(place=where, value=shown(raw), faults=error.faults))
    return result, problems


def _read(raw: Raw, files: SecretFiles) -> Given:
    path = _path(plain(raw), raw.base if isinstance(raw, Given) else files.base, files.credentials)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES)
        secret = content.decode("utf-8-sig").strip()
    except OSError as error:
        raise NotAllowed(unreadable(error)) from error
    except UnicodeDecodeError as error:
        raise NotAllowed(fault("secret_encoding")) from error
    if not secret:
        raise NotAllowed(fault("secret_empty"))
    return Given(secret, Origin("secret file", str(path)), files.base)


def _path(raw: Raw, base: Path, credentials: Path | None) -> Path:
    if not isinstance(raw, str) or not raw.startswith(f"${CREDENTIALS}/"):
        return read_path(raw, base)
    if credentials is None:
        raise NotAllowed(fault("no_credentials", variable=CREDENTIALS))
    return read_path(raw.removeprefix(f"${CREDENTIALS}/"), credentials)
