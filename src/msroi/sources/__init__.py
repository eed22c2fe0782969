"""What is fetched: the table of sources, downloads, archives, weights."""
