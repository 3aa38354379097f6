"""How well the model fits what was measured. In: tables of measured operators and of end-to-end results; out: coefficients, errors."""
