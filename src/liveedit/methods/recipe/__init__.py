"""RECIPE: corrections as continuous prompts, found against a learned sentinel."""
