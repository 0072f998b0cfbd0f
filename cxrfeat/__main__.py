"""`python -m cxrfeat` is the command `cxrfeat`."""

from cxrfeat.cli.main import main

if __name__ == "__main__":
    main()
