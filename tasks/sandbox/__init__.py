"""Runs programs nobody has read: on this machine (`local`) or on another one (`remote`), behind one Protocol.

`limits` has the records and the Protocol; `inside` is what runs in the process that holds the program.
"""
