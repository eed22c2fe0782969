"""A user's own photos: compress them, map them, explain what that did."""
