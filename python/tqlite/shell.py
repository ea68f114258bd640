"""tqshell, which comes with the package."""
import os
import sys

from . import shell_path


def main():
    os.execv(shell_path(), ["tqshell"] + sys.argv[1:])


if __name__ == "__main__":
    main()
