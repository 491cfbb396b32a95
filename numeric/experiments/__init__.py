"""The paper's experiments: training dynamics beside the scaled convolution, and real recordings."""
