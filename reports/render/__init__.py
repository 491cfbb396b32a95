"""From a document to .tex, PDF and HTML by the engines at hand."""
