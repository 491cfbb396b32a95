"""The sections of the report of a recursion that is not the linear RNN."""
