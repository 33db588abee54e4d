"""Videos in a folder."""

import os
import stat

from pipeline_src.errors import UserError

_NAMES = (
    "264 265 3g2 3gp amv asf av1 avi divx dv f4v flv gif h264 h265 hevc ivf lrv m1v m2ts m2v m4v mj2 mjpeg"
    " mjpg mkv mov mp4 mpe mpeg mpg mts mxf nut obu ogm ogv qt rm rmvb ts vob webm wmv wtv y4m"
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


def list_videos(folder: str | os.PathLike[str], *, any_name: bool = False) -> list[str]:
    """Videos in a folder and its subfolders, as sorted paths relative to it with "/" between their parts.

    Only regular files with a suffix of SUFFIXES count. Left out: hidden files and folders, links to folders,
    links to files outside the folder, and names that are not UTF-8, unless any_name.

    Raises:
        OSError: the folder or a subfolder cannot be read.
    """
    base = os.path.realpath(folder)
    found = []
    for here, folders, files in os.walk(base, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = os.path.join(here, name)
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in SUFFIXES:
                continue
            if is_within(path, base) and (any_name or is_utf8(path)):
                found.append(os.path.relpath(path, base).replace(os.sep, "/"))
    return sorted(found)


def videos_of(path: str, setting: str) -> list[str]:
    """`list_videos` of the folder that a setting names.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    if not os.path.isdir(path):
        raise UserError(f"{setting}: {path!r} - allowed: an existing folder of videos")
    try:
        return list_videos(path)
    except OSError as error:
        raise UserError(f"{setting}: {error.filename!r} - cannot be read: {error.strerror}") from error


def is_within(path: str, base: str) -> bool:
    """Whether a path is a regular file, and no link to one outside of `base`, which is a real path."""
    if os.path.islink(path) and not os.path.realpath(path).startswith(base.rstrip(os.sep) + os.sep):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def is_utf8(path: str) -> bool:
    """Whether a path can be written to a table: Linux lets a name be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error
