"""Files and what guards them: whole files, the cache folder, fingerprints, the hub."""
