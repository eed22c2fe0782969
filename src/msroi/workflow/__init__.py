"""What Snakemake and DVC share: the list of stages, and who knows what is up to date."""
