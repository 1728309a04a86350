"""How rows become samples."""
