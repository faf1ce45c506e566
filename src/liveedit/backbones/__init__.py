"""All that knows a model family's internals; one small file a family."""
