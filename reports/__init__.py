"""Reports: document model, figures, rendering and the command line."""
