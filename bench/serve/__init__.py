"""Load on a whole cluster: real gateway, workers and Redis, whose device is a stand-in that takes a set time."""
