"""Which chips carry how much: deployments in, the rate that keeps a service level out, one fleet or the best of many."""
