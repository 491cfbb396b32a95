"""Which mistakes in the engine reach a user unseen: mutated rules, definitions, tables, emitters and evaluators."""
