"""LEMoE: an expert for each batch of edits, routed to by clustered keys."""
