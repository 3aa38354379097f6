"""Behaviour under traffic. In: a step model, a trace and a policy; out: per-request times, percentiles and utilisation."""
