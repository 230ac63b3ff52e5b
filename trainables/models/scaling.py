"""Networks of other widths than the published ones."""


def narrow(channels: int, width: float) -> int:
    """That many channels in a network of the given width, at least one.

    Raises:
        ValueError: If the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"width must be greater than 0, got {width}")
    return max(1, round(channels * width))
