"""Exporters: how the steps of each rule are written as lemmas, room by room."""
