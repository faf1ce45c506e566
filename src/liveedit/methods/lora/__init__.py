"""LoRA: an adapter on queries and values is trained on each correction."""
