"""LiveEdit: low-rank experts at one decoder layer, found by picture and question."""
