"""`python -m fairlead` is the command line too."""

from fairlead._cli import main

if __name__ == "__main__":
    main()
