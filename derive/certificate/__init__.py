"""Certificates: a proof written as a Coq file whose theorems are its steps, and the check of that file by coqc."""
