"""Training of the nano scorer: a Qwen3-VL of small sizes on episodes of the built-in simulator."""
