"""Run the program as `python -m msroi`."""

from msroi.cli.main import program

if __name__ == "__main__":
    program()
