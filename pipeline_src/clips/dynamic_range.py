"""High dynamic range to the standard one, with filters that every build of ffmpeg has (zscale is optional).

    PQ or HLG --EOTF--> light of 0 to 1,000 cd/m2 --matrix--> BT.709 primaries --tone curve, BT.1886--> 8 bits

Without it such pictures look grey and flat: their codes are spread over 1,000 to 10,000 cd/m2 and wider colours.
"""

from typing import Any

PEAK = 1000.0  # cd/m2; brighter light is cut off.
WHITE = 203.0  # cd/m2 of diffuse white in HDR, ITU-R BT.2408.
KNEE = 0.5  # fraction of diffuse white's light up to which nothing changes.
# Linear RGB from BT.2020 to BT.709 primaries, ITU-R BT.2087, rows r, g, b.
PRIMARIES = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
CODE = "val/maxval"
# SMPTE ST 2084, equation 4.1, as a fraction of PEAK.
_POWER = f"pow({CODE},{32 / 2523!r})"
_RATIO = f"max({_POWER}-{107 / 128!r},0)/({2413 / 128!r}-{2392 / 128!r}*{_POWER})"
PQ = f"{10_000 / PEAK!r}*pow({_RATIO},{8192 / 1305!r})"
# ITU-R BT.2100 table 5: inverse OETF, then the OOTF of a display of 1,000 cd/m2. That multiplies by luminance^0.2,
# which no table per channel can: channel^1.2 is right for greys and strengthens colours 1.2 times, which mixing with
# the luminance takes back.
OOTF = 1.2
HLG = f"pow(if(lte({CODE},0.5),{CODE}*{CODE}/3,(exp(({CODE}-0.55991073)/0.17883277)+0.28466892)/12),{OOTF})"
LUMINANCE = (0.2627, 0.6780, 0.0593)


def standard_range(transfer: str) -> list[tuple[str, dict[str, Any]]]:
    """Filters, as names and options.

    Args:
        transfer: pq or hlg, of pictures in BT.2020 colours, RGB or YUV; what comes out is 16-bit RGB in BT.709 colours.
    """
    light = f"maxval*min(1,{PQ if transfer == 'pq' else HLG})"
    grey = 0.0 if transfer == "pq" else 1 - 1 / OOTF
    weights = {
        f"{to}{of}": f"{(1 - grey) * weight + grey * share:.6f}"
        for to, row in zip("rgb", PRIMARIES, strict=True)
        for of, weight, share in zip("rgb", row, LUMINANCE, strict=True)
    }
    shown = f"maxval*pow({_tone(f'({CODE}*{PEAK / WHITE!r})')},{1 / 2.4!r})"
    return [
        ("format", {"pix_fmts": "gbrp16"}),
        ("lutrgb", {"r": light, "g": light, "b": light}),
        ("colorchannelmixer", weights),
        ("lutrgb", {"r": shown, "g": shown, "b": shown}),
    ]


def _tone(light: str) -> str:
    """Light relative to diffuse white to 0..1: unchanged up to KNEE, then a hyperbola of equal slope that ends at PEAK.

    The curve that ffmpeg's tonemap filter calls mobius.
    """
    peak = PEAK / WHITE
    a = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    b = (KNEE**2 - 2 * KNEE * peak + peak) / (peak - 1)
    scale = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a)
    return f"if(lte({light},{KNEE}),{light},{scale!r}*({light}+{a!r})/({light}+{b!r}))"
