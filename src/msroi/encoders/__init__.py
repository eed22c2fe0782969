"""From pixels to JPEG files, and the search for a file size or a quality."""
