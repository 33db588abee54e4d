"""Where the ffmpeg program is."""

import shutil

from pipeline_src.errors import UserError


def ffmpeg_path() -> str:
    """The ffmpeg on PATH, or else the one that the imageio-ffmpeg package ships.

    Raises:
        UserError: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise UserError(
            "ffmpeg: not found on PATH; allowed: install ffmpeg, or the Python package imageio-ffmpeg "
            "on a platform that it ships one for"
        ) from error
