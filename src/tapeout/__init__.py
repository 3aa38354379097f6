"""From a language model and a demand forecast to a plan: which chips to rent, buy, lease or tape out, and when."""

__version__ = "0.1.0"
