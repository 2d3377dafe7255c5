"""What keeps the daemon's promises over time: recovery at start, sweeps, retention."""
