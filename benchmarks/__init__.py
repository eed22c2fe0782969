"""How fast the parts are, each beside a peer in the same run: `make bench`."""
