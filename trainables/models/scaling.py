"""Scaling of networks to widths other than the published ones."""


def scaled(channels: int, width: float) -> int:
    """The number of channels, scaled by the width and at least one.

    Raises:
        ValueError: If the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"width must be greater than 0, got {width}")
    return max(1, round(channels * width))
