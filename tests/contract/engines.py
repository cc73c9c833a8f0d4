"""Which engines there are, as parameters of the fixture `engine`."""

import pytest

MINISTACK = pytest.param("ministack", marks=pytest.mark.emulator)

EVERY = ("memory", "file", "moto", MINISTACK)

ATOMIC = ("memory", "file", MINISTACK)
"""Those that can be asked what happens when writers meet, or what takes hundreds of requests: not
moto, which is neither atomic nor quick."""

AWS = ("moto", MINISTACK)
