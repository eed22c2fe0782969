"""Published numbers and the checks of them."""
