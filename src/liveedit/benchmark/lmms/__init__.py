"""Tasks of lmms-eval (VQAv2, MME, POPE, ...), which runs in an environment of its own."""
