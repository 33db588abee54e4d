"""Pictures as JPEG: colour at half the width (4:2:2).

Any libjpeg-turbo decodes a file to the same pixels, so it does not matter which decoder a machine has.
"""

import importlib
import io
from collections.abc import Callable
from functools import cache

import numpy as np

Decode = Callable[[memoryview, np.ndarray], None]


def encode(picture: np.ndarray, quality: int) -> bytes:
    """A picture (height, width, 3) uint8 RGB as a JPEG file.

    Args:
        picture: the pixels.
        quality: 1 to 100, libjpeg's scale.
    """
    import simplejpeg

    # At equal bytes, 4:2:2 reads a tenth faster than 4:4:4 at the same PSNR; 4:2:0 would read another tenth faster,
    # but costs saturated edges 1.5 dB more. Huffman tables of each picture's own would save 7 % of the bytes at a
    # quarter of the speed.
    return bytes(simplejpeg.encode_jpeg(picture, quality, "RGB", "422", fastdct=False))


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
def _decoder() -> Decode:
    """The fastest decoder that is installed; Pillow is wherever torchvision is."""
    for module, decoder in DECODERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return decoder
    raise ImportError("reading JPEG shards needs simplejpeg, OpenCV or Pillow")


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


DECODERS: dict[str, Decode] = {"simplejpeg": _by_simplejpeg, "cv2": _by_opencv, "PIL": _by_pillow}
