"""From a YAML file to checked cells, configs and trials: pure, without Ray or disk."""
