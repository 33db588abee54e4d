"""Pictures as JPEG: full chroma, Huffman tables of each picture's own.

Any libjpeg-turbo decodes a file to the same pixels, so it does not matter which decoder a machine has.
"""

import importlib
import io
from collections.abc import Callable
from functools import cache

import numpy as np

Decode = Callable[[bytes, np.ndarray], None]


def encode(picture: np.ndarray, quality: int) -> bytes:
    """A picture (height, width, 3) uint8 RGB as a JPEG file.

    Args:
        picture: the pixels.
        quality: 1 to 100, libjpeg's scale.
    """
    from PIL import Image

    file = io.BytesIO()
    # Own tables save a tenth of the bytes; halved chroma would cost saturated edges 5 dB for 2 % more reading speed.
    Image.fromarray(picture).save(file, "jpeg", quality=quality, subsampling=0, optimize=True)
    return file.getvalue()


def decode(file: bytes, out: np.ndarray) -> None:
    """Decode a JPEG file into `out`, (height, width, 3) uint8 RGB.

    Raises:
        ValueError: no JPEG file, a broken one, or one of another size.
    """
    try:
        _decoder()(file, out)
    except (OSError, SyntaxError, TypeError) as error:
        raise ValueError(str(error)) from error


@cache
def _decoder() -> Decode:
    """The fastest decoder that is installed; Pillow is wherever torchvision is."""
    for module, decoder in DECODERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return decoder
    raise ImportError("reading JPEG shards needs simplejpeg, OpenCV or Pillow")


def _by_simplejpeg(file: bytes, out: np.ndarray) -> None:
    import simplejpeg

    if simplejpeg.decode_jpeg_header(file)[:2] != out.shape[:2]:
        raise ValueError(f"not a picture of {out.shape}")
    simplejpeg.decode_jpeg(file, buffer=out)


def _by_opencv(file: bytes, out: np.ndarray) -> None:
    import cv2

    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape != out.shape:
        raise ValueError(f"not a picture of {out.shape}")
    out[:] = picture


def _by_pillow(file: bytes, out: np.ndarray) -> None:
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(file)))
    if picture.shape != out.shape:
        raise ValueError(f"not a picture of {out.shape}")
    out[:] = picture


DECODERS: dict[str, Decode] = {"simplejpeg": _by_simplejpeg, "cv2": _by_opencv, "PIL": _by_pillow}
