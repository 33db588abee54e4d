"""Numbers and lists as a reader wants them."""

from collections.abc import Sequence

MINUS = "−"


def percent(fraction: float | None) -> str:
    """0.4312 as 43.1 %."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def points(fraction: float | None) -> str:
    """A difference of fractions in percentage points with its sign: +1.2."""
    if fraction is None:
        return "–"
    text = f"{100 * abs(fraction):.1f}"
    return text if text == "0.0" else f"{MINUS if fraction < 0 else '+'}{text}"


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many decimals, with a real minus sign."""
    if value is None or value != value:
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return text.replace("-", MINUS)


def whole(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def several(count: int, noun: str, plural: str = "") -> str:
    """1 clip, 2 clips."""
    return f"{whole(count)} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def duration(seconds: float | None) -> str:
    """3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def memory(mb: float | None) -> str:
    """MiB, or GiB from 1024 on."""
    if mb is None:
        return "–"
    return f"{mb:.0f} MiB" if mb < 1024 else f"{mb / 1024:.1f} GiB"
