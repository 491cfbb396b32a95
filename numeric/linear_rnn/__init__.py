"""The wide linear RNN and its convolution: training, gradients, realisation, unstable draws."""
