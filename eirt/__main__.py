"""`python -m eirt`: the command line."""

from eirt.cli import app

if __name__ == "__main__":
    app(prog_name="eirt")
