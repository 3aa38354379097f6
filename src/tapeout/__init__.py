"""Tapeout: should we tape out our own AI chip; which one, when; and what do we run on until it arrives?"""

__version__ = "0.1.0"
