"""Pictures as JPEG: colour at half the width (4:2:2).

Any libjpeg-turbo decodes a file to the same pixels, and with the accurate transform encodes pixels to the same file. So
it does not matter which coder a machine has: where an exported encoder is used, there may be only Pillow.
"""

import importlib
import io
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np

C = TypeVar("C")
Encode = Callable[[np.ndarray, int], bytes]
Decode = Callable[[memoryview, np.ndarray], None]


def encode(picture: np.ndarray, quality: int) -> bytes:
    """A picture (height, width, 3) uint8 RGB as a JPEG file.

    Args:
        picture: the pixels.
        quality: 1 to 100, libjpeg's scale.
    """
    # At equal bytes, 4:2:2 reads a tenth faster than 4:4:4 at the same PSNR; 4:2:0 would read another tenth faster,
    # but costs saturated edges 1.5 dB more. Huffman tables of each picture's own would save 7 % of the bytes at a
    # quarter of the speed.
    return _encoder()(picture, quality)


def decode(file: bytes | memoryview, out: np.ndarray) -> None:
    """Decode a JPEG file into `out`, (height, width, 3) uint8 RGB.

    Raises:
        ValueError: no JPEG file, a broken one, or one of another size.
    """
    try:
        _decoder()(memoryview(file), out)
    except (OSError, SyntaxError, TypeError) as error:
        raise ValueError(str(error)) from error


@cache
def _encoder() -> Encode:
    """The fastest encoder that is installed. simplejpeg is none: it has the fast, inaccurate transform only."""
    return _first_installed(ENCODERS)


@cache
def _decoder() -> Decode:
    """The fastest decoder that is installed; Pillow is wherever torchvision is."""
    return _first_installed(DECODERS)


def _first_installed(coders: dict[str, C]) -> C:
    for module, coder in coders.items():
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return coder
    raise ImportError(f"frames stored as JPEG need one of the packages {', '.join(coders)}")


def _to_opencv(picture: np.ndarray, quality: int) -> bytes:
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
    settings.append(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)[1].data)


def _to_pillow(picture: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:2")
    return file.getvalue()


def _by_simplejpeg(file: memoryview, out: np.ndarray) -> None:
    import simplejpeg

    if simplejpeg.decode_jpeg(file, buffer=out).shape != out.shape:
        raise ValueError(f"not a picture of {out.shape}")


def _by_opencv(file: memoryview, out: np.ndarray) -> None:
    import cv2

    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape != out.shape:
        raise ValueError(f"not a picture of {out.shape}")
    out[:] = picture


def _by_pillow(file: memoryview, out: np.ndarray) -> None:
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(file)))
    if picture.shape != out.shape:
        raise ValueError(f"not a picture of {out.shape}")
    out[:] = picture


ENCODERS: dict[str, Encode] = {"cv2": _to_opencv, "PIL": _to_pillow}
DECODERS: dict[str, Decode] = {"simplejpeg": _by_simplejpeg, "cv2": _by_opencv, "PIL": _by_pillow}
