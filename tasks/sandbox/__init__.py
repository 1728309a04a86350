"""Runs untrusted programs: on this machine (`local`) or on another one (`remote`), behind one Protocol.

`limits` has the records and the Protocol. `inside` has the code of the process that contains the program.
"""
