"""The life of a run: its folder, progress, validation, and what it prints and keeps."""
