"""Write a run as a Workflow Run RO-Crate, which others can read without this project."""
