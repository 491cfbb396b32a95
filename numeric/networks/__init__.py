"""Any recursion at finite width: simulation, gradients, empirical kernels, training."""
