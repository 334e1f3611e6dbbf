"""Building blocks of circuits: functions that take a `Builder` first and return linear combinations.

A gadget that relies on something its caller must guarantee says so under "The caller guarantees".
"""
