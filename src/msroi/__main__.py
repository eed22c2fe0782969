"""Run the program as `python -m msroi`."""

from msroi.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
