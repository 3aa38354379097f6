"""What could serve it. In: chip and server fact files, or own-chip parameters; out: `Chip` and `Server` with sourced numbers."""
