"""Real recordings that travel with the package, and the loader for a user's own."""

from numeric.recordings.loader import RECORDINGS, load_recording
from numeric.recordings.recording import Fact, Recording

__all__ = ["RECORDINGS", "Fact", "Recording", "load_recording"]
