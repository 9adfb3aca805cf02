"""What these tests need of the library that they read timelines back with."""

from __future__ import annotations

import ctypes

import opentimelineio as otio

# Reading makes items with metadata, and for that the library keeps this function beyond Python's own end. Where nothing
# else has it by then, dropping it aborts the process. With one reference more than there are, it stays.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(otio.core._value_to_any))
