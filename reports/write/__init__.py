"""Mathematics as prose, LaTeX and figures."""
