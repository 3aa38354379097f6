"""What must be served. In: a Hugging Face `config.json` and lengths; out: `Architecture`, the operators of a step, footprints."""
