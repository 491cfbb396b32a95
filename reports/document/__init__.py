"""What a report is made of: blocks, text, numbers, and the files it reads and writes."""
