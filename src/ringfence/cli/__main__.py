"""`python -m ringfence.cli`: the same program where no script is installed."""

from ringfence.cli import main

if __name__ == "__main__":
    main()
