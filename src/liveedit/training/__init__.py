"""Training of the editor on a frozen backbone."""
