"""The shapes that rows have in the field: from the first rows of a source to a map of columns.

One file for each group of shapes, each with a pure function `recognise(seen) -> Shape | None`. `recognition.py` asks
them in turn.
"""
