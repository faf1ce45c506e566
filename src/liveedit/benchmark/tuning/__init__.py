"""Settings of methods, chosen on validation corrections within one budget of trials."""
