"""An editing method in a package of its own: a correction answers its own question alone."""
