"""What arrives: requests with their times, lengths and names, by rule or from a trace."""
