"""Errors that a user can mend: shown as one line, exit code 2."""


class UserError(Exception):
    """Names the setting or file, the value found and what is allowed or what to do."""


class DiskFullError(UserError):
    """There was no space left for an output."""
