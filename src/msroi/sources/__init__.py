"""What msroi fetches: the table of sources, downloads, archives, weights."""
