"""Check that the committed results are whole and follow from one another."""
