"""Every error that Inkling raises on purpose: what happened, what to do about it, and the data."""

from __future__ import annotations

from typing import Any


class InklingError(Exception):
    """The one root. `hint` says what to do, in a sentence for a resident; `data` is for logs and `--json`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the form in which `--json` prints it."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint, **self.data}


class StoreError(InklingError):
    """The database can't do what was asked."""


class DiskFullError(StoreError):
    """There is no room; nothing of the batch was written, so that it can be tried again."""


class ReadOnlyError(StoreError):
    """The database, or its folder, can't be written."""


class BusyError(StoreError):
    """Another process holds the database."""


class MissingStoreError(StoreError):
    """There is no database yet, and this access may not make one."""


class OlderSchemaError(StoreError):
    """The database needs an upgrade that only its writer may do."""


class NewerSchemaError(StoreError):
    """The database was written by a newer Inkling."""


class MigrationError(StoreError):
    """An upgrade failed and was rolled back."""


class CorruptError(StoreError):
    """The database is damaged, or isn't one."""


class UnreachableError(StoreError):
    """The database server doesn't answer, or doesn't let us in."""


class ImportSourceError(InklingError):
    """A file to import from isn't what it should be."""
