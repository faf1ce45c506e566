"""Figures that others published, as data: quoted, never measured here."""
