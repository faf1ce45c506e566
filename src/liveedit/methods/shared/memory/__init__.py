"""Methods that keep corrections by keys of picture and question."""
