"""What a user writes: terms and programs, the builders, activations, letters, and errors that teach."""
