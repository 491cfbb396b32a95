"""Real recordings that travel with the package, and the loader for a user's own."""

from numeric.recordings.loader import RECORDINGS, Recording, load_recording

__all__ = ["RECORDINGS", "Recording", "load_recording"]
