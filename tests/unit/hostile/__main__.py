"""Write the tables of inputs and downloads into docs/reliability.md.

Run it from the project's folder: PYTHONPATH=src:tests/unit python -m hostile
"""

from pathlib import Path

from hostile.page import filled

PAGE = Path("docs/reliability.md")

PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
