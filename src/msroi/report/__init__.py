"""The report of an experiment: tables, figures, charts and the page."""
