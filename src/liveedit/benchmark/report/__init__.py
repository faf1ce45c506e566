"""What a benchmark run found, to be read: page, plots, CSV and LaTeX; two runs compared."""
