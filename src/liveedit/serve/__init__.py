"""A server: OpenAI's chat interface over a model that is corrected while it runs."""
