"""Measurements inside a network, taken in the forward pass that measures its accuracy."""

from trainables.probes.moments import ChannelMagnitudes, ChannelMoments

__all__ = ["ChannelMagnitudes", "ChannelMoments"]
