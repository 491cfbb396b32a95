"""Real recordings that travel with the package, and the loader for a user's own."""

from wideproof.numeric.recordings.loader import RECORDINGS, load_recording
from wideproof.numeric.recordings.recording import Fact, Recording

__all__ = ["RECORDINGS", "Fact", "Recording", "load_recording"]
