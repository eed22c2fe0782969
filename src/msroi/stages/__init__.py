"""The stages of an experiment: each reads files, calls what lies below, writes files."""
