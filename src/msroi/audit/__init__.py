"""Published numbers and the checks that are put to them."""
