"""What all numerical rooms share: arrays, statistics, checks, width ladders, checkpoints, timing."""
