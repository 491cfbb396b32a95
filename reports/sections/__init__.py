"""The sections of a report on a model, and the report itself."""
