"""The commands, one a module, that `cli` joins to a program; what is heavy is imported when a command runs."""
