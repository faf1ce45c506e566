"""Training of the pocket VLM's alignment: from the wheels' parts to one model that sees."""
