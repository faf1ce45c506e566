"""The pocket VLM: a small real vision-language model assembled from installed packages."""
