"""A derived limit against random networks: plan, measurements, claims, verdict."""
