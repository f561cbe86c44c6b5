"""Whether an error says that memory ran out."""


def is_out_of_memory(error: Exception) -> bool:
    """CUDA's and the CPU's error types differ, and MPS has none: their messages agree."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
