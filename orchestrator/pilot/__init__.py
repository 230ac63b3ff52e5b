"""Profiles one trial per cell before a sweep starts: memory, speed, hours."""

from orchestrator.pilot.pilot import Pilot, run
from orchestrator.pilot.show import print_pilot

__all__ = ["Pilot", "print_pilot", "run"]
