"""Tapeout beside other predictors of LLM inference: the same cases, one run, one table."""
