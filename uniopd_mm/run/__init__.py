"""A run: its recipe, folder, plan, progress, validation, and the table of a multirun."""
