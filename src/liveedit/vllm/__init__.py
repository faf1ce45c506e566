"""The plugin for vLLM: it adds the experts of each request's edits inside vLLM's workers."""
