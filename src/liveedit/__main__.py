"""``python -m liveedit``: the same as the command ``liveedit``, for launchers of processes."""

from liveedit.cli import main

if __name__ == "__main__":
    main()
