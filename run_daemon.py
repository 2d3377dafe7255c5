"""Starts rowkeeper; ``python run_daemon.py --help`` lists the commands."""

from daemon.cli.main import main

if __name__ == "__main__":
    main()
