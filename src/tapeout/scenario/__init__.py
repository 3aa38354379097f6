"""The edge. In: a scenario file in YAML 1.2; out: a checked `Scenario`, or an error with file, line, column and a way out."""
