"""Tables of pair expectations of smooth activations: built and checked once, evaluated for many pairs."""
