"""Which videos a folder holds. Standard library only: the Snakefile imports this at every parse."""

import hashlib
import os
import stat
from pathlib import Path

_NAMES = (
    "264 265 3g2 3gp amv asf av1 avi divx dv f4v flv gif h264 h265 hevc ivf lrv m1v m2ts m2v m4v mj2 mjpeg"
    " mjpg mkv mov mp4 mpe mpeg mpg mts mxf nut obu ogm ogv qt rm rmvb ts vob webm wmv wtv y4m"
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


def list_videos(folder: str | os.PathLike[str]) -> list[str]:
    """Videos in a folder and its subfolders, as sorted paths relative to it with "/" between their parts.

    Only regular files with a suffix of SUFFIXES count. Left out: hidden files and folders, links to folders,
    links to files outside the folder, and names that are not UTF-8.

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
            if _is_video_of(path, base) and _is_utf8(path):
                found.append(os.path.relpath(path, base).replace(os.sep, "/"))
    return sorted(found)


def folder_state(path: str | os.PathLike[str]) -> str:
    """Hash of relative path, size and modification time of the videos in a folder.

    Returns:
        16 hexadecimal digits, or "missing" for a folder that cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for name in list_videos(path):
            found = os.stat(Path(path, name))
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    except OSError:
        return "missing"
    return digest.hexdigest()[:16]


def _is_video_of(path: str, base: str) -> bool:
    if os.path.islink(path) and not os.path.realpath(path).startswith(base.rstrip(os.sep) + os.sep):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error
