"""The command wideproof: one file a verb."""
