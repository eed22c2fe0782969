"""One experiment: its parameters, its files, its photographs and what it compares."""
