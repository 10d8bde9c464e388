"""Vision transformers without diffusion, read as the paper reads them for comparison."""
