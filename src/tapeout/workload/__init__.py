"""What must be served. In: a Hugging Face `config.json`, lengths and a demand forecast; out: `Architecture`, operators, demand."""
